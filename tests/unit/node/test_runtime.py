"""The loop: nothing leaves before the disk, answers come after apply, and halting stops everything but
reading.

Whole networks are in tests/integration/node/; here one loop runs with its disk held by the test.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import ledger_world as world
import pytest
from node_world import MemoryHead, opened

from consensus.messages import (
    AppendAnswer,
    AppendEntries,
    Heartbeat,
    Message,
    PreVoteAnswer,
    RequestPreVote,
    RequestVote,
    VoteAnswer,
)
from ledger.body import Body
from ledger.chain import Chain
from ledger.errors import DerivedDamagedError, StoreDamagedError
from ledger.governance import genesis_state
from ledger.store_prepare import CONDEMNED
from node.config import NodeConfig, parse_config
from node.core_view import CoreView
from node.effects import Committed, NotLeader, Outcome
from node.errors import DoorError
from node.evidence import EvidenceBox
from node.ports import ObservedEntry, Role
from node.refusals import Refusals
from node.runtime import Runtime
from node.start import Opened

FOUR = world.genesis_body()
ALLOWED = frozenset({world.SUBMITTER})
SLOW = {"raft": {"heartbeat_ms": 1_000, "election_timeout_ms": 60_000}}
QUICK = {"raft": {"heartbeat_ms": 10, "election_timeout_ms": 50}}


class Sent:
    """Stands for the transport: remembers what was sent."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.books = 0

    def send(self, message: Message) -> None:
        """Remember."""
        self.messages.append(message)

    def book_changed(self) -> None:
        """Count."""
        self.books += 1

    def of(self, kind: type) -> list[Any]:
        """Messages of a type."""
        return [message for message in self.messages if isinstance(message, kind)]


class Loop:
    """One node's loop with a store in memory."""

    def __init__(self, folder: Path, memory: Opened, node_id: str, settings: dict[str, Any]) -> None:
        config: NodeConfig = parse_config({"node_id": node_id, "genesis": "g", **settings}, folder)
        self.memory = memory
        self.deaths: list[BaseException] = []
        self.view = CoreView(node_id, memory, EvidenceBox(folder), self.deaths.append)
        refusals = Refusals(self.view.stats(), time.monotonic)
        self.runtime = Runtime(config, memory, self.view, refusals=refusals, die=self.deaths.append)
        self.sent = Sent()
        self.runtime.attach(self.sent)
        self.task = asyncio.create_task(self.runtime.run())

    async def until(self, true: object) -> None:
        """Wait until something is true."""
        async with asyncio.timeout(5):
            while not true():  # type: ignore[operator]  # noqa: ASYNC110 - many things change, none of them tells
                await asyncio.sleep(0.002)

    def hand_in(self, first: int, count: int = 2) -> "asyncio.Future[Outcome]":
        """Hand in an envelope."""
        raw = world.envelope(self.view.chain_id, first, count).raw
        future = self.runtime.ordering.desk.hand_in(raw, ALLOWED)
        self.runtime.wake()
        return future

    async def receive(self, *messages: Message) -> None:
        """Let messages come in."""
        lane = self.runtime.inbox.open_lane(urgent=True)
        for message in messages:
            await lane.put(message, 10)

    async def stop(self) -> None:
        """End the loop and the disk."""
        await self.runtime.stop()
        await self.task


@pytest.fixture
async def loops(tmp_path: Path) -> AsyncIterator[Any]:
    """Makes loops that are stopped at the end."""
    made: list[Loop] = []

    def make(
        genesis: Body = FOUR, node_id: str = "broker-1", *, halted: str | None = None, **settings: Any
    ) -> Loop:
        loop = Loop(tmp_path, opened(genesis, node_id, halted=halted), node_id, settings or SLOW)
        made.append(loop)
        return loop

    yield make
    for loop in made:
        await loop.stop()


def _single() -> Body:
    return world.genesis_body(f=0, quorum=1, single=True)


async def _lead(loop: Loop) -> None:
    """Give a voter of three the votes it needs to lead term 1, and let its first entry be applied."""
    await loop.until(lambda: loop.sent.of(RequestPreVote))
    await loop.receive(PreVoteAnswer("market-1", "broker-1", 0, 1, True, world.START_MS))
    await loop.until(lambda: loop.sent.of(RequestVote))
    ask = loop.sent.of(RequestVote)[0]
    wall_ms = int(time.time() * 1000)
    await loop.receive(VoteAnswer("market-1", "broker-1", ask.term, True, 0, ask.last_hash, wall_ms))
    await loop.until(lambda: loop.view.raft_status().role is Role.LEADER)


async def test_a_voter_alone_orders_and_answers(loops: Any) -> None:
    """Elected, own entry applied, envelope committed: all by its disk alone."""
    loop = loops(_single(), **QUICK)
    await loop.until(lambda: loop.view.applied_height == 1)
    outcome = await loop.hand_in(0)
    assert isinstance(outcome, Committed)
    assert (outcome.height, outcome.first_index) == (2, 2)
    assert loop.memory.chain_store.last().height == 2
    assert loop.memory.derived.known(world.leaves(0, 2)) == [2, 3]


async def test_nothing_but_append_entries_leaves_before_the_disk(loops: Any) -> None:
    """A vote waits for its sync; a leader's entries do not, and neither does its own count."""
    loop = loops()
    gate = _hold_disk(loop)
    digest = loop.memory.chain_store.last().entry_hash
    await loop.receive(RequestVote("market-1", "broker-1", 5, 0, 0, digest, True))
    await asyncio.sleep(0.05)
    assert loop.sent.messages == [], "the vote is not durable"
    gate.set()
    await loop.until(lambda: loop.sent.of(VoteAnswer))
    assert loop.memory.chain_store.hard_state().vote == "market-1"
    head = loop.memory.head
    assert isinstance(head, MemoryHead)
    assert head.slots[-1][0].vote == "market-1", "the head file said so before the vote left"


async def test_a_leader_sends_before_its_own_sync_and_answers_after_apply(loops: Any) -> None:
    """With the disk held, entries are on their way; the answer comes only when the disk has them too."""
    loop = loops(**QUICK)
    await _lead(loop)
    await loop.until(lambda: loop.sent.of(AppendEntries))
    start = loop.sent.of(AppendEntries)[0].entries[0]
    await loop.receive(AppendAnswer("market-1", "broker-1", 1, 1, start.hash, False))
    await loop.until(lambda: loop.view.applied_height == 1)
    gate = _hold_disk(loop)
    loop.sent.messages.clear()
    future = loop.hand_in(0)
    await loop.until(lambda: any(message.entries for message in loop.sent.of(AppendEntries)))
    entry = next(m.entries[0] for m in loop.sent.of(AppendEntries) if m.entries)
    await loop.receive(
        AppendAnswer("market-1", "broker-1", 1, 2, entry.hash, False),
        AppendAnswer("auditor-1", "broker-1", 1, 2, entry.hash, False),
    )
    await asyncio.sleep(0.03)
    assert not future.done(), "committed by the others, not yet synced here"
    gate.set()
    assert isinstance(await future, Committed)


async def test_a_follower_points_to_its_leader(loops: Any) -> None:
    """Once it has heard of one."""
    loop = loops()
    assert await loop.hand_in(0) == NotLeader("")
    await loop.receive(Heartbeat("market-1", "broker-1", 3, 0, 1))
    await loop.until(lambda: loop.view.raft_status().leader == "market-1")
    assert await loop.hand_in(0) == NotLeader("market-1")
    with pytest.raises(DoorError) as caught:
        loop.runtime.transfer("")
    assert caught.value.code == "E_NOT_LEADER"


async def test_absurd_numbers_are_counted_and_change_nothing(loops: Any) -> None:
    """A term of 2^63 does not move this node."""
    loop = loops()
    await loop.receive(Heartbeat("market-1", "broker-1", 1 << 63, 0, 1))
    await loop.until(lambda: loop.view.stats().peer_refusals)
    assert loop.view.stats().peer_refusals == {"E_TERM_RANGE": 1}
    assert loop.view.raft_status().term == 0


async def test_a_halted_node_says_nothing_more(loops: Any) -> None:
    """What was held back for the disk stays unsaid; envelopes are turned away; reading goes on."""
    loop = loops()
    gate = _hold_disk(loop)
    digest = loop.memory.chain_store.last().entry_hash
    await loop.receive(RequestVote("market-1", "broker-1", 5, 0, 0, digest, True))
    await asyncio.sleep(0.03)
    loop.view.halt("contradiction", b"proof")
    gate.set()
    await asyncio.sleep(0.05)
    assert loop.sent.messages == []
    assert await loop.hand_in(0) == NotLeader("")
    assert loop.view.raft_status().role is Role.HALTED
    assert loop.view.derived_store.header(0).height == 0


async def test_a_node_that_starts_halted_has_no_disk_and_no_vote(loops: Any) -> None:
    """Amnesia: nothing is written and nothing is promised."""
    loop = loops(halted="amnesia: words", **QUICK)
    await loop.receive(RequestVote("market-1", "broker-1", 5, 0, 0, bytes(32), True))
    await asyncio.sleep(0.1)
    assert loop.runtime.writer is None
    assert loop.sent.messages == []
    assert loop.memory.chain_store.counter() == 0


async def test_an_observer_follows_by_the_same_apply_path(loops: Any) -> None:
    """It gives no votes, and what it ingests is synced, applied and told."""
    loop = loops(node_id="regulator-1", **QUICK)
    assert loop.view.raft_status().role is Role.OBSERVER
    heard: list[int] = []
    loop.view.on_applied(lambda blocks: heard.extend(block.height for block in blocks))
    ahead = Chain.restore(loop.view.point)
    verified = ahead.verify(world.envelopes_body(genesis_state(FOUR).chain_id, (0, 2)))
    await loop.view.ingest([ObservedEntry(1, 4, verified)])
    assert heard == [1]
    assert loop.memory.chain_store.hard_state().term == 4
    assert loop.sent.messages == []


async def test_a_committed_body_that_breaks_a_rule_halts(loops: Any) -> None:
    """It is on the disk, it is not applied, and the node says why."""
    loop = loops(node_id="regulator-1")
    ahead = Chain.restore(loop.view.point)
    bad = world.envelopes_body(genesis_state(FOUR).chain_id, (0, 2))
    verified = ahead.verify(bad)
    steps = [(7, 4, verified)]
    assert loop.runtime._apply_steps(steps) == []
    assert loop.view.halted is not None
    assert "E_CHAIN_HEIGHT" in loop.view.halted


async def test_damage_in_the_chain_store_halts(loops: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read that meets other bytes than were acknowledged: no vote after it, and the words are kept."""
    loop = loops()

    def damaged(*_: object) -> None:
        raise StoreDamagedError("E_STORE_DAMAGED", "the body at height 3 is another")

    monkeypatch.setattr(loop.runtime._raft, "step", damaged)
    await loop.receive(Heartbeat("market-1", "broker-1", 3, 0, 1))
    await loop.until(lambda: loop.view.halted)
    assert "height 3" in loop.view.raft_status().reason


async def test_damage_in_the_derived_store_ends_the_run(
    loops: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is marked, so that the next start makes it anew."""
    loop = loops()
    (tmp_path / "derived").mkdir()

    def damaged(*_: object) -> None:
        raise DerivedDamagedError("E_DERIVED_DAMAGED", "a tile")

    monkeypatch.setattr(loop.runtime._raft, "step", damaged)
    await loop.receive(Heartbeat("market-1", "broker-1", 3, 0, 1))
    await loop.until(lambda: loop.deaths)
    assert (tmp_path / "derived" / CONDEMNED).exists()
    assert loop.view.halted is None


async def test_a_failed_write_ends_the_process(loops: Any) -> None:
    """Nobody is told of anything after it."""
    loop = loops()
    kv = loop.memory.chain_store._kv
    kv.fail_after = 0
    digest = loop.memory.chain_store.last().entry_hash
    await loop.receive(RequestVote("market-1", "broker-1", 5, 0, 0, digest, True))
    await loop.until(lambda: loop.deaths)
    assert loop.sent.messages == []


def _hold_disk(loop: Loop) -> Any:
    """Keep the disk thread busy until the returned event is set."""
    gate = threading.Event()
    assert loop.runtime.writer is not None
    loop.runtime.writer.run(gate.wait)
    return gate
