"""A second copy of the core with one piece of its source replaced, to see whether the simulator notices.

The copy is a package of its own name, so the real one stays what it is. A piece must occur exactly once: when the
source has moved on, the patch fails loudly instead of testing nothing.
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

_SOURCE = Path(__file__).resolve().parents[2] / "consensus"


@dataclass(frozen=True, slots=True)
class Patch:
    """In `consensus/<module>.py`, `old` becomes `new`."""

    module: str
    old: str
    new: str


class _Finder(MetaPathFinder, Loader):
    """Finds `alias` and `alias.*` in the real source, with the patches applied and the name of the package changed."""

    def __init__(self, alias: str, patches: tuple[Patch, ...]) -> None:
        self._alias = alias
        self._patches = patches

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Claim the alias and its modules."""
        if fullname == self._alias:
            return ModuleSpec(fullname, self, is_package=True)
        if fullname.startswith(self._alias + "."):
            return ModuleSpec(fullname, self)
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Compile the patched source."""
        name = module.__name__.removeprefix(self._alias).removeprefix(".") or "__init__"
        source = (_SOURCE / f"{name}.py").read_text(encoding="utf-8")
        for patch in self._patches:
            if patch.module == name:
                if source.count(patch.old) != 1:
                    raise LookupError(f"{name}.py holds {source.count(patch.old)} times: {patch.old!r}")
                source = source.replace(patch.old, patch.new)
        source = source.replace("from consensus", f"from {self._alias}")
        exec(compile(source, f"<{module.__name__}>", "exec"), module.__dict__)  # noqa: S102


def load(alias: str = "consensus", patches: tuple[Patch, ...] = ()) -> Any:
    """The core as the simulator uses it: the real one, or a patched copy called `alias`."""
    if not patches:
        core = importlib.import_module("consensus")
        importlib.import_module("consensus.invariants")
        return core
    finder = _Finder(alias, patches)
    sys.meta_path.insert(0, finder)
    try:
        core = importlib.import_module(alias)
        for path in sorted(_SOURCE.glob("*.py")):
            if path.stem != "__init__":
                importlib.import_module(f"{alias}.{path.stem}")
        return core
    finally:
        sys.meta_path.remove(finder)
