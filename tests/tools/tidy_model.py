"""What the tidy rules speak of: a source file, a finding, and the names a file imports and uses.

Why here: every rule is a function over such values, so each can be tried on a made-up file that breaks it,
and the tree itself is just another list of them. Standard library only; nothing of the project is imported,
so a broken module cannot hide from the rule that would name it.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

ROOMS = ("ledger", "consensus", "protos", "node", "gateway", "scripts")


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken rule at one place; `says` names the rule and, where there is one, the replacement."""

    path: str
    line: int
    says: str

    def __str__(self) -> str:
        """Write it as compilers do, so that editors can jump there."""
        return f"{self.path}:{self.line}: {self.says}"


@dataclass(frozen=True, slots=True)
class Import:
    """One imported name: the dotted module, and the name taken from it (empty for a plain `import`)."""

    line: int
    module: str
    name: str = ""

    @property
    def top(self) -> str:
        """The first part: a room, a standard module or a third-party package."""
        return self.module.split(".", 1)[0]


@dataclass(frozen=True)
class Source:
    """A text file of the tree: its path from the root with forward slashes, and its text."""

    path: str
    text: str

    @property
    def python(self) -> bool:
        """Whether it is a Python source file."""
        return self.path.endswith(".py")

    @property
    def generated(self) -> bool:
        """Whether a generator wrote it; those are watched by `gen_protos --check` instead."""
        return PurePosixPath(self.path).stem.endswith(("_pb2", "_pb2_grpc"))

    @property
    def room(self) -> str:
        """The top folder, or an empty string for a file in the root."""
        parts = PurePosixPath(self.path).parts
        return parts[0] if len(parts) > 1 else ""

    @property
    def in_room(self) -> bool:
        """Whether it is hand-written source of one of the rooms (not a test, not generated)."""
        return self.python and self.room in ROOMS and not self.generated

    @property
    def module(self) -> str:
        """The dotted name under which it is imported."""
        return module_name(self.path)

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree, parsed once; empty for a file that cannot be parsed, which `broken` tells."""
        try:
            return ast.parse(self.text, self.path)
        except SyntaxError:
            return ast.Module(body=[], type_ignores=[])

    @property
    def broken(self) -> int:
        """The line at which the file stops being Python; 0 if it is sound."""
        try:
            ast.parse(self.text, self.path)
        except SyntaxError as error:
            return error.lineno or 1
        return 0

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        """Every import, wherever in the file it stands; relative ones are made absolute."""
        return tuple(_imports(self))

    @cached_property
    def aliases(self) -> Mapping[str, str]:
        """Local name -> the dotted name it stands for, from the file's imports."""
        found: dict[str, str] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    local = alias.asname or alias.name.split(".", 1)[0]
                    found[local] = alias.name if alias.asname else local
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.update(
                    {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
                )
        return found

    def dotted(self, node: ast.expr) -> str:
        """The dotted name that an expression refers to, aliases resolved; empty if it is not a plain name."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        return ".".join([self.aliases.get(node.id, node.id), *reversed(parts)])


def module_name(path: str) -> str:
    """The dotted name of a Python file at this path from the root."""
    parts = PurePosixPath(path).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def standard(top: str) -> bool:
    """Whether a top-level name belongs to the standard library."""
    return top in sys.stdlib_module_names


def _imports(source: Source) -> Iterator[Import]:
    package = PurePosixPath(source.path).parent.parts
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield Import(node.lineno, module, alias.name)
