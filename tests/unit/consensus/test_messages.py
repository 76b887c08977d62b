"""Numbers that no honest peer sends are refused before anything is touched."""

import dataclasses

import pytest

from consensus import messages as m
from consensus.errors import MessageError
from consensus.types import NUMBER_MAX, Offer

GOOD: list[m.Message] = [
    m.RequestPreVote("a", "b", 5, 3, 4, bytes(32)),
    m.PreVoteAnswer("a", "b", 0, 1, granted=True, wall_ms=0),
    m.RequestVote("a", "b", 5, 3, 4, bytes(32), transfer=False),
    m.VoteAnswer("a", "b", 5, granted=True, last_index=3, last_hash=bytes(32), wall_ms=0),
    m.AppendEntries("a", "b", 5, 3, 4, bytes(32), 3, (Offer(4, b""), Offer(5, b""))),
    m.AppendAnswer("a", "b", 5, 3, bytes(32), resend=False),
    m.AppendMismatch("a", "b", 5, 3, 2, 2, 1),
    m.Refusal("a", "b", 5, 3, "E_X"),
    m.Heartbeat("a", "b", 5, 3, 1),
    m.HeartbeatAnswer("a", "b", 5, 1, 0),
    m.TermNotice("a", "b", 5),
    m.TimeoutNow("a", "b", 5),
]
NUMBERS = (
    "last_index",
    "last_term",
    "asked",
    "prev_index",
    "prev_term",
    "commit",
    "index",
    "rejected",
    "hint_index",
)


def check(message: m.Message, own_term: int = 5) -> None:
    """Check with generous limits."""
    m.check_ranges(message, own_term, jump_max=1000, entries_max=2)


@pytest.mark.parametrize("message", GOOD, ids=lambda message: type(message).__name__)
def test_good_messages_pass(message: m.Message) -> None:
    """Every kind, in range."""
    check(message)


@pytest.mark.parametrize("message", GOOD, ids=lambda message: type(message).__name__)
@pytest.mark.parametrize("term", [-1, NUMBER_MAX + 1, 1 << 63, 1 << 64])
def test_terms_out_of_range_are_refused(message: m.Message, term: int) -> None:
    """Also the ones a 64-bit field could carry."""
    with pytest.raises(MessageError, match="E_TERM"):
        check(dataclasses.replace(message, term=term))


@pytest.mark.parametrize("message", GOOD, ids=lambda message: type(message).__name__)
def test_every_position_is_checked(message: m.Message) -> None:
    """Each field that is a place in a log, below zero and above the limit."""
    for field in dataclasses.fields(message):
        if field.name in NUMBERS:
            for value in (-1, NUMBER_MAX + 1):
                with pytest.raises(MessageError):
                    check(dataclasses.replace(message, **{field.name: value}))  # type: ignore[arg-type]


def test_a_term_far_ahead_is_not_believed() -> None:
    """The jump is bounded, so that one message cannot use up the terms."""
    check(m.TermNotice("a", "b", 1005))
    with pytest.raises(MessageError, match="E_TERM_JUMP"):
        check(m.TermNotice("a", "b", 1006))


def test_term_zero_is_nobodys_but_a_fresh_voters() -> None:
    """Only a pre-vote may be answered by a node that has seen no election yet."""
    with pytest.raises(MessageError, match="E_TERM_RANGE"):
        check(m.TermNotice("a", "b", 0))


def test_candidates_logs_are_older_than_their_term() -> None:
    """A candidate raised its term, so its last entry is of an earlier one."""
    with pytest.raises(MessageError, match="E_TERM_ORDER"):
        check(m.RequestVote("a", "b", 5, 3, 5, bytes(32), transfer=False))


@pytest.mark.parametrize("terms", [(3,), (4, 3), (5, 6), (6,)])
def test_terms_of_entries_are_in_order(terms: tuple[int, ...]) -> None:
    """They never fall from the previous entry on, and never pass the leader's."""
    entries = tuple(Offer(term, b"") for term in terms)
    with pytest.raises(MessageError, match="E_TERM_ORDER"):
        check(m.AppendEntries("a", "b", 5, 3, 4, bytes(32), 3, entries))


def test_the_number_of_entries_is_bounded() -> None:
    """More than the limit is refused."""
    with pytest.raises(MessageError, match="E_ENTRIES_MANY"):
        check(m.AppendEntries("a", "b", 5, 3, 4, bytes(32), 3, (Offer(4, b""),) * 3))
