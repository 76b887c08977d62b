"""The record index: at which heights a commitment may lie. Found by its first 16 bytes.

Why so coarse: it answers "is this digest on the chain?" by naming a few heights, and whoever asks compares
whole leaves in the bodies there. That makes an entry 22 bytes long and lets nobody gain anything from two
commitments that begin alike.

Parts: a tail in memory (up to 131,072 records, in 256 buckets by first byte), pages on the disk
(`store_pages`), and a filter over all keys (`store_filter`) that answers most questions by itself.

Rules kept here:
- The tail is not on the disk. The pages say which height they cover, and whoever opens the index adds the
  blocks above it again.
- Pages are written between blocks, never within one.
- A reader that runs beside the writer looks at the tail first and at the pages then; the writer writes pages
  first and empties the tail then. So nothing is ever missed.

Threads: one writer calls `add`; any thread calls `heights` and `suspects`.
Refuses: being a rule of the chain. A lost or forged index can hide a duplicate or a position, never make one.
"""

from collections.abc import Sequence
from struct import Struct
from typing import Final

from ledger import keyspace
from ledger.errors import DerivedDamagedError
from ledger.store_filter import WORDS_MAX, SeenFilter
from ledger.store_kv import KeyValue
from ledger.store_pages import BUCKETS, Merger, all_keys, find_heights, heights_in, run_operations

RUN_RECORDS: Final = 131_072
RUN_HEIGHTS: Final = 16_384
"""A run is also written after so many blocks, however small: reading them again at a start takes a second or
two.
"""
_STEP_CREDIT: Final = 2048
"""One merge step after so much credit; a record gives 1, a block RUN_RECORDS / RUN_HEIGHTS. Twice what is
needed.
"""
_STATE: Final = Struct(">QQQ")  # first height not in pages, records in pages, runs


class RecordIndex:
    """See the module. Made by opening a key-value store, empty or not.

    `next_height` is the first height whose records are not in here yet. `_tail` is replaced, never emptied in
    place.
    """

    __slots__ = (
        "_credit",
        "_filter",
        "_kv",
        "_merger",
        "_paged",
        "_paged_heights",
        "_runs",
        "_tail",
        "_tail_records",
        "next_height",
    )

    def __init__(self, kv: KeyValue, *, filter_words_max: int = WORDS_MAX) -> None:
        """Read the state and fill the filter from the pages: about half a microsecond per record.

        Raises DerivedDamagedError.
        """
        value = kv.get(keyspace.INDEX_STATE)
        if value is not None and len(value) != _STATE.size:
            raise DerivedDamagedError("E_DERIVED_DAMAGED", "the state of the record index is none")
        self._kv = kv
        state: tuple[int, int, int] = (0, 0, 0) if value is None else _STATE.unpack(value)
        self.next_height, self._paged, self._runs = state
        self._paged_heights = self.next_height
        self._tail = _empty_tail()
        self._tail_records = 0
        self._credit = 0
        self._merger = Merger(kv, self._runs)
        self._filter = SeenFilter(self._paged, words_max=filter_words_max)
        for keys in all_keys(kv):
            self._filter.add(keys)
        if self._filter.count != self._paged:
            raise DerivedDamagedError("E_DERIVED_DAMAGED", "pages of the record index are missing")

    @property
    def records(self) -> int:
        """Number of records, those in the tail included."""
        return self._paged + self._tail_records

    def add(self, height: int, keys: Sequence[bytes]) -> None:
        """Add the keys (16 bytes each) of the block at `height`, the next one; about 0.6 us per record.

        Writes pages, unsynced, when enough have gathered. Raises DerivedDamagedError, StoreFatalError.
        """
        assert height == self.next_height, "blocks are indexed in their order"
        tail = self._tail
        place = height.to_bytes(6, "big")
        for key in keys:
            tail[key[0]] += key + place
        self._filter.add(keys)
        self._tail_records += len(keys)
        self.next_height = height + 1
        enough = self._tail_records >= RUN_RECORDS or self.next_height - self._paged_heights >= RUN_HEIGHTS
        if enough:
            self._write_run()
        self._credit += len(keys) + RUN_RECORDS // RUN_HEIGHTS
        while self._credit >= _STEP_CREDIT:
            self._credit -= _STEP_CREDIT
            self._merger.step()

    def suspects(self, keys: Sequence[bytes]) -> list[int]:
        """Return the positions of the keys that may be indexed; the others surely are not. About 0.3 us per
        key.
        """
        return self._filter.suspects(keys)

    def heights(self, key: bytes) -> list[int]:
        """Return the heights of blocks with a commitment that begins with `key` (16 bytes), rising.

        About 100 us while there are fewer than 16 runs. Raises DerivedDamagedError.
        """
        found = heights_in(self._tail[key[0]], key)
        return sorted(found | find_heights(self._kv, key, self._merger.floors))

    def _write_run(self) -> None:
        paged = self._paged + self._tail_records
        operations = run_operations(self._tail, self._runs)
        operations.append((keyspace.INDEX_STATE, _STATE.pack(self.next_height, paged, self._runs + 1)))
        self._kv.write(operations, sync=False)
        self._runs += 1
        self._paged = paged
        self._paged_heights = self.next_height
        self._tail = _empty_tail()
        self._tail_records = 0
        self._merger.run_written(self._runs)


def _empty_tail() -> list[bytearray]:
    return [bytearray() for _ in range(BUCKETS)]
