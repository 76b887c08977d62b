"""A log in memory: the model of a durable store that tests, scenarios and the simulator use.

It follows the contract a host must keep: a batch is atomic (truncation, entries and hard state together), batches
are applied in their order, and reading answers from what was applied. Paper figure 2, "persistent state".

Refuses: gaps, rewriting without truncation, and truncating the root: each is a fault of the host, so an `assert`.
"""

from __future__ import annotations

from collections.abc import Sequence

from consensus.types import Entry, HardState, Index, Term


class MemoryStorage:
    """Entries and hard state as a dictionary-free list; index 0 is the root."""

    __slots__ = ("_log", "hard_state")

    def __init__(self, root: Entry, hard_state: HardState | None = None) -> None:
        assert root.index == 0, "the log begins with the root"
        self._log: list[Entry] = [root]
        self.hard_state: HardState = hard_state or HardState()

    def write(
        self, truncate_from: Index | None, entries: Sequence[Entry], hard_state: HardState | None
    ) -> None:
        """Apply one batch: all of it or, if the process dies before, nothing."""
        if truncate_from is not None:
            assert truncate_from > 0, "the root cannot be truncated"
            del self._log[truncate_from:]
        for entry in entries:
            assert entry.index == len(self._log), "a batch continues the log without a gap"
            self._log.append(entry)
        if hard_state is not None:
            self.hard_state = hard_state

    def last_index(self) -> Index:
        """Index of the last entry; 0 when only the root is there."""
        return len(self._log) - 1

    def term(self, index: Index) -> Term:
        """Term of the entry at `index`."""
        return self._log[index].term

    def hash(self, index: Index) -> bytes:
        """Running hash of the entry at `index`."""
        return self._log[index].hash

    def entries(self, lo: Index, hi: Index, max_bytes: int) -> Sequence[Entry]:
        """Entries lo <= index < hi; at least one, then as many as fit in `max_bytes`."""
        taken: list[Entry] = []
        budget = max_bytes
        for entry in self._log[lo:hi]:
            budget -= entry.cost()
            if taken and budget < 0:
                break
            taken.append(entry)
        return taken
