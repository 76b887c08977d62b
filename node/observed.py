"""An observer's way into its own chain store: what it has verified is synced, then applied, as with everybody
else.

Why: an observer signs too, so it must hold what it signs as firmly as a voter does: one synced batch, the
head file, then the common apply path. It gives no votes and no acknowledgements; its hard state only follows
the terms it has seen.

Rules kept here
- Entries are in rising height, without gaps, and were verified by the caller; they are committed (a majority
  cosigned them), so commit follows the last one.
- One group is on its way at a time; the next one comes when its future is done.

Refuses: verifying again, truncating: an observer holds nothing that is not final.
"""

import asyncio
from collections.abc import Callable, Sequence

from ledger.chain import AppliedBlock
from ledger.entry import entry_hash
from ledger.store_chain import ChainStore, HardState, StoredEntry
from node.applier import Step
from node.errors import HaltedError, NodeError
from node.ports import ObservedEntry
from node.writer import DiskBatch, Writer

_ENTRIES_MAX = 1_024


class Observed:
    """Owned by the loop's thread."""

    def __init__(
        self,
        store: ChainStore,
        writer: Writer | None,
        apply: Callable[[Sequence[Step]], list[AppliedBlock]],
    ) -> None:
        """`apply` is the loop's one apply path; it returns nothing when the node had to halt."""
        self._store = store
        self._writer = writer
        self._apply = apply
        self._number = 0  # counts down: consensus' own batches count up
        self._group: tuple[Sequence[ObservedEntry], asyncio.Future[None]] | None = None
        self.is_open = True  # closed once this node orders itself, or is halted

    def ingest(self, entries: Sequence[ObservedEntry]) -> asyncio.Future[None]:
        """Store and apply a group. See `ports.NodeCore.ingest`.

        Raises NodeError E_INGEST_CLOSED, E_INGEST_BUSY, E_INGEST_GAP.
        """
        if self._writer is None or not self.is_open:
            raise NodeError("E_INGEST_CLOSED", "this node does not follow: it votes, or is halted")
        if self._group is not None:
            raise NodeError("E_INGEST_BUSY", "the group before is still on its way")
        assert 0 < len(entries) <= _ENTRIES_MAX, "a bounded group"
        batch = self._batch(entries)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._group = (entries, done)
        self._writer.put(batch)
        return done

    def synced(self, number: int) -> None:
        """The group's batch is durable: apply it."""
        if self._group is None or number != self._number:
            return
        entries, done = self._group
        self._group = None
        blocks = self._apply([(entry.height, entry.term, entry.body) for entry in entries])
        if done.done():
            return
        if blocks:
            done.set_result(None)
        else:
            done.set_exception(HaltedError("E_HALTED", "the node halted while it applied the group"))

    def _batch(self, entries: Sequence[ObservedEntry]) -> DiskBatch:
        last, stored = self._store.last(), []
        height, prev = last.height, last.entry_hash
        for entry in entries:
            if entry.height != height + 1:
                raise NodeError("E_INGEST_GAP", f"height {entry.height} does not follow {height}")
            body = entry.body.body
            prev = entry_hash(self._store.chain_id, prev, entry.height, entry.term, body.digest)
            stored.append(StoredEntry(entry.height, entry.term, prev, body.raw))
            height = entry.height
        hard = self._store.hard_state()
        term = max(hard.term, entries[-1].term)
        vote = hard.vote if term == hard.term else ""
        self._number -= 1
        return DiskBatch(self._number, HardState(term, vote, height), None, tuple(stored))
