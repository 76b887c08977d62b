"""A key-value store in memory that crashes, fills up and fails on command.

It implements `ledger.store_kv.KeyValue` and keeps the promises that LevelDB keeps, no more: batches are
atomic and ordered, a synced batch carries all unsynced ones before it to the disk, a crash keeps every synced
batch and *some prefix* of the others. The simulator and the unit tests use it in place of a disk.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ledger.errors import StoreFatalError
from ledger.store_kv import SCAN_MAX, Operation, Options, Reader


class MemoryKv:
    """See the module. `fail_after` writes more, the next one fails: it is applied or not by
    `failed_is_there`.
    """

    def __init__(self, *, rebuildable: bool = False) -> None:
        self._rebuildable = rebuildable
        self._data: dict[bytes, bytes] = {}
        self._keys: list[bytes] = []
        self._snapshots = 0
        self._durable: dict[bytes, bytes] = {}
        self._unsynced: list[list[Operation]] = []
        self._dead = False
        self._damaged: set[bytes] = set()
        self.fail_after: int | None = None
        self.failed_is_there = False
        self.writes = 0
        self.syncs = 0

    def get(self, key: bytes) -> bytes | None:
        """Return the value, or None."""
        self._require_alive()
        return self._get(self._data, key)

    def scan(
        self, start: bytes, stop: bytes, *, limit: int, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """Return at most `limit` pairs of [start, stop)."""
        self._require_alive()
        return self._scan(self._data, self._keys, start, stop, limit=limit, reverse=reverse)

    def write(self, operations: Sequence[Operation], *, sync: bool) -> None:
        """Apply a batch, or fail for ever."""
        self._require_alive()
        failing = self.fail_after == 0
        if self.fail_after is not None:
            self.fail_after -= 1
        if not failing or self.failed_is_there:
            if self._snapshots:  # open snapshots keep the old dictionary
                self._data = dict(self._data)
                self._keys = list(self._keys)
            _apply(self._data, operations, self._keys)
            self._unsynced.append(list(operations))
        if failing:
            self._dead = True
            raise StoreFatalError("E_STORE_WRITE", "a write failed, as the test wanted")
        self.writes += 1
        if sync:
            self.syncs += 1
            for batch in self._unsynced:
                _apply(self._durable, batch)
            self._unsynced.clear()

    @contextmanager
    def snapshot(self) -> Iterator[Reader]:
        """Return a reader of this moment."""
        self._require_alive()
        self._snapshots += 1
        try:
            yield _Frozen(self, self._data, self._keys)
        finally:
            self._snapshots -= 1

    def close(self) -> None:
        """Do nothing: the memory stays, as a disk would."""

    @property
    def unsynced(self) -> int:
        """Number of batches that a crash may lose."""
        return len(self._unsynced)

    def crash(self, keep: int = 0) -> "MemoryKv":
        """Return the store as a restart finds it, with `keep` of the unsynced batches; this one is dead."""
        assert 0 <= keep <= len(self._unsynced), "only unsynced batches can be lost"
        after = MemoryKv(rebuildable=self._rebuildable)
        after._data = dict(self._durable)
        for batch in self._unsynced[:keep]:
            _apply(after._data, batch)
        after._keys = sorted(after._data)
        after._durable = dict(after._data)
        after._damaged = set(self._damaged)
        self._dead = True
        return after

    def copy(self) -> "MemoryKv":
        """Return an independent copy of what is durable: a backup."""
        other = MemoryKv(rebuildable=self._rebuildable)
        other._data = dict(self._durable)
        other._durable = dict(self._durable)
        other._keys = sorted(other._data)
        return other

    def damage(self, key: bytes) -> None:
        """Make every read of this key find a bad checksum."""
        self._damaged.add(key)

    def forge(self, key: bytes, value: bytes | None) -> None:
        """Change a value behind the back of everybody, with a good checksum."""
        for data in (self._data, self._durable):
            _apply(data, [(key, value)])
        self._keys = sorted(self._data)

    def all_keys(self) -> list[bytes]:
        """Return all keys, for tests that want to touch each."""
        return list(self._keys)

    def _get(self, data: dict[bytes, bytes], key: bytes) -> bytes | None:
        if key in self._damaged:
            raise Options(0, rebuildable=self._rebuildable).damaged("a checksum is wrong, as the test wanted")
        return data.get(key)

    def _scan(
        self,
        data: dict[bytes, bytes],
        keys: list[bytes],
        start: bytes,
        stop: bytes,
        *,
        limit: int,
        reverse: bool,
    ) -> list[tuple[bytes, bytes]]:
        assert 1 <= limit <= SCAN_MAX
        low, high = bisect_left(keys, start), bisect_left(keys, stop)
        chosen = keys[max(low, high - limit) : high][::-1] if reverse else keys[low : min(high, low + limit)]
        found = []
        for key in chosen:
            value = self._get(data, key)
            assert value is not None
            found.append((key, value))
        return found

    def _require_alive(self) -> None:
        if self._dead:
            raise StoreFatalError("E_STORE_WRITE", "used after a failed write or a crash")


class _Frozen:
    def __init__(self, kv: MemoryKv, data: dict[bytes, bytes], keys: list[bytes]) -> None:
        self._kv = kv
        self._data = data
        self._keys = keys

    def get(self, key: bytes) -> bytes | None:
        return self._kv._get(self._data, key)

    def scan(
        self, start: bytes, stop: bytes, *, limit: int, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        return self._kv._scan(self._data, self._keys, start, stop, limit=limit, reverse=reverse)


def _apply(
    data: dict[bytes, bytes], operations: Sequence[Operation], keys: list[bytes] | None = None
) -> None:
    """Apply a batch to `data`, and to the sorted list of its keys if there is one."""
    for key, value in operations:
        if keys is not None and (key in data) != (value is not None):
            at = bisect_left(keys, key)
            if value is None:
                del keys[at]
            else:
                keys.insert(at, key)
        if value is None:
            data.pop(key, None)
        else:
            data[key] = value
