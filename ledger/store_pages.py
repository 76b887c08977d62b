"""The pages of the record index: where on the disk the pairs (commitment, height) lie, and how they are
merged.

Why pages: one database key per record costs ten times as much as everything else the index does. So 131,072
records are gathered and then written as one *run*: a page for each value of the first byte of the commitment.
Looking up a key reads one page per run. That grows, so sixteen runs are merged into one whose pages are
chosen by 12 bits, and sixteen of those into one chosen by 16: a lookup in a thousand million records reads
about sixty pages instead of eight thousand. Merging only splits; nothing is sorted.

A page is a row of 22-byte pairs: the first 16 bytes of the commitment and the height in 6. Keys:
`keyspace.index_page`.

Rules kept here:
- A page holds at most 4,096 pairs. Whoever fills one bucket with chosen commitments gets more pages, all of
  which are read; nothing is dropped.
- A merge step is one atomic batch for one page prefix; cut off anywhere, the rest is done later.

Refuses: order inside a page, deleting, and knowing what a height holds.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from functools import lru_cache
from struct import Struct
from typing import Final

from ledger import keyspace
from ledger.errors import DerivedDamagedError
from ledger.store_kv import KeyValue, Operation, Reader

KEY_BYTES: Final = 16
PAIR_BYTES: Final = KEY_BYTES + 6
BUCKETS: Final = 256
PAGE_BYTES_MAX: Final = 4096 * PAIR_BYTES
FAN_OUT: Final = 16
_TOP_LEVEL: Final = 2
_PREFIX_MASKS: Final = (0xFF00, 0xFFF0, 0xFFFF)
_SCAN_PAGES: Final = 64


def run_operations(buckets: Sequence[bytes | bytearray], run: int) -> list[Operation]:
    """Return the writes of a run: the pairs of each of the 256 buckets."""
    assert len(buckets) == BUCKETS, "one bucket per first byte"
    operations: list[Operation] = []
    for bucket, pairs in enumerate(buckets):
        operations += _parts(0, bucket << 8, run, bytes(pairs))
    return operations


def heights_in(pairs: bytes | bytearray, key: bytes) -> set[int]:
    """Return the heights that stand behind `key` in a row of pairs."""
    found = set()
    at = pairs.find(key)
    while at >= 0:
        if at % PAIR_BYTES:  # the bytes of two neighbours happen to look like the key
            at = pairs.find(key, at + 1)
        else:
            found.add(int.from_bytes(pairs[at + KEY_BYTES : at + PAIR_BYTES], "big"))
            at = pairs.find(key, at + PAIR_BYTES)
    return found


def find_heights(reader: Reader, key: bytes, floors: Sequence[int] = (0, 0, 0)) -> set[int]:
    """Return the heights that any page gives for `key`; about 10 us per page.

    `floors` are `Merger.floors`: below them lie only deleted pages, which cost as much as living ones to walk
    over until the database compacts them away. Raises DerivedDamagedError.
    """
    assert len(key) == KEY_BYTES, "the first 16 bytes of a commitment"
    first = int.from_bytes(key[:2], "big")
    found: set[int] = set()
    for level, mask in enumerate(_PREFIX_MASKS):
        prefix = keyspace.page_prefix(level, first & mask)
        start = prefix + floors[level].to_bytes(4, "big")
        for _, page in _pages(reader, start, keyspace.after(prefix)):
            found |= heights_in(page, key)
    return found


def all_keys(reader: Reader) -> Iterator[tuple[bytes, ...]]:
    """Yield the keys of every page, page by page. Raises DerivedDamagedError."""
    for _, page in _pages(reader, *keyspace.pages_range()):
        yield _layout("16s6x", len(page) // PAIR_BYTES).unpack(page)


class Merger:
    """The merges that are still to do, in their order. Owned by the writer.

    `pending` holds (level, prefix, bound): merge the pages of this level and prefix whose run is below the
    bound; a prefix of -1 marks the end of a plan. `floors` tells per level the run below which nothing is
    left.
    """

    __slots__ = ("_kv", "floors", "pending")

    def __init__(self, kv: KeyValue, runs: int) -> None:
        """Take up whatever a store with `runs` runs may have left undone; done steps find nothing to do."""
        self._kv = kv
        self.floors: tuple[int, ...] = (0, 0, 0)
        self.pending: deque[tuple[int, int, int]] = deque()
        for level in range(_TOP_LEVEL):
            width = FAN_OUT ** (level + 1)
            self._plan(level, runs // width * width)

    def run_written(self, runs: int) -> None:
        """Plan the merges that are due when there are `runs` runs."""
        for level in range(_TOP_LEVEL):
            if runs % FAN_OUT ** (level + 1) == 0:
                self._plan(level, runs)

    def step(self) -> None:
        """Merge the pages of one prefix, if anything is pending; about 3 ms for 8,192 records.

        Raises DerivedDamagedError, StoreFatalError.
        """
        if not self.pending:
            return
        level, prefix, bound = self.pending.popleft()
        if prefix < 0:
            self.floors = tuple(bound if at == level else floor for at, floor in enumerate(self.floors))
            return
        place = keyspace.page_prefix(level, prefix)
        start, stop = (place + run.to_bytes(4, "big") for run in (self.floors[level], bound))
        outputs = [bytearray() for _ in range(FAN_OUT)]
        operations: list[Operation] = []
        shift = 4 if level == 0 else 0
        for page_key, page in _pages(self._kv, start, stop):
            operations.append((page_key, None))
            for pair in _layout("22s", len(page) // PAIR_BYTES).unpack(page):
                outputs[pair[1] >> shift & 15] += pair
        if not operations:
            return
        for nibble, pairs in enumerate(outputs):
            operations += _parts(level + 1, prefix | nibble << shift, bound - 1, bytes(pairs))
        self._kv.write(operations, sync=False)

    def _plan(self, level: int, bound: int) -> None:
        if bound:
            shift = 8 if level == 0 else 4
            self.pending += [(level, number << shift, bound) for number in range(1 << (16 - shift))]
            self.pending.append((level, -1, bound))


def _parts(level: int, prefix: int, run: int, pairs: bytes) -> list[Operation]:
    starts = range(0, len(pairs), PAGE_BYTES_MAX)
    return [
        (keyspace.index_page(level, prefix, run, part), pairs[start : start + PAGE_BYTES_MAX])
        for part, start in enumerate(starts)
    ]


def _pages(reader: Reader, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the pages of a range, a bounded number in memory at a time."""
    while True:
        found = reader.scan(start, stop, limit=_SCAN_PAGES)
        for key, page in found:
            if not page or len(page) % PAIR_BYTES or len(page) > PAGE_BYTES_MAX:
                raise DerivedDamagedError(
                    "E_DERIVED_DAMAGED", "a page of the record index has an impossible length"
                )
            yield key, page
        if len(found) < _SCAN_PAGES:
            return
        start = found[-1][0] + b"\x00"


@lru_cache(maxsize=512)
def _layout(one: str, count: int) -> Struct:
    return Struct(one * count)
