"""The simulated world: one heap of events, one seed, two phases.

In the first phase the faults of the seed's options happen. Then everything is healed, and the cluster has to make
progress within a bounded time (I14), so that a core that never does anything cannot pass. Events are ordered by
(time, number); nothing iterates over a set or depends on `hash()` of a string, so a seed reproduces its run exactly,
and a digest over one line per event proves it.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from heapq import heappop, heappush
from typing import Any

import toyhost

from tests.simulation import faults
from tests.simulation.node import SimNode
from tests.simulation.options import Options, draw, stream
from tests.simulation.oracles import Oracles, ViolationError

#: An upper bound that no healthy seed comes near.
EVENTS_MAX = 60_000
#: Events that must happen in some seed of every run, or the faults are drawn too narrowly.
RARE = (
    "leaders",
    "truncations",
    "changes",
    "crashes",
    "power cuts",
    "lost batches",
    "kept batches",
    "reads",
    "dropped reads",
    "hand-overs",
    "clock in doubt",
    "stamp refused",
    "held back",
    "leader removed",
    "slow down",
    "buried",
)
#: Election timeouts that a healed cluster has for making progress.
PATIENCE = 80


class World:
    """One run. `trace` is called with one line per event."""

    def __init__(
        self, core: Any, seed: int, options: Options | None = None, trace: Callable[[str], None] | None = None
    ) -> None:
        self.core = core
        self.seed = seed
        self.options = options or draw(seed)
        self.trace = trace
        self.now = 0
        self.events = 0
        self._number = 0
        self._heap: list[tuple[int, int, Callable[..., str | None], tuple[Any, ...]]] = []
        self._digest = blake2b(digest_size=16)
        self.net = stream(seed, "net")
        self.disk = stream(seed, "disk")
        self.crash = stream(seed, "crash")
        self.work = stream(seed, "work")
        self.oracles = Oracles(core, toyhost.root(core))
        o = self.options
        genesis = [f"n{i}" for i in range(1, o.nodes + 1)]
        spares = [f"n{i}" for i in range(o.nodes + 1, o.nodes + o.spares + 1)]
        self.nodes = {name: SimNode(core, name, o, genesis) for name in genesis + spares}
        self.order = list(self.nodes.values())
        self.spares = spares
        self.cut: dict[tuple[str, str], int] = {}  # link -> cut until
        self.healed_at: int | None = None
        self.buried: list[str] = []  # nodes that do not come back in the second phase
        self.proposals = 0
        self.counts = dict.fromkeys(RARE, 0)
        clock = stream(seed, "clock")
        for node in self.order:
            node.wall_offset = clock.randrange(-o.wall_spread_ms, o.wall_spread_ms + 1)
            self.start(node)

    # --- running -------------------------------------------------------------------------------------------------

    def run(self) -> World:
        """Both phases; raises ViolationError with the reproduction in its text."""
        try:
            faults.schedule(self)
            self._until(self.options.fault_ms, lambda: False)
            faults.heal(self)
            self.counts["buried"] += len(self.buried)
            limit = self.now + PATIENCE * self.options.election_ms
            target = len(self.oracles.committed) + 2
            if not self._until(limit, lambda: self.has_settled(target)):
                self._complain(f"I14: no progress within {PATIENCE} election timeouts after healing")
        except ViolationError:
            raise
        except AssertionError as error:
            raise ViolationError(f"assert: {error}") from error
        return self

    def _until(self, limit: int, done: Callable[[], bool]) -> bool:
        """Run events up to time `limit` or until `done`."""
        heap = self._heap
        while heap and heap[0][0] <= limit:
            self.now, _, act, args = heappop(heap)
            line = act(*args)
            if line is not None:
                self.events += 1
                self._note(line)
                if self.events > EVENTS_MAX:
                    self._complain("I13: events without end")
                if self.events % 16 == 0 and done():
                    return True
        self.now = limit
        return done()

    def voters(self) -> list[str]:
        """The voters in force by the newest change that was applied anywhere."""
        return self.oracles.changes[-1][1] if self.oracles.changes else self.order[0].genesis

    def has_settled(self, target: int) -> bool:
        """Whether every voter that is to come back has applied `target` entries."""
        if len(self.oracles.committed) <= target:
            return False
        wanted = [self.nodes[name] for name in self.voters() if name not in self.buried]
        return all(node.alive and node.applied >= target for node in wanted)

    def digest(self) -> str:
        """Digest over all event lines so far."""
        return self._digest.hexdigest()

    def _note(self, line: str) -> None:
        text = f"{self.now} {line}"
        self._digest.update(text.encode())
        if self.trace is not None:
            self.trace(text)

    def _complain(self, text: str) -> None:
        raise ViolationError(text)

    def at(self, delay: int, act: Callable[..., str | None], *args: Any) -> None:
        """Schedule `act(*args)` in `delay` milliseconds. It answers a line for the trace, or None if it was void."""
        self._number += 1
        heappush(self._heap, (self.now + delay, self._number, act, args))

    # --- processes ------------------------------------------------------------------------------------------------

    def start(self, node: SimNode) -> None:
        """Start or restart a process."""
        node.start(self.now, stream(self.seed, f"raft {node.id} {node.life}"), replay=self.options.replay)
        self.settle(node)

    def stop(self, node: SimNode) -> None:
        """A process dies. Of its batches on the way, a prefix may have reached the disk."""
        self.counts["crashes"] += 1
        for ready in node.survivors(self.crash):
            self.counts["kept batches"] += 1
            self._write(node, ready)
        self.counts["lost batches"] += len(node.writes)
        node.crash()

    def _write(self, node: SimNode, ready: Any) -> None:
        self.oracles.before_write(node, ready)
        if ready.truncate_from is not None:
            self.counts["truncations"] += 1
            node.stored_changes = [i for i in node.stored_changes if i < ready.truncate_from]
        node.disk.write(ready.truncate_from, ready.entries, ready.hard_state)
        self.oracles.after_write(node, ready)

    def awake(self, node: SimNode, life: int, act: Callable[..., str | None], *args: Any) -> bool:
        """Whether the event concerns the present life of a running process; a paused one gets it later, in order."""
        if not node.alive or node.life != life:
            return False
        if node.paused_until:
            node.deferred.append((act, args))
            return False
        return True

    def pause(self, node: SimNode, until: int) -> None:
        """A process stands still; what concerns it meanwhile waits."""
        node.paused_until = until
        self.at(until - self.now, self.wake, node, node.life, until)

    def wake(self, node: SimNode, life: int, until: int) -> str | None:
        """It goes on, with all that waited."""
        if not node.alive or node.life != life or node.paused_until != until:
            return None
        node.paused_until = 0
        waiting, node.deferred = node.deferred, []
        for act, args in waiting:
            line = act(*args)
            if line is not None:
                self._note(line)
        return f"{node.id} goes on"

    def settle(self, node: SimNode) -> None:
        """After an event: carry out every Ready, ask the oracles, set the timer."""
        raft = node.raft
        while (ready := raft.ready()) is not None:
            self._carry_out(node, ready)
        r = raft.replica
        if r.commit != node.commit_seen:
            self.oracles.commits(node, node.commit_seen, self.nodes)
            node.commit_seen = r.commit
        node.watch.check(r)
        self.counts["clock in doubt"] += r.doubt_since_ms == self.now
        self.counts["held back"] += r.held_back is not None
        deadline = raft.deadline_ms()
        if node.tick_at < self.now or deadline < node.tick_at:
            node.tick_at = max(deadline, self.now + 1)
            self.at(node.tick_at - self.now, self.on_tick, node, node.life, node.tick_at)

    def _carry_out(self, node: SimNode, ready: Any) -> None:
        """The host's part of the contract, in its order."""
        if ready.must_sync:
            node.writes.append(ready)
            delay = self._disk_delay(node)
            self.at(delay, self.on_synced, node, node.life)
        for message in ready.messages:
            self.send(message)
        if ready.after_sync:
            if ready.batch <= node.synced:
                self._release(node, ready.after_sync)
            else:
                node.held.append((ready.batch, ready.after_sync))
        if ready.committed:
            delay = self.disk.randrange(0, self.options.apply_ms + 1)
            node.apply_free_at = max(node.apply_free_at, self.now + delay)
            self.at(node.apply_free_at - self.now, self.on_apply, node, node.life, ready.committed)
        for read in ready.reads:
            self.counts["reads"] += 1
            self.oracles.reads(node, node.reading.pop(read.context), read.index)
        for context in ready.dropped_reads:
            self.counts["dropped reads"] += 1
            del node.reading[context]
        if ready.refused or ready.evidence or ready.halted is not None:
            self.counts["stamp refused"] += len(ready.refused)
            self.oracles.complaints(node, ready)
        if ready.soft is not None and ready.soft.role is self.core.Role.LEADER:
            self.counts["leaders"] += 1
            self.oracles.leads(node)

    def _disk_delay(self, node: SimNode) -> int:
        """When this batch will be on the disk: never before the one ahead of it."""
        o = self.options
        stalls = o.stall and self.healed_at is None and self.disk.random() < o.stall
        took = self.disk.randrange(0, (o.election_ms * 3 // 2 if stalls else o.disk_ms) + 1)
        node.disk_free_at = max(node.disk_free_at, self.now) + took
        return node.disk_free_at - self.now

    def _release(self, node: SimNode, messages: tuple[Any, ...]) -> None:
        """Messages whose batch is on the disk leave."""
        o = self.options
        for message in messages:
            self.oracles.released(node, message)
            self.send(message)
        if o.crash_after_promise and self.healed_at is None and self.crash.random() < o.crash_after_promise:
            self.at(self.crash.randrange(0, 3), faults.crash, self, node, node.life)

    # --- events --------------------------------------------------------------------------------------------------

    def on_tick(self, node: SimNode, life: int, at: int) -> str | None:
        """A timer fires."""
        if not self.awake(node, life, self.on_tick, node, life, at):
            return None
        if at != node.tick_at:
            return None
        node.tick_at = -1
        node.raft.tick(self.now, self.now + node.wall_offset)
        self.settle(node)
        return self.line(node, "tick")

    def on_synced(self, node: SimNode, life: int) -> str | None:
        """The oldest batch is on the disk."""
        if not self.awake(node, life, self.on_synced, node, life):
            return None
        ready = node.writes.popleft()
        self._write(node, ready)
        node.synced = ready.batch
        node.raft.synced(ready.batch)
        while node.held and node.held[0][0] <= ready.batch:
            self._release(node, node.held.popleft()[1])
        self.settle(node)
        return self.line(node, f"synced {ready.batch}")

    def on_apply(self, node: SimNode, life: int, entries: tuple[Any, ...]) -> str | None:
        """The host has applied entries."""
        if not self.awake(node, life, self.on_apply, node, life, entries):
            return None
        for entry in entries:
            self.oracles.applies(node, entry)
            node.applied = entry.index
        voters = None
        if entries[-1].kind is self.core.EntryKind.GOVERNANCE:
            voters = node.voters = toyhost.voters_of(entries[-1].payload)
            node.host.era = node.applied
            if not self.oracles.changes or self.oracles.changes[-1][0] < node.applied:
                self.counts["changes"] += 1
                self.oracles.changes.append((node.applied, voters))
            self.counts["leader removed"] += node.raft.replica.leader == node.id and node.id not in voters
        node.raft.applied(node.applied, voters, new_era=voters is not None)
        self.settle(node)
        return self.line(node, f"applied {node.applied}")

    def on_deliver(self, node: SimNode, message: Any) -> str | None:
        """A message arrives, if anybody is there."""
        if not self.awake(node, node.life, self.on_deliver, node, message):
            return None
        node.raft.step(message, self.now, self.now + node.wall_offset)
        self.settle(node)
        return self.line(node, f"{message.sender}>{type(message).__name__} {message.term}")

    def line(self, node: SimNode, what: str) -> str:
        """One event in words: who, what, and where that left the node."""
        r = node.raft.replica
        last = r.log.last
        return (
            f"{node.id} {what} : {r.role.name} term {r.term} last {last.index}/{last.term} "
            f"durable {r.log.durable} commit {r.commit} applied {r.applied} {last.hash[:4].hex()}"
        )

    # --- network -------------------------------------------------------------------------------------------------

    def send(self, message: Any) -> None:
        """Put a message on the wire: it may be cut, lost, late, doubled."""
        o, net = self.options, self.net
        node = self.nodes[message.recipient]
        faulty = self.healed_at is None
        if faulty:
            if self.cut and self.cut.get((message.sender, message.recipient), 0) > self.now:
                return
            if o.loss and net.random() < o.loss:
                return
        delay = 1 + int(net.random() * o.delay_ms)
        if faulty:
            if o.slow and net.random() < o.slow:
                delay = 1 + int(net.random() * 20 * o.delay_ms)
            if o.duplicate and net.random() < o.duplicate:
                self.at(1 + int(net.random() * 3 * o.delay_ms), self.on_deliver, node, message)
            if o.late and net.random() < o.late:
                self.at(int(net.random() * 1500), self.on_deliver, node, message)
        self.at(delay, self.on_deliver, node, message)
