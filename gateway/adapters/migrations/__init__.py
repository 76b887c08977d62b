"""The database's schema, as numbered SQL files per dialect, and the one function that brings a database up to date.

Why plain files: a schema change must be readable by whoever runs the database, and its history must never be generated
anew. `sqlite/0001_….sql`, `sqlite/0002_….sql` … are applied in order, each in one transaction together with its line in
`schema_version`. Another dialect gets a folder of its own with the same numbers.

Rules kept here:
- A released file never changes; a change is a new number, without gaps.
- A database that a newer program has written is refused: an old program must not guess.
- Creation is deliberate: `migrate(create=False)` refuses a database without a schema.

Refuses: going back. A backup is the way back.
"""

import re
from importlib.resources import files

from sqlalchemy import Connection, text

from gateway.errors import ConfigError

_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")


def scripts(dialect: str) -> list[tuple[int, str]]:
    """Return (number, SQL text) of a dialect's migrations, in order. Numbers run from 1 without gaps."""
    found = []
    for entry in sorted(files(__package__).joinpath(dialect).iterdir(), key=lambda e: e.name):
        match = _NAME.fullmatch(entry.name)
        if match:
            found.append((int(match[1]), entry.read_text(encoding="utf-8")))
    assert [number for number, _ in found] == list(range(1, len(found) + 1)), (
        "migrations are numbered without gaps"
    )
    return found


def current_version(connection: Connection) -> int:
    """Return the number of the last migration applied, 0 for an empty database."""
    if not connection.dialect.has_table(connection, "schema_version"):
        return 0
    return int(connection.execute(text("SELECT max(version) FROM schema_version")).scalar_one() or 0)


def migrate(connection: Connection, *, now_ms: int, create: bool) -> int:
    """Bring the database to the newest schema, one transaction per step; return its version.

    `connection` is outside any transaction. Raises ConfigError: E_DATABASE_MISSING for an empty database unless `create`,
    E_DATABASE_NEWER when its schema is newer than this program.
    """
    with connection.begin():
        version = current_version(connection)
    known = scripts(connection.dialect.name)
    if version > len(known):
        raise ConfigError(
            "E_DATABASE_NEWER", f"the database has schema {version}; this program knows {len(known)}"
        )
    if version == 0 and not create:
        raise ConfigError("E_DATABASE_MISSING", "the database is empty; `tiezheng init gateway` creates one")
    for number, script in known[version:]:
        with connection.begin():
            for statement in statements(script):
                connection.execute(text(statement))
            connection.execute(
                text("INSERT INTO schema_version (version, applied_ms) VALUES (:version, :applied_ms)"),
                {"version": number, "applied_ms": now_ms},
            )
    return len(known)


def statements(script: str) -> list[str]:
    """Return the statements of a script: they end with a semicolon at the end of a line; ``--`` lines are dropped."""
    lines = [line for line in script.splitlines() if not line.lstrip().startswith("--")]
    parts = re.split(r";\s*(?:\n|$)", "\n".join(lines))
    return [part.strip() for part in parts if part.strip()]
