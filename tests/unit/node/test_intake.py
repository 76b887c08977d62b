"""A leader's intake: once only, whole or not at all, and bodies built at the right moment."""

from dataclasses import replace

import ledger_world as world
import pytest
from node_world import Alone

from ledger.body import parse_body
from ledger.chain import Chain
from ledger.envelope import seal_envelope
from ledger.governance_state import Limits, State
from node.config import Blocks
from node.effects import Committed, Known, LeafState, NotLeader, Outcome, OutcomeUnknown, Refused, SlowDown
from node.intake import Intake

ALLOWED = frozenset({world.SUBMITTER})


class Desk:
    """An intake in front of a real chain."""

    def __init__(self, **pace: int) -> None:
        self.alone = Alone()
        self.intake = Intake(Blocks(**pace), self.alone.opened.derived)

    @property
    def chain(self) -> Chain:
        """The applied chain."""
        return self.alone.chain

    def take(
        self, ticket: int, first: int, count: int = 2, *, now_ms: int = 0, raw: bytes | None = None
    ) -> Outcome | None:
        """Hand in records first .. first + count - 1."""
        raw = world.envelope(self.chain.chain_id, first, count).raw if raw is None else raw
        state = self.chain.state
        return self.intake.take(
            ticket, raw, allowed=ALLOWED, state=state, height=self.chain.height + 1, now_ms=now_ms
        )

    def build(self, limits: Limits | None = None) -> int:
        """Put the next body into the log; returns its height."""
        stamp_ms = self.alone.raft.next_stamp(world.START_MS + 9)
        payload, count = self.intake.build("broker-1", stamp_ms, limits or self.chain.state.limits)
        (entry,) = self.alone.raft.propose([payload], 9, world.START_MS + 9)
        self.intake.proposed(entry.index, count)
        return entry.index

    def settle(self) -> list[tuple[int, Outcome]]:
        """Apply what is in the log; returns tickets and outcomes."""
        return [
            (answer.ticket, answer.outcome)
            for block in self.alone.settle()
            for answer in self.intake.applied(block)
        ]


def _states(outcome: Outcome | None) -> list[LeafState]:
    assert isinstance(outcome, Known)
    return [leaf.state for leaf in outcome.leaves]


def test_an_envelope_is_answered_with_its_block() -> None:
    """Two envelopes in one body: each gets the index of its own first leaf."""
    desk = Desk()
    assert desk.take(1, 0, 2) is None
    assert desk.take(2, 10, 3) is None
    height = desk.build()
    time_ms = world.START_MS + 9
    assert desk.settle() == [(1, Committed(height, 2, time_ms)), (2, Committed(height, 4, time_ms))]
    assert (desk.intake.waiting_records, desk.intake.in_flight) == (0, 0)


def test_a_leaf_is_known_while_waiting_in_flight_and_on_the_chain() -> None:
    """Nothing of the second envelope is ordered at any of these moments."""
    desk = Desk()
    desk.take(1, 0, 2)
    assert _states(desk.take(2, 1, 2)) == [LeafState.IN_FLIGHT, LeafState.NEW]
    desk.build()
    assert _states(desk.take(3, 1, 2)) == [LeafState.IN_FLIGHT, LeafState.NEW]
    desk.settle()
    outcome = desk.take(4, 1, 2)
    assert _states(outcome) == [LeafState.ON_CHAIN, LeafState.NEW]
    assert isinstance(outcome, Known)
    assert (outcome.leaves[0].index, outcome.leaves[0].height) == (3, 2)
    assert desk.take(5, 2, 1) is None, "the new one alone is taken"


def test_a_leaf_twice_in_one_envelope_is_told_apart() -> None:
    """The first is new, the second repeats it."""
    desk = Desk()
    leaf = world.leaves(0, 1)
    raw = seal_envelope(desk.chain.chain_id, *world.SUBMITTER, leaf * 2, world.seed(*world.SUBMITTER)).raw
    assert _states(desk.take(1, 0, raw=raw)) == [LeafState.NEW, LeafState.REPEATED]
    assert desk.intake.waiting_records == 0


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda c: world.envelope(c, 0, 1).raw[:-1], "E_ENCODING_TRUNCATED"),
        (lambda _: world.envelope("other-00000000", 0, 1).raw, "E_ENVELOPE_SIGNATURE"),
        (lambda c: world.envelope(c, 0, 1, ("MARKET", "gateway-1")).raw, "E_ENVELOPE_OWNER"),
        (lambda c: world.envelope(c, 0, 5_001).raw, "E_ENVELOPE_RECORDS"),
        (lambda _: bytes(1_048_577), "E_ENCODING_SIZE"),
    ],
)
def test_permanent_refusals(make: object, code: str) -> None:
    """Each has its code, and leaves nothing behind."""
    desk = Desk()
    outcome = desk.take(1, 0, raw=make(desk.chain.chain_id))  # type: ignore[operator]
    assert isinstance(outcome, Refused)
    assert outcome.code == code
    assert desk.intake.waiting_records == 0


def test_an_envelope_that_cannot_fit_a_body_is_refused() -> None:
    """Else it would wait for ever."""
    desk = Desk()
    raw = world.envelope(desk.chain.chain_id, 0, 1_100).raw
    small = _with_limits(desk.chain.state, Limits(body_max_bytes=131_072 + 10_000))
    outcome = desk.intake.take(1, raw, allowed=ALLOWED, state=small, height=2, now_ms=0)
    assert isinstance(outcome, Refused)
    assert outcome.code in {"E_ENVELOPE_BYTES", "E_ENCODING_SIZE"}


def test_a_revoked_key_is_refused() -> None:
    """Whether the key is open hangs on the height of the block."""
    desk = Desk()
    raw = world.envelope(desk.chain.chain_id, 0, 1).raw
    state = desk.chain.state
    revoked = replace(state, submitters=(replace(state.submitters[0], until_height=5),))
    assert desk.intake.take(1, raw, allowed=ALLOWED, state=revoked, height=4, now_ms=0) is None
    other = world.envelope(desk.chain.chain_id, 9, 1).raw
    outcome = desk.intake.take(2, other, allowed=ALLOWED, state=revoked, height=5, now_ms=0)
    assert isinstance(outcome, Refused)
    assert outcome.code == "E_CHAIN_SUBMITTER"


def test_a_full_queue_asks_for_patience() -> None:
    """Nothing is taken in, and the delay is the configured one."""
    desk = Desk(waiting_max_records=2, slow_down_ms=77)
    assert desk.take(1, 0, 2) is None
    assert desk.take(2, 10, 2) == SlowDown(77)


def test_a_lone_envelope_never_waits() -> None:
    """With nothing in flight a body is due at once."""
    desk = Desk(gather_ms=1_000)
    assert not desk.intake.wants_body(0)
    assert desk.intake.due_ms() is None
    desk.take(1, 0)
    assert desk.intake.wants_body(0)


def test_with_a_body_in_flight_the_next_waits_for_company_or_time() -> None:
    """Enough records, or the first has waited `gather_ms`; never more than `in_flight_max` bodies."""
    desk = Desk(gather_ms=5, full_records=6, in_flight_max=2)
    desk.take(1, 0, 2, now_ms=0)
    desk.build()
    desk.take(2, 10, 2, now_ms=10)
    assert not desk.intake.wants_body(12)
    assert desk.intake.due_ms() == 15
    assert desk.intake.wants_body(15)
    desk.take(3, 20, 4, now_ms=12)
    assert desk.intake.wants_body(12), "six records wait"
    desk.build()
    desk.take(4, 30, 9, now_ms=12)
    assert not desk.intake.wants_body(1_000), "two bodies are in flight"
    assert desk.intake.due_ms() is None
    desk.settle()
    assert desk.intake.wants_body(12)


def test_a_body_keeps_the_chains_limits() -> None:
    """By records and by bytes; the first envelope always goes in; what is left waits."""
    for limits in (Limits(body_max_records=5), Limits(body_max_bytes=1_000)):
        desk = Desk()
        for ticket in range(4):
            desk.take(ticket, 10 * ticket, 2)
        payload, count = desk.intake.build("broker-1", world.START_MS + 9, limits)
        body = parse_body(payload)
        assert 1 <= count < 4
        assert body.records == 2 * count <= 5
        assert len(payload) <= limits.body_max_bytes


def test_lost_leadership_answers_everything() -> None:
    """In flight: unknown, repeating is safe. Waiting: not taken."""
    desk = Desk()
    desk.take(1, 0)
    desk.build()
    desk.take(2, 10)
    answers = desk.intake.lost(NotLeader("market-1"))
    assert [(a.ticket, a.outcome) for a in answers] == [(1, OutcomeUnknown()), (2, NotLeader("market-1"))]
    assert desk.settle() == [], "what is applied later finds nobody"
    assert _states(desk.take(3, 0)) == [LeafState.ON_CHAIN] * 2
    assert desk.take(4, 10) is None, "what waited can be taken again"


def test_a_recheck_throws_out_what_governance_no_longer_allows() -> None:
    """The others keep their places."""
    desk = Desk()
    for ticket in range(3):
        desk.take(ticket, 10 * ticket, 1 if ticket == 1 else 2)
    tight = _with_limits(desk.chain.state, Limits(envelope_max_records=1))
    answers = desk.intake.recheck(3, state=tight, height=2)
    assert [answer.ticket for answer in answers] == [0, 2]
    assert all(isinstance(answer.outcome, Refused) for answer in answers)
    assert desk.intake.waiting_records == 1
    assert desk.take(9, 0) is None, "what was thrown out can come again"


def _with_limits(state: State, limits: Limits) -> State:
    return replace(state, limits=limits)
