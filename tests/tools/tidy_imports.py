"""Who may import whom: the directions between rooms, purity, the gateway's rings, cycles, and third-party
fences.

The drawing is in docs/ARCHITECTURE.md; this file is the same thing as tables. A room that is pure can be
replayed, extracted and read alone, and that is what lets a stranger check the product's claim.
"""

from collections.abc import Container, Iterator, Mapping
from fnmatch import fnmatch

from tidy_model import ROOMS, Finding, Import, Source, standard

MAY_IMPORT: Mapping[str, frozenset[str]] = {
    "ledger": frozenset(),
    "consensus": frozenset(),
    "protos": frozenset(),
    "node": frozenset({"ledger", "consensus", "protos"}),
    "gateway": frozenset({"ledger", "protos"}),
    "scripts": frozenset(ROOMS),
}
"""Room -> the other rooms it may import."""

PURE = (
    "ledger/*",
    "consensus/*",
    "node/replica.py",
    "node/effects.py",
    *(
        f"node/{name}.py"
        for name in (
            "cosigner",
            "dissent",
            "electorate",
            "findings",
            "following",
            "gathering",
            "note_inbox",
            "notes",
            "own_keys",
            "tally",
        )
    ),
    "gateway/domain/*",
)
"""Cores: events in, effects out. Time, randomness, files and sockets are somebody else's."""

IMPURE_MODULES: Mapping[str, str] = {
    **dict.fromkeys(
        ("grpc", "aiohttp", "socket", "ssl", "http", "urllib", "select"), "the network is the shell's"
    ),
    **dict.fromkeys(
        ("asyncio", "threading", "multiprocessing", "concurrent", "signal"), "a core never waits"
    ),
    **dict.fromkeys(("os", "pathlib", "shutil", "tempfile", "subprocess"), "files are the shell's"),
    **dict.fromkeys(("time",), "take the moment as an argument"),
    **dict.fromkeys(("random", "secrets", "uuid"), "take randomness as an argument"),
    **dict.fromkeys(("sqlite3", "plyvel", "sqlalchemy"), "storage is behind the store or a port"),
    **dict.fromkeys(("protos",), "wire messages are translated at the edge"),
    **dict.fromkeys(
        ("logging", "structlog", "prometheus_client"), "return what happened; the shell tells it"
    ),
}
"""Module -> why a core does not import it."""

PURE_EXCEPTIONS: Mapping[str, frozenset[str]] = {
    "ledger/store*.py": frozenset({"plyvel", "pathlib"}),
    "ledger/headfile.py": frozenset({"os", "pathlib"}),
}
"""The store and the head file are the ledger's only doors to a disk."""

_PROCESS = frozenset({"aiohttp", "cryptography", "google", "grpc", "prometheus_client", "structlog"})
_FRONT_OFFICE = frozenset({"msgspec", "sqlalchemy"})
THIRD_PARTY: Mapping[str, frozenset[str]] = {
    "ledger": frozenset({"nacl", "msgpack", "plyvel"}),
    "consensus": frozenset(),
    "protos": frozenset({"google", "grpc"}),
    "node": _PROCESS,
    "gateway": _PROCESS | _FRONT_OFFICE,
    "scripts": _PROCESS | _FRONT_OFFICE | {"click", "nacl"},
}
"""Room -> third-party packages. Another one needs an ADR, a line in pyproject.toml and a line here."""

FENCED: Mapping[str, tuple[str, ...]] = {
    "nacl": ("ledger/ed25519.py", "scripts/*verif*.py"),
    "msgpack": ("ledger/encoding.py",),
    "plyvel": ("ledger/store*.py",),
    "sqlalchemy": ("gateway/adapters/*",),
    "sqlite3": ("gateway/adapters/*",),
    "grpc": ("protos/*", "node/*", "gateway/adapters/*", "scripts/*"),
    "subprocess": ("scripts/*",),
}
"""Package -> the only source files that import it, so that each has one edge to watch and one place to
replace.
"""

RINGS: Mapping[str, int] = {
    "errors": 0,
    "domain": 1,
    "settings": 1,
    "config": 2,
    "ports": 2,
    "telemetry": 2,
    "metrics": 2,
    "usecases": 3,
    "channels": 4,
    "web": 5,
    "adapters": 5,
    "app": 6,
    "__main__": 7,
}
"""The gateway's rings from the inside out: a part imports parts with a smaller number, or itself."""


def _matches(path: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(path, pattern) for pattern in patterns)


def directions(source: Source) -> Iterator[Finding]:
    """A room imports only the rooms below it, and source never imports tests."""
    if not source.in_room:
        return
    for item in source.imports:
        other = item.top
        if other in ROOMS and other != source.room and other not in MAY_IMPORT[source.room]:
            yield Finding(
                source.path, item.line, f"{source.room} must not import {other}: see docs/ARCHITECTURE.md"
            )
        elif other == "tests":
            yield Finding(source.path, item.line, "source must not import tests")


def purity(source: Source) -> Iterator[Finding]:
    """A core imports nothing that touches the world, with the exceptions written above."""
    if not source.in_room or not _matches(source.path, PURE):
        return
    allowed = {
        name for pattern, names in PURE_EXCEPTIONS.items() if fnmatch(source.path, pattern) for name in names
    }
    for item in source.imports:
        if item.top in IMPURE_MODULES and item.top not in allowed:
            why = IMPURE_MODULES[item.top]
            yield Finding(source.path, item.line, f"a pure module must not import {item.top}: {why}")


def third_party(source: Source) -> Iterator[Finding]:
    """A package from outside is one that this room has, and stands behind its fence."""
    if not source.in_room:
        return
    setup = source.path.startswith("scripts/setup/")
    for item in source.imports:
        outside = not standard(item.top) and item.top not in (*ROOMS, "tests")
        if outside and (setup or item.top not in THIRD_PARTY[source.room]):
            place = "scripts/setup (it runs before anything is installed)" if setup else source.room
            yield Finding(
                source.path, item.line, f"{item.top} is not among the packages of {place}: docs/adr/0010"
            )
        elif item.top in FENCED and not _matches(source.path, FENCED[item.top]):
            yield Finding(
                source.path, item.line, f"{item.top} is imported in {' '.join(FENCED[item.top])} only"
            )


def gateway_rings(source: Source) -> Iterator[Finding]:
    """Inside the gateway imports point inward: app -> web, adapters -> channels -> usecases -> ports ->
    domain.
    """
    if not source.in_room or source.room != "gateway" or source.module == "gateway":
        return
    part = source.module.split(".")[1]
    if part not in RINGS:
        yield Finding(
            source.path, 1, f"gateway has no ring for {part}: put it in a part, or give it one in RINGS"
        )
        return
    for item in source.imports:
        parts = f"{item.module}.{item.name}".split(".")
        if item.top != "gateway" or parts[1] not in RINGS or parts[1] == part:
            continue
        if RINGS[parts[1]] >= RINGS[part]:
            yield Finding(
                source.path, item.line, f"gateway.{part} must not import gateway.{parts[1]}: inward only"
            )


def graph(sources: Mapping[str, Source]) -> dict[str, dict[str, int]]:
    """Module -> imported module of ours -> line. Importing a name from a package means the module if there is
    one.
    """
    modules = {source.module: source for source in sources.values() if source.in_room}
    edges: dict[str, dict[str, int]] = {}
    for name, source in modules.items():
        found = ((target(item, modules), item.line) for item in source.imports)
        edges[name] = {other: line for other, line in found if other is not None and other != name}
    return edges


def target(item: Import, modules: Container[str]) -> str | None:
    """The module of ours that an import means: the name itself if it is one, else where it is taken from."""
    for candidate in (f"{item.module}.{item.name}", item.module):
        if candidate in modules:
            return candidate
    return None


def cycles(sources: Mapping[str, Source]) -> Iterator[Finding]:
    """No module reaches itself through imports; the finding shows the way round."""
    edges = graph(sources)
    paths = {source.module: path for path, source in sources.items()}
    done: set[str] = set()
    for start in sorted(edges):
        trail: list[tuple[str, Iterator[str]]] = [(start, iter(sorted(edges[start])))]
        on_trail = [start]
        while trail and start not in done:
            name, rest = trail[-1]
            following = next(rest, None)
            if following is None:
                done.add(name)
                trail.pop()
                on_trail.pop()
            elif following in on_trail:
                way = [*on_trail[on_trail.index(following) :], following]
                yield Finding(paths[name], edges[name][following], f"imports go round: {' -> '.join(way)}")
            elif following not in done:
                trail.append((following, iter(sorted(edges[following]))))
                on_trail.append(following)


SOURCE_RULES = (directions, purity, third_party, gateway_rings)
