"""Opening the gateway's database, and what every connection of it must be set to.

Why SQLite first: one file, no second service to run, and with WAL and synchronous=FULL a commit is durable when it
returns. The queries are SQLAlchemy Core and portable; what is SQLite's own stands in this file.

Rules kept here:
- journal_mode=WAL, synchronous=FULL; a database that does not accept both is refused.
- One gateway per database: an exclusive lock on a file beside it, held for the process's life. Ids and the backlog are
  counted in memory, so two gateways on one file would be a quiet disaster.
- Transactions are explicit: the driver's own ideas of when to begin are switched off, writers begin IMMEDIATE.
- Readers' connections are query_only.

Sources: SQLite documentation, "Write-Ahead Logging" and "PRAGMA synchronous"; SQLAlchemy documentation, pysqlite
dialect, on transaction control. Refuses: creating a database unless asked to (`create`).
"""

import fcntl
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from gateway.adapters.migrations import migrate
from gateway.errors import ConfigError, FatalStorageError, StorageError

_BUSY_TIMEOUT_MS = 5_000


@dataclass(slots=True)
class Database:
    """An opened database: engines for the one writer and for readers, and the lock. `close` releases the lock."""

    path: Path
    writer: Engine
    readers: Engine
    _lock_fd: int

    def close(self) -> None:
        """Close both engines and let the next gateway in."""
        self.writer.dispose()
        self.readers.dispose()
        os.close(self._lock_fd)


def open_database(path: Path, *, now_ms: int, create: bool) -> Database:
    """Lock, open and migrate the database at `path` (mode 0600 when created).

    Raises ConfigError: E_DATABASE_MISSING, E_DATABASE_LOCKED, E_DATABASE_NEWER, E_DATABASE_MODE (no WAL).
    """
    if not path.exists() and not create:
        raise ConfigError(
            "E_DATABASE_MISSING", f"there is no database {path}; `tiezheng init gateway` creates one"
        )
    lock_fd = _lock(path.with_name(path.name + ".lock"))
    try:
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        writer = _engine(path, writer=True)
        with writer.connect() as connection:
            _require_modes(connection.connection.dbapi_connection)
            migrate(connection, now_ms=now_ms, create=create)
        return Database(path, writer, _engine(path, writer=False), lock_fd)
    except DBAPIError as error:
        os.close(lock_fd)
        raise ConfigError("E_DATABASE_DAMAGED", f"{path} is no usable database: {error.orig}") from error
    except BaseException:
        os.close(lock_fd)
        raise


def _lock(path: Path) -> int:
    fd = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        raise ConfigError("E_DATABASE_LOCKED", f"another gateway holds {path}") from error
    return fd


def _engine(path: Path, *, writer: bool) -> Engine:
    # NullPool: a connection lives exactly as long as the thread that asked for it keeps it.
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool, connect_args={"check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _settings(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA trusted_schema=OFF")
        connection.execute("PRAGMA cell_size_check=ON")
        if not writer:
            connection.execute("PRAGMA query_only=ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writer else "BEGIN")

    return engine


def _require_modes(connection: Any) -> None:
    assert isinstance(connection, sqlite3.Connection)
    journal = connection.execute("PRAGMA journal_mode").fetchone()[0]
    synchronous = connection.execute("PRAGMA synchronous").fetchone()[0]
    if (journal, synchronous) != ("wal", 2):
        raise ConfigError(
            "E_DATABASE_MODE",
            f"the file system gives journal mode {journal}, synchronous {synchronous}; WAL is needed",
        )


def storage_error(error: DBAPIError) -> StorageError:
    """Return the error of this room for a database error: no room, or fatal.

    Only "database or disk is full" and a lock that stays busy leave the database as it was; after anything else nobody
    knows what the disk holds, so the process ends.
    """
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return StorageError("E_STORAGE_FULL", "the database has no room left; nothing was stored")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StorageError("E_STORAGE_BUSY", "the database is held by another program; nothing was stored")
    return FatalStorageError(
        "E_STORAGE_FAILED", f"the database fails: {type(error.orig).__name__}: {error.orig}"
    )


def check_readable(engine: Engine) -> None:
    """Return if a trivial read works; raises StorageError."""
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    except DBAPIError as error:
        raise storage_error(error) from error
