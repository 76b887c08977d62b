"""One view over the durable log and the entries that are not durable yet.

Three marks run over the log: `last_index` (known to this replica), `durable` (in its own synced store, as the log
stands now) and, kept by the caller, the commit index. Entries above `durable` live only here; of those below, a
bounded number of bytes is kept for followers close behind, the rest is read from `Storage`. So a node with ten
million entries holds no more in memory than its windows.

The mark `durable` obeys one rule (the race it prevents is told in etcd's script
async_storage_writes_append_aba_race): a truncation in memory lowers it at once, and a batch that was handed out
before that truncation can later raise it only up to the place of the cut. So what storage holds at an index <=
`durable` is what this view holds there, also while older batches are still on their way to the disk.

Paper 5.3 and figure 2 (log), 5.4.1 ("up-to-date").
Refuses: gaps, reads above the last entry, truncation of the root. Whether a truncation is allowed is decided by
`following.py`; this view only executes it.
"""

from __future__ import annotations

from bisect import bisect_left

from consensus.errors import StartError
from consensus.types import Entry, EntryKind, Index, Storage, Term


class Log:
    """The view. It changes by `append`, `truncate`, `take_writes` and `mark_durable` only."""

    __slots__ = (
        "_base",
        "_cache_max",
        "_cut",
        "_ends",
        "_offset",
        "_storage",
        "_tail",
        "_written",
        "durable",
        "last",
    )

    def __init__(self, storage: Storage, cache_max_bytes: int) -> None:
        self._storage = storage
        self._cache_max = cache_max_bytes
        last_index = storage.last_index()
        stored = storage.entries(last_index, last_index + 1, 1)
        if len(stored) != 1 or stored[0].index != last_index:
            raise StartError(f"storage does not hold its own last entry {last_index}")
        self.last: Entry = stored[0]  # the newest entry known here
        self.durable: Index = (
            last_index  # everything up to here is in the synced store as it stands in this view
        )
        self._offset: Index = last_index + 1  # index of the first entry in `_tail`
        self._tail: list[Entry] = []  # consecutive entries offset .. last
        self._ends: list[int] = []  # running sum of cost() at the end of each tail entry
        self._base = 0  # running sum before the first tail entry
        self._written: Index = last_index  # handed out for writing up to here
        self._cut: Index | None = None  # truncation not handed out yet

    @property
    def last_index(self) -> Index:
        """Index of the newest entry."""
        return self.last.index

    def term(self, index: Index) -> Term:
        """Term of the entry at `index`, which must be held."""
        assert 0 <= index <= self.last.index, f"no entry {index}"
        if index >= self._offset:
            return self._tail[index - self._offset].term
        if index == self.last.index:
            return self.last.term
        return self._storage.term(index)

    def hash(self, index: Index) -> bytes:
        """Running hash of the entry at `index`, which must be held."""
        assert 0 <= index <= self.last.index, f"no entry {index}"
        if index >= self._offset:
            return self._tail[index - self._offset].hash
        if index == self.last.index:
            return self.last.hash
        return self._storage.hash(index)

    def entry(self, index: Index) -> Entry:
        """The entry at `index`, which must be held."""
        assert 0 <= index <= self.last.index, f"no entry {index}"
        if index >= self._offset:
            return self._tail[index - self._offset]
        if index == self.last.index:
            return self.last
        return self._storage.entries(index, index + 1, 1)[0]

    def is_up_to_date(self, last_term: Term, last_index: Index) -> bool:
        """Whether a log that ends so is at least as up to date as this one (paper 5.4.1)."""
        own = self.last
        return last_term > own.term or (last_term == own.term and last_index >= own.index)

    def slice(self, lo: Index, hi: Index, max_bytes: int) -> list[Entry]:
        """Entries lo <= index < hi, at least one, then as many as fit in `max_bytes`."""
        assert 0 <= lo < hi <= self.last.index + 1, f"no entries {lo}..{hi}"
        if lo < self._offset:
            top = min(hi, self._offset)
            taken = list(self._storage.entries(lo, top, max_bytes))
            assert taken, "storage lost an entry that it had synced"
            assert taken[0].index == lo, "storage answered with another entry"
            if len(taken) < top - lo or top == hi:
                return taken
            budget = max_bytes - sum(entry.cost() for entry in taken)
            return taken + (self._from_tail(top, hi, budget) if budget > 0 else [])
        return self._from_tail(lo, hi, max_bytes) or [self._tail[lo - self._offset]]

    def slice_to_barrier(self, lo: Index, hi: Index, max_bytes: int) -> list[Entry]:
        """Like `slice`, ending with the first governance entry: nobody takes what follows before applying it."""
        entries = self.slice(lo, hi, max_bytes)
        for position, entry in enumerate(entries):
            if entry.kind is EntryKind.GOVERNANCE:
                return entries[: position + 1]
        return entries

    def _from_tail(self, lo: Index, hi: Index, max_bytes: int) -> list[Entry]:
        """As many entries of the tail from `lo` on as fit; possibly none."""
        first = lo - self._offset
        before = self._ends[first - 1] if first else self._base
        top = bisect_left(self._ends, before + max_bytes + 1, first, hi - self._offset)
        return self._tail[first:top]

    def bytes_above(self, index: Index) -> int:
        """Cost in bytes of the entries above `index`, as far as they are kept in memory."""
        if not self._tail or index >= self.last.index:
            return 0
        position = index - self._offset
        return self._ends[-1] - (self._ends[position] if position >= 0 else self._base)

    def append(self, entry: Entry) -> None:
        """Put `entry` behind the last one; it is durable only once a batch with it was synced."""
        assert entry.index == self.last.index + 1, "entries follow one another"
        assert entry.term >= self.last.term, "terms never fall along the log"
        self._tail.append(entry)
        self._ends.append((self._ends[-1] if self._ends else self._base) + entry.cost())
        self.last = entry

    def truncate(self, index: Index) -> None:
        """Forget the entries from `index` on."""
        assert 0 < index <= self.last.index, "truncation of nothing, or of the root"
        before = self.entry(index - 1)
        keep = index - self._offset
        if keep > 0:
            del self._tail[keep:], self._ends[keep:]
        else:
            self._tail.clear()
            self._ends.clear()
            self._offset, self._base = index, 0
        self.last = before
        self.durable = min(self.durable, index - 1)
        if index <= self._written:
            self._cut = index if self._cut is None else min(self._cut, index)
            self._written = index - 1

    def take_writes(self) -> tuple[Index | None, tuple[Entry, ...]]:
        """What the disk has not been told: where to truncate, and the entries to append after that."""
        cut, self._cut = self._cut, None
        if self._written == self.last.index:
            return cut, ()
        entries = tuple(self._tail[self._written + 1 - self._offset :])
        self._written = self.last.index
        return cut, entries

    def mark_durable(self, index: Index) -> None:
        """A synced batch covers the log up to `index` (already lowered by truncations since it was made)."""
        assert index <= self._written, "nothing is durable that was not handed out"
        self.durable = max(self.durable, index)
        self._trim()

    def _trim(self) -> None:
        """Drop durable entries from memory once the cache is over its size, a quarter more at a time."""
        if not self._ends or self._ends[-1] - self._base <= self._cache_max:
            return
        target = self._ends[-1] - self._cache_max * 3 // 4
        drop = min(bisect_left(self._ends, target), self.durable + 1 - self._offset, len(self._tail))
        if drop > 0:
            self._base = self._ends[drop - 1]
            del self._tail[:drop], self._ends[:drop]
            self._offset += drop


def hint(log: Log, index: Index, term: Term, floor: Index) -> Index:
    """The highest place <= `index` (but not below `floor`) whose term is at most `term`.

    With it, one mismatch skips a whole stretch of terms that cannot agree (paper 5.3, last paragraphs). `floor`
    is a place known to agree, so the walk is no longer than an uncommitted tail.
    """
    place = min(index, log.last_index)
    while place > floor and log.term(place) > term:
        place -= 1
    return place
