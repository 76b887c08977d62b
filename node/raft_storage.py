"""Consensus' view of the chain store: reading entries for it, and turning its batches into the store's.

Why a file of its own: consensus counts votes with None and the store with "", consensus speaks of indices and
the store of heights, and every such pair is translated here and nowhere else. Index = height; nothing is ever
compacted.

Rules kept here
- What is read was checked by the store: its hash was computed again from the body.
- Reads happen on the loop's thread, writes on the disk thread (`writer`).

Refuses: caching (consensus keeps what it needs) and writing.
"""

from collections.abc import Sequence

from consensus.ready import Ready
from consensus.types import Entry
from consensus.types import HardState as RaftHardState
from ledger.store_chain import ChainStore, HardState, StoredEntry
from node.replica import LedgerHost
from node.writer import DiskBatch


class RaftStorage:
    """Implements `consensus.types.Storage` on a chain store."""

    def __init__(self, store: ChainStore, host: LedgerHost) -> None:
        """`host` derives entries from stored bodies."""
        self._store = store
        self._host = host

    def last_index(self) -> int:
        """Height of the newest entry."""
        return self._store.last().height

    def term(self, index: int) -> int:
        """Term of a stored entry."""
        return self._store.term_and_hash(index)[0]

    def hash(self, index: int) -> bytes:
        """Entry hash of a stored entry."""
        return self._store.term_and_hash(index)[1]

    def entries(self, lo: int, hi: int, max_bytes: int) -> Sequence[Entry]:
        """Stored entries lo <= index < hi, at least one, then as many as fit in `max_bytes`."""
        return [self._host.stored(entry) for entry in self._store.entries(lo, hi, max_bytes=max_bytes)]


def raft_hard_state(stored: HardState, commit: int) -> RaftHardState:
    """The hard state to start consensus from; `commit` is what is known to be committed, at least the stored
    one.
    """
    assert commit >= stored.commit, "what was committed stays committed"
    return RaftHardState(stored.term, stored.vote or None, commit)


def disk_batch(ready: Ready) -> DiskBatch:
    """The batch that a Ready with `must_sync` wants written."""
    assert ready.must_sync, "nothing to write"
    assert ready.hard_state is not None, "a batch carries the hard state"
    hard = ready.hard_state
    return DiskBatch(
        ready.batch,
        HardState(hard.term, hard.vote or "", hard.commit),
        ready.truncate_from,
        tuple(StoredEntry(e.index, e.term, e.hash, e.payload) for e in ready.entries),
    )
