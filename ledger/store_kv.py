"""LevelDB behind eight methods, opened and read so that damage shows. The only importer of plyvel.

Why so strict, each line measured on LevelDB 1.22 (docs/formats/storage.md has the table):
- Without `paranoid_checks` a flipped bit in the write-ahead file silently drops whatever follows it.
- Without `verify_checksums` on *that* read a flipped bit in a table file is served as a good value.
- After a write that failed (disk full, EIO) later writes are acknowledged and lost. So the first failed write
  ends the handle: everything after it is refused, and the process has to end. A failed write is "unknown".
- `repair_db` makes a damaged value a good one. It is not called anywhere.
- A second open in the same process fails, but LevelDB then closes the LOCK file, and with it the kernel drops
  the lock of the first: another process could open the store too. So `_OPEN` refuses before LevelDB is asked.
- LevelDB cannot see that its newest writes are missing. The head file can (`headfile`).

Rules kept here:
- Creating and opening are different functions; a wrong path never makes a new store.
- Every read verifies checksums; every iterator is closed before the function that opened it returns.
- Writes are whole batches, in the order of the calls; an unsynced batch is durable as soon as a later synced
  one is.
- Only one thread writes; any thread reads. `close` is for the one that owns both, when neither runs.

Refuses: single puts, iterators that outlive a call, use in a forked child (open the store after the spawn).
Source: github.com/google/leveldb, doc/index.md and doc/log_format.md.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias
from weakref import WeakValueDictionary

import plyvel

from ledger.errors import DerivedDamagedError, StoreDamagedError, StoreError, StoreFatalError

SCAN_MAX: Final = 65_536
"""Largest number of pairs that one `scan` hands out."""

Operation: TypeAlias = tuple[bytes, bytes | None]
"""A key and its new value, or None to delete it."""

_FOREIGN_FREE: Final = ("LOCK", "LOG", "LOG.old")
"""What LevelDB leaves behind when it merely looked; a folder with nothing else holds no store."""


_OPEN: Final = WeakValueDictionary[Path, "LevelDb"]()
"""The databases that this process has open. Only the thread that starts and stops the node changes it."""


class Reader(Protocol):
    """What reading needs: of the store as it is now, or of a snapshot."""

    def get(self, key: bytes) -> bytes | None:
        """Return the value, or None. Raises StoreDamagedError, StoreFatalError."""
        ...

    def scan(
        self, start: bytes, stop: bytes, *, limit: int, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """Return at most `limit` pairs of the half-open range, rising, or falling if `reverse`.

        Raises StoreDamagedError, StoreFatalError.
        """
        ...


class KeyValue(Reader, Protocol):
    """An ordered key-value store whose writes are atomic batches. The tests have one in memory."""

    def write(self, operations: Sequence[Operation], *, sync: bool) -> None:
        """Apply all operations or none, in their order; with `sync` they are on the disk on return.

        Raises StoreFatalError, once and for ever; StoreDamagedError instead if damage stops a rebuildable
        store.
        """
        ...

    def snapshot(self) -> AbstractContextManager[Reader]:
        """Return a reader of the present state that later writes do not change."""
        ...

    def close(self) -> None:
        """Release the files. Nothing may run in another thread. A second call does nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Options:
    """How a database is run. Sizes in bytes.

    `rebuildable`: damage found while writing is a StoreDamagedError (throw away and rebuild), not a fatal
    one.
    """

    write_buffer_bytes: int
    cache_bytes: int = 16 * 1024 * 1024
    rebuildable: bool = False

    def damaged(self, words: str) -> StoreDamagedError:
        """Return the error for damage in such a store."""
        if self.rebuildable:
            return DerivedDamagedError("E_DERIVED_DAMAGED", f"{words}; it will be rebuilt")
        return StoreDamagedError(
            "E_STORE_DAMAGED", f"{words}; keep the folder as it is for examination, nothing was repaired"
        )


class LevelDb:
    """A KeyValue on LevelDB. Made by `create_database` or `open_database`, never directly.

    `_dead` is None until a write failed, then why; written by the writer thread, read by all.
    """

    __slots__ = ("__weakref__", "_db", "_dead", "_options", "_path")

    def __init__(self, db: Any, path: Path, options: Options) -> None:
        self._db = db
        self._path = path
        self._options = options
        self._dead: str | None = None

    def get(self, key: bytes) -> bytes | None:
        """Return the value, or None; about 5 us. See Reader."""
        self._require_alive()
        with _reading(self._path, self._options):
            return _value(self._db.get(key, verify_checksums=True))

    def scan(
        self, start: bytes, stop: bytes, *, limit: int, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """Return at most `limit` pairs of [start, stop). See Reader."""
        self._require_alive()
        return _scan(self._db, self._path, self._options, start, stop, limit=limit, reverse=reverse)

    def write(self, operations: Sequence[Operation], *, sync: bool) -> None:
        """Write all operations as one batch. See KeyValue."""
        self._require_alive()
        try:
            batch = self._db.write_batch(sync=sync)
            for key, value in operations:
                if value is None:
                    batch.delete(key)
                else:
                    batch.put(key, value)
            batch.write()
        except BaseException as error:
            # Whatever it was, nobody knows what is on the disk now: the next open will tell.
            self._dead = f"{type(error).__name__}: {_text(error)}"
            if isinstance(error, plyvel.CorruptionError) and self._options.rebuildable:
                raise self._options.damaged(f"{self._path} is damaged ({_text(error)})") from error
            if isinstance(error, (plyvel.Error, OSError)):
                raise StoreFatalError(
                    "E_STORE_WRITE",
                    f"a write to {self._path} failed ({_text(error)}); what was being written may or may not "
                    "be there, and this process must end. Free the disk or replace it, then start again",
                ) from error
            raise

    @contextmanager
    def snapshot(self) -> Iterator[Reader]:
        """Return a reader of the present state. See KeyValue."""
        self._require_alive()
        with self._db.snapshot() as frozen:
            yield _Snapshot(frozen, self._path, self._options)

    def close(self) -> None:
        """Release the files. See KeyValue."""
        self._db.close()
        if _OPEN.get(self._path.resolve()) is self:
            del _OPEN[self._path.resolve()]

    def _require_alive(self) -> None:
        if self._dead is not None:
            raise StoreFatalError(
                "E_STORE_WRITE", f"{self._path} is closed after a failed write ({self._dead})"
            )


class _Snapshot:
    """A Reader of one moment."""

    __slots__ = ("_frozen", "_options", "_path")

    def __init__(self, frozen: Any, path: Path, options: Options) -> None:
        self._frozen = frozen
        self._path = path
        self._options = options

    def get(self, key: bytes) -> bytes | None:
        """Return the value at that moment, or None."""
        with _reading(self._path, self._options):
            return _value(self._frozen.get(key, verify_checksums=True))

    def scan(
        self, start: bytes, stop: bytes, *, limit: int, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """Return at most `limit` pairs of that moment."""
        return _scan(self._frozen, self._path, self._options, start, stop, limit=limit, reverse=reverse)


def create_database(path: Path, options: Options) -> LevelDb:
    """Make a new database in `path`, which must not exist or be empty; its parent must exist.

    Raises StoreError E_STORE_EXISTS, E_STORE_LOCKED, E_STORE_OPEN.
    """
    if path.is_dir() and any(path.iterdir()):
        raise StoreError("E_STORE_EXISTS", f"{path} is not empty; a new store is made only in an empty place")
    return _open(path, options, create=True)


def open_database(path: Path, options: Options) -> LevelDb:
    """Open the database in `path`.

    Raises StoreError E_STORE_MISSING, E_STORE_LOCKED, E_STORE_OPEN, StoreDamagedError E_STORE_DAMAGED.
    """
    if not path.is_dir() or not any(entry.name not in _FOREIGN_FREE for entry in path.iterdir()):
        raise StoreError(
            "E_STORE_MISSING",
            f"there is no store in {path}; a start never makes one, `init` does, once per node",
        )
    if not (path / "CURRENT").is_file():
        raise options.damaged(f"{path} has lost its file CURRENT, or is not a store at all")
    return _open(path, options, create=False)


def destroy_database(path: Path) -> None:
    """Delete the files of a database that is rebuildable; other files in the folder stay.

    Raises StoreError E_STORE_LOCKED, E_STORE_OPEN.
    """
    _require_free(path)
    try:
        plyvel.destroy_db(str(path))
    except (plyvel.Error, OSError) as error:
        raise _opening_error(path, error, Options(0), create=True) from error


def _open(path: Path, options: Options, *, create: bool) -> LevelDb:
    _require_free(path)
    try:
        db = plyvel.DB(
            str(path),
            create_if_missing=create,
            error_if_exists=create,
            paranoid_checks=True,
            compression=None,  # digests do not compress, and bodies must be readable as they are
            write_buffer_size=options.write_buffer_bytes,
            lru_cache_size=options.cache_bytes,
        )
    except (plyvel.Error, OSError) as error:
        raise _opening_error(path, error, options, create=create) from error
    store = LevelDb(db, path, options)
    _OPEN[path.resolve()] = store
    return store


def _require_free(path: Path) -> None:
    if path.resolve() in _OPEN:
        raise StoreError("E_STORE_LOCKED", f"this process already has the store in {path} open")


def _opening_error(path: Path, error: Exception, options: Options, *, create: bool) -> StoreError:
    words = _text(error)
    if "LOCK:" in words and ("already held" in words or "temporarily unavailable" in words):
        return StoreError("E_STORE_LOCKED", f"another process has the store in {path} open; stop it first")
    # LevelDB says "Invalid argument" of a CURRENT file that names no manifest, and "No such file" of what is
    # lost.
    signs = ("Invalid argument", "No such file", "CURRENT")
    if not create and (isinstance(error, plyvel.CorruptionError) or any(sign in words for sign in signs)):
        return options.damaged(f"the store in {path} is damaged ({words})")
    return StoreError("E_STORE_OPEN", f"the store in {path} cannot be opened: {words}")


@contextmanager
def _reading(path: Path, options: Options) -> Iterator[None]:
    """Turn what a read raises into our words."""
    try:
        yield
    except (plyvel.Error, OSError) as error:
        raise options.damaged(f"a read from {path} failed ({_text(error)})") from error


def _scan(
    source: Any, path: Path, options: Options, start: bytes, stop: bytes, *, limit: int, reverse: bool
) -> list[tuple[bytes, bytes]]:
    assert 1 <= limit <= SCAN_MAX, "a scan is bounded"
    found: list[tuple[bytes, bytes]] = []
    with (
        _reading(path, options),
        source.iterator(start=start, stop=stop, reverse=reverse, verify_checksums=True) as iterator,
    ):
        for pair in iterator:
            found.append(pair)
            if len(found) == limit:
                break
    return found


def _value(value: Any) -> bytes | None:
    assert value is None or isinstance(value, bytes)
    return value


def _text(error: BaseException) -> str:
    """Return LevelDB's words; plyvel hands them over as bytes inside the exception."""
    words = error.args[0] if len(error.args) == 1 else error
    return words.decode("utf-8", "replace") if isinstance(words, bytes) else str(words)
