"""Ordering: who does not lead says so, who leads proposes, and everybody is answered."""

import asyncio
from pathlib import Path

import ledger_world as world
import pytest
from node_world import NODE, Alone

from consensus import BusyError, RefusedError
from consensus.types import Entry
from node.config import NodeConfig, parse_config
from node.core_view import CoreView
from node.effects import Committed, NotLeader, Outcome, OutcomeUnknown, Refused, SlowDown
from node.evidence import EvidenceBox
from node.ordering import Ordering

ALLOWED = frozenset({world.SUBMITTER})
WALL = world.START_MS + 5


class Leading:
    """A leader alone, with its ordering."""

    def __init__(self, folder: Path) -> None:
        self.alone = Alone()
        config: NodeConfig = parse_config({"node_id": NODE, "genesis": "g"}, folder)
        self.view = CoreView(NODE, self.alone.opened, EvidenceBox(folder), _no_death)
        self.ordering = Ordering(config, self.view, self.alone.opened.derived)

    def hand_in(self, first: int, count: int = 2) -> asyncio.Future[Outcome]:
        """Leave an envelope at the desk; returns its future."""
        raw = world.envelope(self.alone.chain.chain_id, first, count).raw
        return self.ordering.desk.hand_in(raw, ALLOWED)

    def settle(self) -> None:
        """Apply what is in the log, as the loop does."""
        blocks = self.alone.settle()
        if blocks:
            self.view.applied(blocks)
        for block in blocks:
            self.ordering.applied(block)


def _no_death(error: BaseException) -> None:
    raise AssertionError from error


@pytest.fixture
def leading(tmp_path: Path) -> Leading:
    """A leader alone that is ready."""
    return Leading(tmp_path)


async def test_an_envelope_goes_from_the_desk_into_a_block_and_back(leading: Leading) -> None:
    """Admitted, proposed at once, answered when it is applied; counted."""
    future = leading.hand_in(0)
    leading.ordering.admit(leading.alone.raft, 0)
    waiting = leading.ordering.idle
    assert not waiting
    assert leading.ordering.propose(leading.alone.raft, 0, WALL)
    assert not leading.ordering.propose(leading.alone.raft, 0, WALL), "nothing waits any more"
    leading.ordering.gauge()
    assert leading.view.stats().in_flight_blocks == 1
    leading.settle()
    assert await future == Committed(2, 2, WALL)
    assert leading.ordering.idle
    assert leading.view.stats().envelopes_committed == 1


async def test_a_node_that_orders_nothing_turns_everybody_away(leading: Leading) -> None:
    """An observer, or a halted node, knows no leader."""
    future = leading.hand_in(0)
    leading.ordering.turn_away()
    assert await future == NotLeader("")


async def test_a_follower_names_its_leader(leading: Leading) -> None:
    """And a leader that is not ready, or hands over, asks for patience."""
    raft = leading.alone.raft
    r = raft.replica
    future = leading.hand_in(0)
    start, r.term_start = r.term_start, 0
    leading.ordering.admit(raft, 0)
    assert isinstance(await future, SlowDown)
    r.term_start = start
    r.become_follower(2, "market-1")
    future = leading.hand_in(0)
    leading.ordering.admit(raft, 0)
    assert await future == NotLeader("market-1")


async def test_refusals_are_answered_and_counted(leading: Leading) -> None:
    """By their code."""
    future = leading.ordering.desk.hand_in(b"junk", ALLOWED)
    leading.ordering.admit(leading.alone.raft, 0)
    outcome = await future
    assert isinstance(outcome, Refused)
    assert leading.view.stats().envelopes_refused == {outcome.code: 1}


async def test_what_consensus_does_not_take_now_waits_without_spinning(
    leading: Leading, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The due moment is hidden until the next turn asks again."""
    leading.hand_in(0)
    leading.ordering.admit(leading.alone.raft, 0)

    def busy(*_: object) -> tuple[Entry, ...]:
        raise BusyError("full")

    monkeypatch.setattr(leading.alone.raft, "propose", busy)
    assert not leading.ordering.propose(leading.alone.raft, 0, WALL)
    assert leading.ordering.blocked
    assert leading.ordering.due_ms() is None
    monkeypatch.undo()
    assert leading.ordering.propose(leading.alone.raft, 0, WALL)
    assert not leading.ordering.blocked


async def test_a_refused_body_is_judged_envelope_by_envelope(
    leading: Leading, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When none of them is at fault (a stamp between two clocks), it is tried again later."""
    future = leading.hand_in(0)
    leading.ordering.admit(leading.alone.raft, 0)

    def refused(*_: object) -> tuple[Entry, ...]:
        raise RefusedError("E_STAMP_AHEAD")

    monkeypatch.setattr(leading.alone.raft, "propose", refused)
    assert not leading.ordering.propose(leading.alone.raft, 0, WALL)
    assert leading.ordering.blocked
    monkeypatch.undo()
    assert leading.ordering.propose(leading.alone.raft, 0, WALL)
    leading.settle()
    assert isinstance(await future, Committed)


async def test_lost_leadership_and_the_end_answer_everybody(leading: Leading) -> None:
    """In flight is unknown, waiting is not taken, lying is given back."""
    flying = leading.hand_in(0)
    leading.ordering.admit(leading.alone.raft, 0)
    leading.ordering.propose(leading.alone.raft, 0, WALL)
    waiting = leading.hand_in(10)
    leading.ordering.admit(leading.alone.raft, 0)
    leading.ordering.lost("market-1")
    assert await flying == OutcomeUnknown()
    assert await waiting == NotLeader("market-1")
    lying = leading.hand_in(20)
    leading.ordering.stopped()
    assert await lying == NotLeader("")


async def test_a_nearly_full_disk_takes_nothing_in(leading: Leading) -> None:
    """What is accepted must still be writable; the gateway's outbox keeps the rest."""
    leading.ordering.disk_is_low = True
    future = leading.hand_in(0)
    leading.ordering.admit(leading.alone.raft, 0)
    assert await future == SlowDown(5_000)
