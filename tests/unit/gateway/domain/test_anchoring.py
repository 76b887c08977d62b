"""States, and what each answer of a node means for each record."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.anchoring import (
    SETTLED,
    TRANSITIONS,
    Committed,
    Known,
    LeafState,
    LeafStatus,
    Outcome,
    Piece,
    Placement,
    Refused,
    SlowDown,
    State,
    Unknown,
    Verdict,
    judge,
    unplaced,
    where_is,
)
from gateway.errors import UntrustedAnswerError

NEW = LeafStatus(LeafState.NEW)
FLYING = LeafStatus(LeafState.IN_FLIGHT)
TWICE = LeafStatus(LeafState.REPEATED)


def on_chain(index: int, height: int = 9) -> LeafStatus:
    """Return the status of a leaf on the chain."""
    return LeafStatus(LeafState.ON_CHAIN, index, height)


def test_states_move_one_way() -> None:
    """Received → pending → committed → final, and pending → failed; nothing else, and nothing comes back."""
    moves = {(before, after) for before, followers in TRANSITIONS.items() for after in followers}
    assert moves == {
        (State.RECEIVED, State.PENDING),
        (State.PENDING, State.COMMITTED),
        (State.PENDING, State.FAILED),
        (State.COMMITTED, State.FINAL),
    }
    assert set(SETTLED) == {State.FINAL, State.FAILED}


def test_committed_places_every_piece_side_by_side() -> None:
    """The pieces of an envelope stand in its order from the first index on."""
    pieces = [Piece(1, 0, 3), Piece(4, 2, 2)]
    verdict = judge(pieces, Committed(height=7, first_index=100, block_time_ms=5))
    assert verdict == Verdict(
        placed=(
            (1, Placement(0, 3, State.COMMITTED, 7, 100, 5)),
            (4, Placement(2, 2, State.COMMITTED, 7, 103, 5)),
        )
    )


def test_known_with_all_on_chain_is_as_good_as_committed() -> None:
    """A replayed envelope is answered with its places: one run, since they stand side by side."""
    verdict = judge([Piece(1, 0, 3)], Known(tuple(on_chain(50 + n) for n in range(3))))
    assert verdict == Verdict(placed=((1, Placement(0, 3, State.COMMITTED, 9, 50, 0)),))


def test_known_mixed_is_taken_apart() -> None:
    """On the chain: placed there. New: again at once. In flight or repeated: after a pause."""
    leaves = (on_chain(5), NEW, NEW, FLYING, on_chain(80), on_chain(81), on_chain(81), TWICE)
    verdict = judge([Piece(2, 10, 8)], Known(leaves))
    assert verdict.placed == (
        (2, Placement(10, 1, State.COMMITTED, 9, 5, 0)),
        (2, Placement(14, 2, State.COMMITTED, 9, 80, 0)),
        (2, Placement(16, 1, State.COMMITTED, 9, 81, 0)),
    )
    assert verdict.again == (Piece(2, 11, 2),)
    assert verdict.waiting == (Piece(2, 13, 1), Piece(2, 17, 1))


def test_runs_never_cross_blocks_or_pieces() -> None:
    """Side by side in the tree but in two blocks, or in two pieces, makes two placements."""
    leaves = (on_chain(5, 1), on_chain(6, 2), on_chain(7, 2))
    verdict = judge([Piece(1, 0, 2), Piece(2, 0, 1)], Known(leaves))
    assert [(b, p.position, p.count, p.first_index) for b, p in verdict.placed] == [
        (1, 0, 1, 5),
        (1, 1, 1, 6),
        (2, 0, 1, 7),
    ]


def test_all_new_and_yet_not_ordered_waits() -> None:
    """A node that orders nothing and knows nothing is not asked again without a pause."""
    assert judge([Piece(1, 0, 2)], Known((NEW, NEW))) == Verdict(waiting=(Piece(1, 0, 2),))


def test_a_refusal_fails_one_batch_and_splits_a_mixture() -> None:
    """One bad batch must not fail its neighbours: a refused mixture is tried batch by batch."""
    refused = Refused("E_ENVELOPE_SIGNATURE", "words")
    alone = judge([Piece(3, 0, 2), Piece(3, 4, 1)], refused)
    assert [(b, p.state, p.code, p.count) for b, p in alone.placed] == [
        (3, State.FAILED, "E_ENVELOPE_SIGNATURE", 2),
        (3, State.FAILED, "E_ENVELOPE_SIGNATURE", 1),
    ]
    mixed = [Piece(3, 0, 2), Piece(4, 0, 2)]
    assert judge(mixed, refused) == Verdict(alone=tuple(mixed))


@pytest.mark.parametrize("outcome", [SlowDown(0.2), Unknown()])
def test_no_answer_is_no_failure(outcome: Outcome) -> None:
    """Slow down and unknown leave every record in the outbox."""
    assert judge([Piece(1, 0, 2)], outcome) == Verdict(waiting=(Piece(1, 0, 2),))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_an_answer_of_another_length_is_refused(count: int) -> None:
    """A node that answers for other leaves than it was sent is not believed about any."""
    with pytest.raises(UntrustedAnswerError, match="E_NODE_ANSWER"):
        judge([Piece(1, 0, 2)], Known((on_chain(1),) * count))


STATUSES = st.lists(
    st.sampled_from([NEW, FLYING, TWICE]) | st.builds(on_chain, st.integers(0, 6), st.integers(1, 2)),
    min_size=1,
    max_size=30,
)


@given(STATUSES, st.integers(1, 5))
def test_every_record_gets_exactly_one_meaning(leaves: list[LeafStatus], cut: int) -> None:
    """Whatever a node says, each record is placed, sent again or waits; none is lost and none is doubled."""
    pieces = []
    at = 0
    while at < len(leaves):
        count = min(cut, len(leaves) - at)
        pieces.append(Piece(at // cut + 1, 3, count))
        at += count
    verdict = judge(pieces, Known(tuple(leaves)))
    parts = [(p.batch_id, p.position, p.count) for p in verdict.again + verdict.waiting + verdict.alone]
    parts += [(batch, p.position, p.count) for batch, p in verdict.placed]
    covered = sorted((batch, position + n) for batch, position, count in parts for n in range(count))
    assert covered == sorted((p.batch_id, p.position + n) for p in pieces for n in range(p.count))
    flat = dict(
        zip([(p.batch_id, p.position + n) for p in pieces for n in range(p.count)], leaves, strict=True)
    )
    for batch, placement in verdict.placed:
        for n in range(placement.count):
            assert flat[batch, placement.position + n] == on_chain(
                placement.first_index + n, placement.height
            )


def test_where_a_record_is() -> None:
    """A record's state is that of the run that covers it; pending when none does."""
    placements = [
        Placement(0, 2, State.FINAL, 4, 40, 77),
        Placement(3, 1, State.FAILED, code="E_X"),
        Placement(4, 2, State.COMMITTED, 5, 60),
    ]
    assert where_is(placements, 1).index == 41
    assert where_is(placements, 1).state is State.FINAL
    assert where_is(placements, 1).block_time_ms == 77
    assert where_is(placements, 2).state is State.PENDING
    assert where_is(placements, 3).code == "E_X"
    assert where_is(placements, 3).index is None
    assert where_is(placements, 5).index == 61


def test_what_is_missing_of_a_batch() -> None:
    """The gaps between placements, in order; overlaps are our own bug."""
    placements = [Placement(6, 2, State.COMMITTED), Placement(0, 2, State.FAILED)]
    assert unplaced(9, 10, placements) == [Piece(9, 2, 4), Piece(9, 8, 2)]
    assert unplaced(9, 2, [Placement(0, 2, State.FINAL)]) == []
    assert unplaced(9, 3, []) == [Piece(9, 0, 3)]
    with pytest.raises(AssertionError):
        unplaced(9, 10, [Placement(0, 3, State.FINAL), Placement(2, 1, State.FINAL)])
