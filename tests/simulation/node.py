"""One simulated process: a real consensus core, a toy host, a disk that keeps its order.

The host's loop is the contract of `consensus/__init__.py` word by word: write in order, send what may leave at once,
hold the rest until its batch is synced, apply, report. A crash drops the core and everything not yet on the disk,
except that a prefix of the batches on their way may have made it; a restart builds a new core from the disk
through the same code as the first start.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any

import toyhost

from tests.simulation.options import Options


class EraHost(toyhost.ToyHost):
    """A host whose check depends on governance: an entry names the last change that its proposer had applied.

    A node that judges an entry before it has applied the change in front of it would refuse a good entry.
    """

    def __init__(self, core: Any) -> None:
        super().__init__(core)
        self.era = 0  # index of the last change applied

    def check(self, entry: Any, proposer: str | None) -> str | None:
        """Refuse a normal entry of another era."""
        if (
            entry.kind is self._core.EntryKind.NORMAL
            and f"@{self.era}" != toyhost.text_of(entry.payload).split(" ")[1]
        ):
            return "E_ERA"
        return super().check(entry, proposer)


class SimNode:
    """State of one process. The world schedules, the oracles watch; this class holds."""

    def __init__(self, core: Any, node_id: str, options: Options, genesis: list[str]) -> None:
        self.core = core
        self.id = node_id
        self.genesis = genesis
        self.options = options
        self.config = core.Config(
            node_id,
            election_timeout_ms=options.election_ms,
            heartbeat_ms=options.heartbeat_ms,
            skew_ms=options.skew_ms,
            message_max_bytes=options.message_max_bytes,
            inflight_max_messages=options.inflight_max_messages,
            inflight_max_bytes=max(4 * options.message_max_bytes, 4000),
            cache_max_bytes=options.cache_max_bytes,
            uncommitted_max_entries=options.uncommitted_max_entries,
            unsynced_max_bytes=options.unsynced_max_bytes,
            apply_max_bytes=2000,
            reads_max=50,
        )
        self.host = EraHost(core)
        self.disk: Any = core.MemoryStorage(toyhost.root(core))
        self.stored_changes: list[int] = []
        self.life = 0  # counts starts; events of an earlier life are void
        self.alive = False
        self.wall_offset = 0
        self.paused_until = 0  # 0: running
        self.deferred: list[tuple[Callable[..., str | None], tuple[Any, ...]]] = []
        self.raft: Any = None
        self.watch: Any = None

    def start(self, now: int, rng: Random, *, replay: bool) -> None:
        """Build a core from what the disk holds; `replay` applies everything again from the root."""
        self.life += 1
        self.alive = True
        stored = self.disk.hard_state
        self.applied = 0 if replay else stored.commit
        self.voters = self._voters_at(self.applied)
        self.raft = self.core.Raft(
            self.config,
            self.host,
            self.disk,
            hard_state=stored,
            applied=self.applied,
            voters=self.voters,
            rng=rng,
            now_ms=now,
            wall_ms=now + self.wall_offset,
        )
        self.watch = self.core.invariants.Watch(self.raft.replica)
        self.writes: deque[Any] = deque()  # batches on their way to the disk
        self.held: deque[tuple[int, tuple[Any, ...]]] = deque()  # messages that wait for a batch
        self.synced = 0
        self.disk_free_at = now
        self.apply_free_at = now
        self.tick_at = -1
        self.commit_seen = stored.commit
        self.reading: dict[bytes, int] = {}

    def _voters_at(self, index: int) -> list[str]:
        """The voters in force once everything up to `index` of the stored log is applied."""
        changes = [i for i in self.stored_changes if i <= index]
        self.host.era = changes[-1] if changes else 0
        if not changes:
            return self.genesis
        entry = self.disk.entries(changes[-1], changes[-1] + 1, 1)[0]
        return toyhost.voters_of(entry.payload)

    def survivors(self, rng: Random) -> list[Any]:
        """At a crash: the batches that made it to the disk although nobody was told. They keep their order."""
        made: list[Any] = []
        while self.writes and rng.random() < 0.5:
            made.append(self.writes.popleft())
        return made

    def crash(self) -> None:
        """Nothing but the disk is left."""
        self.alive = False
        self.paused_until = 0
        self.deferred = []
        self.raft = self.watch = None
        self.writes.clear()
        self.held.clear()
