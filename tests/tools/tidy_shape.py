"""The shape of files: sizes, docstrings, test twins, dead modules, stray marks, words that must not leave a
machine.

Sizes have no list of exemptions on purpose: a file that never stopped growing is how every large code base
that we read went wrong. The marks and host names below are written in pieces so that this file does not find
itself.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from tidy_imports import graph, target
from tidy_model import Finding, Source

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70
SIZED = (".py", ".js", ".mjs", ".css", ".html", ".proto", ".sh")

MARKS = re.compile(r"\b(?:" + "|".join(["TO" + "DO", "FIX" + "ME", "X" + "XX"]) + r")\b")
MACHINE = re.compile(r"(?<![\w.])/(?:wo[r]k|ho[m]e|ro[o]t|Us[e]rs|far[m])/[\w.-]|\b[A-Z]:\\Us[e]rs\\")
# Only the middle of each name stands here, so that this file names no host itself.
HOSTS = re.compile(
    r"py[p]i\.[o]rg|[p]ytho[n]hosted\.|n[p]mjs\.|de[b]\.debian\.|pro[x]y\.golang\."
    r"|crate[s]\.i[o]\b|jsde[l]ivr\.|un[p]kg\.com|cd[n]js\."
)
TEXT_FINDINGS = (
    (MARKS, "a stray mark; do it, or write down in words why not"),
    (MACHINE, "a path of one machine"),
    (HOSTS, "a package registry's or content network's host"),
)

ENTRY_POINTS = frozenset({"scripts.cli"})
"""Modules started from outside: the console script's target. Others say so by `if __name__ == "__main__"`."""

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def parses(source: Source) -> Iterator[Finding]:
    """Every Python file is Python; the other rules see nothing of one that is not."""
    if source.python and (line := source.broken):
        yield Finding(source.path, line, "this is not Python")


def sizes(source: Source) -> Iterator[Finding]:
    """A file has at most 400 lines, a function at most 70."""
    lines = source.text.count("\n")
    if source.path.endswith(SIZED) and not source.generated and lines > FILE_LINES_MAX:
        yield Finding(
            source.path, FILE_LINES_MAX, f"{lines} lines in a file, at most {FILE_LINES_MAX}: split it"
        )
    if not source.python or source.generated:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, FUNCTIONS):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES_MAX:
                says = f"{node.name} has {length} lines, at most {FUNCTION_LINES_MAX}: push work down"
                yield Finding(source.path, node.lineno, says)


def docstrings(source: Source) -> Iterator[Finding]:
    """Every module opens with a docstring; in the rooms every public class and function has one."""
    if not source.python or source.generated:
        return
    if not ast.get_docstring(source.tree):
        yield Finding(
            source.path, 1, "a module opens with why: what it is for, its rules, its source, what it refuses"
        )
    if source.in_room:
        yield from _undocumented(source, source.tree.body)


def _undocumented(source: Source, body: list[ast.stmt]) -> Iterator[Finding]:
    for node in body:
        if not isinstance(node, (*FUNCTIONS, ast.ClassDef)) or node.name.startswith("_"):
            continue
        marks = {source.dotted(mark).rsplit(".", 1)[-1] for mark in node.decorator_list}
        if not ast.get_docstring(node) and not marks & {"overload", "override", "setter"}:
            yield Finding(source.path, node.lineno, f"{node.name} is public and has no docstring")
        if isinstance(node, ast.ClassDef):
            yield from _undocumented(source, node.body)


def text_marks(source: Source) -> Iterator[Finding]:
    """No stray marks, no paths of one machine, no registry hosts, in whatever file."""
    for pattern, says in TEXT_FINDINGS:
        for match in pattern.finditer(source.text):
            line = source.text.count("\n", 0, match.start()) + 1
            yield Finding(source.path, line, f"{match.group(0)!r}: {says}")


def twin_path(path: str) -> str:
    """Where the tests of a source module stand."""
    pure = PurePosixPath(path)
    return str(PurePosixPath("tests/unit") / pure.parent / f"test_{pure.name}")


def twins(sources: Mapping[str, Source]) -> Iterator[Finding]:
    """Every hand-written module has a test file of its own, at the mirrored place."""
    for path, source in sorted(sources.items()):
        if source.in_room and PurePosixPath(path).name not in {"__init__.py", "__main__.py"}:
            twin = twin_path(path)
            if twin not in sources:
                yield Finding(path, 1, f"no test twin {twin}")


def dead_modules(sources: Mapping[str, Source]) -> Iterator[Finding]:
    """Every module is imported by another, named by one (lazy commands), or started.

    A module's unit tests do not count as use; the simulator and the other tools of tests do, since what they need
    (the invariants, for one) is source with a purpose of its own.
    """
    edges = graph(sources)
    used = {other for others in edges.values() for other in others}
    rooms = {path: source for path, source in sources.items() if source.in_room}
    for path, source in sources.items():
        if source.python and path.startswith("tests/") and not path.startswith("tests/unit/"):
            used |= {other for item in source.imports if (other := target(item, edges))}
    for source in rooms.values():
        used |= _texts(source) & edges.keys()
    for path, source in sorted(rooms.items()):
        opening = PurePosixPath(path).name in {"__init__.py", "__main__.py"}
        if not (opening or source.module in used | ENTRY_POINTS or _guarded(source)):
            yield Finding(path, 1, "nobody imports or starts this module")


def unused_tools(sources: Mapping[str, Source]) -> Iterator[Finding]:
    """Every module in tests/tools is imported by a test or by another tool."""
    tests = [source for path, source in sources.items() if path.startswith("tests/") and source.python]
    used = {item.top for source in tests for item in source.imports}
    for source in tests:
        name = PurePosixPath(source.path).stem
        if source.path.startswith("tests/tools/") and name not in used:
            yield Finding(source.path, 1, "no test uses this tool")


def test_packages(sources: Mapping[str, Source]) -> Iterator[Finding]:
    """tests/ is no package: an __init__.py there would be installed as a top-level name under which others
    hide.
    """
    for path in sorted(sources):
        if path.startswith("tests/") and path.endswith("__init__.py"):
            yield Finding(path, 1, "tests/ has no __init__.py: pytest imports by path")


def _texts(source: Source) -> set[str]:
    nodes = (node for node in ast.walk(source.tree) if isinstance(node, ast.Constant))
    return {node.value for node in nodes if isinstance(node.value, str)}


def _guarded(source: Source) -> bool:
    return any(
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Compare)
        and source.dotted(node.test.left) == "__name__"
        for node in source.tree.body
    )


SOURCE_RULES = (parses, sizes, docstrings, text_marks)
TREE_RULES = (twins, dead_modules, unused_tools, test_packages)
