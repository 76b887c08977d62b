"""A second copy of the core with one piece of its source replaced, to see whether the simulator notices.

The copy is a package of its own name, written to a folder of its own, so the real one stays what it is. A piece must
occur exactly once: when the source has moved on, the patch fails loudly instead of testing nothing.
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import consensus
import consensus.invariants

_SOURCE = Path(consensus.__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Patch:
    """In `consensus/<module>.py`, `old` becomes `new`."""

    module: str
    old: str
    new: str


def real() -> Any:
    """The core as it is."""
    return consensus


def load(folder: Path, alias: str, patches: tuple[Patch, ...]) -> Any:
    """Write a patched copy of the core into `folder`, import it as `alias`, and answer it.

    Raises LookupError when a piece to be replaced is not in the source exactly once.
    """
    package = folder / alias
    package.mkdir()
    for path in sorted(_SOURCE.glob("*.py")):
        source = path.read_text(encoding="utf-8")
        for patch in patches:
            if patch.module == path.stem:
                if source.count(patch.old) != 1:
                    raise LookupError(f"{path.name} holds {source.count(patch.old)} times: {patch.old!r}")
                source = source.replace(patch.old, patch.new)
        copy = source.replace("from consensus", f"from {alias}")
        (package / path.name).write_text(copy, encoding="utf-8")
    unknown = [patch.module for patch in patches if not (package / f"{patch.module}.py").is_file()]
    if unknown:
        raise LookupError(f"no such modules: {unknown}")
    sys.path.insert(0, str(folder))
    try:
        importlib.invalidate_caches()
        core = importlib.import_module(alias)
        importlib.import_module(f"{alias}.invariants")
    finally:
        sys.path.remove(str(folder))
    return core
