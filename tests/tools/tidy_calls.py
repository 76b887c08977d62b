"""Calls and constructs that we do not use, each with what to use instead.

Most of these have cost somebody data: the reasons are in docs/adr and THREAT_MODEL.md. A name is found
through import aliases and also when it is only passed on, so `clock = time.time` counts.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch

from tidy_imports import PURE
from tidy_model import Finding, Source

SOURCE = ("ledger/*", "consensus/*", "node/*", "gateway/*", "scripts/*")
QUIET = ("ledger/*", "consensus/*", "node/*", "gateway/*")
EVERYWHERE = ("*",)


@dataclass(frozen=True, slots=True)
class Ban:
    """A dotted name (or a whole module, ending in a dot), where it is banned, the replacement or the reason,
    and the files that have a better one.
    """

    name: str
    where: tuple[str, ...]
    instead: str
    but: tuple[str, ...] = ()


BANS = (
    Ban(
        "asyncio.wait_for",
        EVERYWHERE,
        "asyncio.timeout(): wait_for loses a cancellation that meets the completion",
    ),
    Ban("asyncio.get_event_loop", EVERYWHERE, "asyncio.get_running_loop()"),
    Ban("pickle.", EVERYWHERE, "ledger.encoding or JSON: unpickling runs what the sender wrote"),
    Ban("marshal.", EVERYWHERE, "ledger.encoding or JSON"),
    Ban("shelve.", EVERYWHERE, "a store with a format of its own"),
    Ban("eval", EVERYWHERE, "a parser for what you expect"),
    Ban("exec", EVERYWHERE, "a function"),
    Ban("yaml.load", EVERYWHERE, "tomllib"),
    Ban("os.fork", EVERYWHERE, "subprocess in scripts: a child would write through the open database handle"),
    Ban("os.system", EVERYWHERE, "subprocess.run with a list, in scripts"),
    Ban("os.popen", EVERYWHERE, "subprocess.run with a list, in scripts"),
    Ban("plyvel.repair_db", EVERYWHERE, "fetching from the peers again: repair keeps wrong values as good"),
    Ban("multiprocessing.", QUIET, "one process per program; a fork would share the open database handle"),
    Ban("print", QUIET, "telemetry; people are spoken to by scripts"),
    # The filter wants exactly that: a hash that nobody outside the process can aim at, and that is written
    # nowhere.
    Ban("hash", PURE, "hashlib: hash() of text differs from run to run", ("ledger/store_filter.py",)),
    Ban("id", PURE, "a name of its own: addresses differ from run to run"),
    Ban("time.time", PURE, "`now` as an argument"),
    Ban("time.monotonic", PURE, "ticks, or `now` as an argument"),
    Ban("datetime.datetime.now", PURE, "`now` as an argument"),
    Ban("datetime.datetime.utcnow", EVERYWHERE, "datetime.now(UTC) in the shell"),
    Ban("datetime.date.today", PURE, "the day as an argument"),
    Ban("random.", PURE, "`rng` as an argument"),
    Ban("open", PURE, "bytes as an argument"),
)
ATTRIBUTES: Mapping[str, str] = {
    "repair_db": "fetching from the peers again: repair keeps wrong values as good",
}
"""Attribute names that are banned whatever object they are asked of."""

SQL = re.compile(
    r"\s*(?:SELECT\s.+\sFROM\s|INSERT\s+(?:OR\s+\w+\s+)?INTO\s|UPDATE\s+\S+\s+SET\s|DELETE\s+FROM\s"
    r"|(?:CREATE|DROP|ALTER)\s+(?:UNIQUE\s+)?(?:TABLE|INDEX|VIEW)\s|PRAGMA\s+\w)",
    re.DOTALL,
)


def _applies(path: str, where: tuple[str, ...]) -> bool:
    return any(fnmatch(path, pattern) for pattern in where)


def _names(source: Source) -> Iterator[tuple[int, str]]:
    """Every reference to a plain or dotted name, and every import, as (line, dotted name)."""
    for item in source.imports:
        yield item.line, f"{item.module}.{item.name}" if item.name else f"{item.module}."
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.lineno, source.dotted(node)


def _local_names(source: Source) -> set[str]:
    """Names that the file binds itself, so that a parameter called `id` is not the builtin."""
    bound = {node.arg for node in ast.walk(source.tree) if isinstance(node, ast.arg)}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
    return bound


def banned_calls(source: Source) -> Iterator[Finding]:
    """None of the names in BANS is used where it is banned."""
    if not source.python or source.generated:
        return
    bans = [ban for ban in BANS if _applies(source.path, ban.where) and not _applies(source.path, ban.but)]
    local = _local_names(source)
    seen: set[tuple[int, str]] = set()
    for line, name in _names(source):
        for ban in bans:
            if "." not in ban.name and ban.name in local:
                continue
            hit = name.startswith(ban.name) if ban.name.endswith(".") else name == ban.name
            if hit and (line, ban.name) not in seen:
                seen.add((line, ban.name))
                yield Finding(
                    source.path, line, f"{ban.name.rstrip('.')} is not used here; instead: {ban.instead}"
                )
    for node in ast.walk(source.tree):
        if (
            isinstance(node, ast.Attribute)
            and node.attr in ATTRIBUTES
            and (node.lineno, node.attr) not in seen
        ):
            if source.dotted(node) in {ban.name for ban in bans}:
                continue
            yield Finding(
                source.path, node.lineno, f"{node.attr} is not used; instead: {ATTRIBUTES[node.attr]}"
            )


def bare_except(source: Source) -> Iterator[Finding]:
    """Every handler names what it handles, and none swallows everything in silence."""
    if not source.python or source.generated:
        return
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        if node.type is None:
            yield Finding(
                source.path, node.lineno, "bare except; instead: the room's error, or `except Exception`"
            )
        elif source.dotted(node.type) in {"Exception", "BaseException"} and _silent(node.body):
            yield Finding(
                source.path, node.lineno, "everything is swallowed in silence; instead: name it or tell it"
            )


def _silent(body: list[ast.stmt]) -> bool:
    return all(
        isinstance(statement, ast.Pass)
        or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        for statement in body
    )


def floats_in_ledger(source: Source) -> Iterator[Finding]:
    """What is hashed or signed holds no floats, so the ledger has none: integers with their unit in the
    name.
    """
    if not source.in_room or source.room != "ledger":
        return
    paths = any(item.top == "pathlib" for item in source.imports)
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            yield Finding(source.path, node.lineno, "a float in ledger; instead: an integer and its unit")
        elif isinstance(node, ast.Name) and node.id == "float":
            yield Finding(source.path, node.lineno, "float in ledger; instead: int")
        elif isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div) and not paths:
            yield Finding(source.path, node.lineno, "/ makes a float in ledger; instead: //")


def sql_text(source: Source) -> Iterator[Finding]:
    """Every SQL statement stands in gateway/adapters, where one folder shows them all."""
    if not source.in_room or source.path.startswith("gateway/adapters/"):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.match(node.value):
            yield Finding(source.path, node.lineno, "SQL text stands in gateway/adapters only")


SOURCE_RULES = (banned_calls, bare_except, floats_in_ledger, sql_text)
