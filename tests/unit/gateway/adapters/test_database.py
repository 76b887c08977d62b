"""Opening the database: locked, durable, never created by accident, never older than its schema."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from gateway.adapters import database as module
from gateway.adapters.database import check_readable, open_database, storage_error
from gateway.adapters.migrations import scripts, statements
from gateway.errors import ConfigError, FatalStorageError, StorageError


def test_a_new_database_is_private_durable_and_has_the_newest_schema(tmp_path: Path) -> None:
    """Mode 0600, WAL with synchronous=FULL, schema_version at the last migration."""
    path = tmp_path / "gateway.db"
    database = open_database(path, now_ms=5, create=True)
    assert path.stat().st_mode & 0o777 == 0o600
    with database.writer.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
        rows = connection.execute(text("SELECT version, applied_ms FROM schema_version")).all()
    assert rows == [(number, 5) for number, _ in scripts("sqlite")]
    check_readable(database.readers)
    database.close()


def test_opening_again_changes_nothing(tmp_path: Path) -> None:
    """The second start finds the schema as it is."""
    open_database(tmp_path / "gateway.db", now_ms=5, create=True).close()
    open_database(tmp_path / "gateway.db", now_ms=6, create=False).close()


def test_a_start_never_creates(tmp_path: Path) -> None:
    """A wrong path, and an empty file, are refused with a way out."""
    path = tmp_path / "gateway.db"
    with pytest.raises(ConfigError, match=r"E_DATABASE_MISSING.*tiezheng init gateway"):
        open_database(path, now_ms=1, create=False)
    path.write_bytes(b"")
    with pytest.raises(ConfigError, match="E_DATABASE_MISSING"):
        open_database(path, now_ms=1, create=False)


def test_one_gateway_per_database(tmp_path: Path) -> None:
    """The second one is refused while the first runs, and welcome after."""
    first = open_database(tmp_path / "gateway.db", now_ms=1, create=True)
    with pytest.raises(ConfigError, match="E_DATABASE_LOCKED"):
        open_database(tmp_path / "gateway.db", now_ms=1, create=False)
    first.close()
    open_database(tmp_path / "gateway.db", now_ms=1, create=False).close()


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    """An old program does not guess what a newer one wrote."""
    path = tmp_path / "gateway.db"
    open_database(path, now_ms=1, create=True).close()
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO schema_version VALUES (9999, 1)")
    connection.close()
    with pytest.raises(ConfigError, match="E_DATABASE_NEWER"):
        open_database(path, now_ms=1, create=False)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """Plain words instead of a traceback."""
    path = tmp_path / "gateway.db"
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(ConfigError, match="E_DATABASE_DAMAGED"):
        open_database(path, now_ms=1, create=False)


def test_readers_cannot_write(tmp_path: Path) -> None:
    """A reader's connection is query_only."""
    database = open_database(tmp_path / "gateway.db", now_ms=1, create=True)
    with (
        database.readers.connect() as connection,
        pytest.raises(DBAPIError, match="readonly"),
        connection.begin(),
    ):
        connection.execute(text("DELETE FROM facts"))
    database.close()


def _error(code: int) -> DBAPIError:
    original = sqlite3.OperationalError("words")
    original.sqlite_errorcode = code
    return DBAPIError("statement", None, original)


def test_no_room_is_told_from_failure() -> None:
    """A full disk and a busy lock leave the database as it was; everything else is fatal."""
    assert storage_error(_error(sqlite3.SQLITE_FULL)).code == "E_STORAGE_FULL"
    assert storage_error(_error(sqlite3.SQLITE_BUSY)).code == "E_STORAGE_BUSY"
    for code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY):
        assert not isinstance(storage_error(_error(code)), FatalStorageError)
    for code in (
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_IOERR_FSYNC,
        sqlite3.SQLITE_READONLY,
    ):
        assert isinstance(storage_error(_error(code)), FatalStorageError)
    assert issubclass(FatalStorageError, StorageError)


def test_scripts_are_cut_into_statements() -> None:
    """Comment lines go, each statement ends with a semicolon at a line's end."""
    assert statements("-- words;\nCREATE a (\n  b;c\n);\n\nDROP d;\n") == ["CREATE a (\n  b;c\n)", "DROP d"]


def test_a_file_system_without_wal_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Durability is checked, not assumed."""

    def refuse(_: object) -> None:
        raise ConfigError("E_DATABASE_MODE", "no WAL")

    monkeypatch.setattr(module, "_require_modes", refuse)
    with pytest.raises(ConfigError, match="E_DATABASE_MODE"):
        open_database(tmp_path / "gateway.db", now_ms=1, create=True)
    monkeypatch.undo()
    open_database(tmp_path / "gateway.db", now_ms=1, create=True).close()
