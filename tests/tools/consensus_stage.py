"""A cluster that stands still until told: every message, sync and application happens on a word of the script.

`Stage` is used by the scenario words (consensus_words.py) and by unit tests. Unlike the simulator it draws nothing and
schedules nothing; each node has its own clock, moved by hand.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import toyhost

import consensus
from consensus.invariants import Watch


class FixedRng:
    """Election timeouts without chance: always the shortest."""

    def randrange(self, start: int, stop: int, /) -> int:
        """The lower end."""
        assert start < stop, "an empty range"
        return start


@dataclass(slots=True)
class Actor:
    """One node: its core, its disk, and what is on its way between them."""

    name: str
    config: consensus.Config
    host: toyhost.ToyHost
    disk: consensus.MemoryStorage
    genesis: list[str]
    raft: consensus.Raft | None = None
    watch: Watch | None = None
    now: int = 0
    wall_offset: int = 0
    synced: int = 0
    writes: deque[consensus.Ready] = field(default_factory=deque)
    held: deque[tuple[int, tuple[Any, ...]]] = field(default_factory=deque)
    to_apply: deque[tuple[consensus.Entry, ...]] = field(default_factory=deque)

    @property
    def core(self) -> consensus.Raft:
        """The running core."""
        assert self.raft is not None, f"{self.name} is down"
        return self.raft

    @property
    def wall(self) -> int:
        """This node's wall clock."""
        return self.now + self.wall_offset


class Stage:
    """All actors and the messages between them."""

    def __init__(
        self, names: list[str], *, voters: list[str] | None = None, apply_by_hand: bool = False, **config: int
    ) -> None:
        self.wire: list[Any] = []
        self.cut: list[tuple[str, str]] = []
        self.log: list[str] = []  # what happened since last asked
        self.apply_by_hand = apply_by_hand
        self.actors: dict[str, Actor] = {}
        settings = {"election_timeout_ms": 100, "heartbeat_ms": 30, "skew_ms": 1000} | config
        for name in names:
            self.actors[name] = Actor(
                name,
                consensus.Config(name, **settings),
                toyhost.ToyHost(consensus),
                consensus.MemoryStorage(toyhost.root(consensus)),
                voters or names,
            )
            self.start(name)

    def __getitem__(self, name: str) -> Actor:
        return self.actors[name]

    # --- processes -----------------------------------------------------------------------------------------------

    def start(self, name: str, *, replay: bool = True) -> None:
        """Start or restart a node from its disk; with `replay` it applies everything again, else nothing."""
        actor = self.actors[name]
        stored = actor.disk.hard_state
        applied = 0 if replay else stored.commit
        voters = actor.genesis
        for entry in actor.disk.entries(0, applied + 1, 1 << 30):
            if entry.kind is consensus.EntryKind.GOVERNANCE:
                voters = toyhost.voters_of(entry.payload)
        actor.raft = consensus.Raft(
            actor.config,
            actor.host,
            actor.disk,
            hard_state=stored,
            applied=applied,
            voters=voters,
            rng=FixedRng(),
            now_ms=actor.now,
            wall_ms=actor.wall,
        )
        actor.watch = Watch(actor.raft.replica)
        actor.synced = 0

    def crash(self, name: str, *, keep: int = 0) -> None:
        """Kill a node; the first `keep` batches on their way have reached the disk all the same."""
        actor = self.actors[name]
        for ready in list(actor.writes)[:keep]:
            actor.disk.write(ready.truncate_from, ready.entries, ready.hard_state)
        actor.raft = actor.watch = None
        actor.writes.clear()
        actor.held.clear()
        actor.to_apply.clear()

    def alive(self) -> list[Actor]:
        """The running nodes, in order."""
        return [actor for actor in self.actors.values() if actor.raft is not None]

    # --- one step at a time ---------------------------------------------------------------------------------------

    def ready(self, name: str) -> bool:
        """Carry out one Ready of a node: start the write, send what may leave. False when there is none."""
        actor = self.actors[name]
        ready = actor.core.ready()
        if ready is None:
            return False
        self.log.extend(f"{name} {line}" for line in describe_ready(ready))
        if ready.must_sync:
            actor.writes.append(ready)
        for message in ready.messages:
            self._send(message)
        if ready.after_sync:
            if ready.batch <= actor.synced:
                self._send_all(ready.after_sync)
            else:
                actor.held.append((ready.batch, ready.after_sync))
        if ready.committed:
            actor.to_apply.append(ready.committed)
            if not self.apply_by_hand:
                self.apply(name)
        self.check(name)
        return True

    def sync(self, name: str) -> bool:
        """The disk finishes the oldest batch, and what waited for it leaves. False when nothing is on its way."""
        actor = self.actors[name]
        if not actor.writes:
            return False
        ready = actor.writes.popleft()
        actor.disk.write(ready.truncate_from, ready.entries, ready.hard_state)
        actor.synced = ready.batch
        actor.core.synced(ready.batch)
        self.log.append(f"{name} synced batch {ready.batch}")
        while actor.held and actor.held[0][0] <= ready.batch:
            self._send_all(actor.held.popleft()[1])
        self.check(name)
        return True

    def apply(self, name: str) -> bool:
        """The host applies the oldest entries handed out. False when there are none."""
        actor = self.actors[name]
        if not actor.to_apply:
            return False
        entries = actor.to_apply.popleft()
        last = entries[-1]
        if last.kind is consensus.EntryKind.GOVERNANCE:
            voters = toyhost.voters_of(last.payload)
            actor.core.applied(last.index, voters, new_era=True)
            self.log.append(f"{name} applied {last.index}, voters {','.join(actor.core.status().voters)}")
        else:
            actor.core.applied(last.index)
            self.log.append(f"{name} applied {last.index}")
        self.check(name)
        return True

    def deliver(self, name: str, *, drop: bool = False) -> bool:
        """Deliver the oldest message for a node, or drop it. False when there is none."""
        for at, message in enumerate(self.wire):
            if message.recipient == name:
                del self.wire[at]
                down = self.actors[name].raft is None
                self.log.append(("lost: " if down else "dropped: " if drop else "") + describe(message))
                if not drop and not down:
                    self.step(message)
                return True
        return False

    def step(self, message: Any) -> None:
        """Hand a message to its recipient."""
        actor = self.actors[message.recipient]
        actor.core.step(message, actor.now, actor.wall)
        self.check(message.recipient)

    def tick(self, name: str, ms: int) -> None:
        """Time passes for a node, and its timer runs."""
        actor = self.actors[name]
        actor.now += ms
        actor.core.tick(actor.now, actor.wall)
        self.check(name)

    def check(self, name: str) -> None:
        """The invariants of one node hold."""
        actor = self.actors[name]
        assert actor.watch is not None, f"{name} is down"
        actor.watch.check(actor.core.replica)

    def settle(self, names: list[str] | None = None, limit: int = 2000) -> None:
        """Deliver, write, sync and (unless that is done by hand) apply among `names` until nothing moves."""
        chosen = [actor for actor in self.actors.values() if names is None or actor.name in names]
        for _ in range(limit):
            moved = False
            for actor in chosen:
                if actor.raft is None:
                    continue
                while self.ready(actor.name):
                    moved = True
                while self.sync(actor.name):
                    moved = True
                    while self.ready(actor.name):
                        pass
                while not self.apply_by_hand and self.apply(actor.name):
                    moved = True
            for actor in chosen:
                while self.deliver(actor.name):
                    moved = True
            if not moved:
                return
        raise AssertionError("the stage does not come to rest")

    def _send_all(self, messages: tuple[Any, ...]) -> None:
        for message in messages:
            self._send(message)

    def _send(self, message: Any) -> None:
        """Put a message on the wire unless its link is cut."""
        lost = (message.sender, message.recipient) in self.cut
        self.log.append(f"{'cut' if lost else 'sent'}: {describe(message)}")
        if not lost:
            self.wire.append(message)

    # --- shorthands -----------------------------------------------------------------------------------------------

    def elect(self, name: str) -> None:
        """Make a node leader of all that listen, and let everything settle."""
        for actor in self.alive():
            actor.now += 2 * actor.config.election_timeout_ms
        actor = self.actors[name]
        actor.core.campaign(actor.now, actor.wall)
        self.settle()
        assert actor.core.status().role is consensus.Role.LEADER, f"{name} was not elected"
        self.log.clear()

    def propose(self, name: str, *texts: str) -> tuple[consensus.Entry, ...]:
        """Propose normal entries at a node."""
        actor = self.actors[name]
        stamp = actor.core.next_stamp(actor.wall)
        entries = actor.core.propose([toyhost.normal(stamp, text) for text in texts], actor.now, actor.wall)
        self.check(name)
        return entries

    def govern(self, name: str, voters: list[str]) -> consensus.Entry:
        """Propose a change of voters at a node."""
        actor = self.actors[name]
        payload = toyhost.governance(actor.core.next_stamp(actor.wall), voters)
        entry = actor.core.propose_governance(payload, actor.now, actor.wall)
        self.check(name)
        return entry


# --- words for what is seen ----------------------------------------------------------------------------------------


def describe_entry(entry: Any) -> str:
    """index/term and what it is."""
    letter = entry.payload[:1].decode()
    return f"{letter} {toyhost.text_of(entry.payload)}"


def describe(message: Any) -> str:
    """A message on one line."""
    name = type(message).__name__
    parts = [f"{message.sender}->{message.recipient} {name} term {message.term}"]
    if isinstance(message, consensus.messages.AppendEntries):
        parts.append(f"behind {message.prev_index}/{message.prev_term} commit {message.commit}")
        index = message.prev_index
        entries: tuple[Any, ...] = message.entries
        shown = [f"{index + n}/{e.term} {describe_entry(e)}" for n, e in enumerate(entries, 1)]
        parts.append(f"[{', '.join(shown)}]")
    else:
        skipped = ("sender", "recipient", "term", "hash", "last_hash", "wall_ms")
        for field_name in message.__dataclass_fields__:
            value = getattr(message, field_name)
            if field_name in skipped or value is False:
                continue
            parts.append(field_name if value is True else f"{field_name} {value}")
    return " ".join(parts)


def describe_ready(ready: consensus.Ready) -> list[str]:
    """A Ready, one line per thing to do (messages are told when they are sent)."""
    lines: list[str] = []
    if ready.soft is not None:
        lines.append(
            f"is {ready.soft.role.name} in term {ready.soft.term}, leader {ready.soft.leader or 'unknown'}"
        )
    if ready.must_sync:
        state = ready.hard_state
        assert state is not None, "a batch carries the hard state"
        cut = "" if ready.truncate_from is None else f" truncate from {ready.truncate_from}"
        shown = ", ".join(f"{e.index}/{e.term} {describe_entry(e)}" for e in ready.entries)
        lines.append(
            f"writes batch {ready.batch}: term {state.term} vote {state.vote or 'none'} commit {state.commit}"
            f"{cut}{' entries ' + shown if shown else ''}"
        )
    if ready.committed:
        first, last = ready.committed[0].index, ready.committed[-1].index
        lines.append(f"to apply {first}..{last}" if first != last else f"to apply {first}")
    lines.extend(f"read {read.context.decode()} at {read.index}" for read in ready.reads)
    lines.extend(f"dropped read {context.decode()}" for context in ready.dropped_reads)
    for refused in ready.refused:
        known = ", which the leader says is committed" if refused.committed else ""
        lines.append(f"refuses entry {refused.index} of {refused.leader}: {refused.code}{known}")
    for piece in ready.evidence:
        both = f"held {piece.held.hash[:4].hex() if piece.held else 'none'}"
        other = f", theirs {piece.theirs.hash[:4].hex()}" if piece.theirs else ""
        lines.append(f"accuses {piece.peer}: {piece.kind.name} at {piece.index} ({both}{other})")
    if ready.halted is not None:
        lines.append(f"HALTED: {ready.halted}")
    return lines
