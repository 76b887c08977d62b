"""The desk: every ticket is answered once, and how many are open is bounded."""

import pytest

from node.desk import Desk
from node.effects import Answer, Committed, NotLeader, SlowDown

ALLOWED = frozenset({("BROKER", "gateway-1")})
DONE = Committed(1, 2, 3)


async def test_an_envelope_is_taken_once_and_answered_once() -> None:
    """What it came with goes along; a second answer is our bug."""
    desk = Desk(10, 5)
    future = desk.hand_in(b"raw", ALLOWED)
    (handed,) = desk.take(100)
    assert (handed.raw, handed.allowed) == (b"raw", ALLOWED)
    assert desk.take(100) == []
    desk.answer([Answer(handed.ticket, DONE)])
    assert await future == DONE
    assert desk.open_tickets == 0
    with pytest.raises(KeyError):
        desk.answer_one(handed.ticket, DONE)


async def test_too_many_open_tickets_are_told_to_slow_down() -> None:
    """At once, and nothing is taken in."""
    desk = Desk(2, 5)
    desk.hand_in(b"1", ALLOWED)
    desk.hand_in(b"2", ALLOWED)
    assert await desk.hand_in(b"3", ALLOWED) == SlowDown(5)
    assert len(desk) == 2


async def test_a_turn_takes_a_bounded_number_of_bytes() -> None:
    """At least one, however large; in the order of arrival."""
    desk = Desk(10, 5)
    for raw in (bytes(200), bytes(40), bytes(40), bytes(40)):
        desk.hand_in(raw, ALLOWED)
    assert [len(handed.raw) for handed in desk.take(100)] == [200]
    assert [len(handed.raw) for handed in desk.take(100)] == [40, 40]
    assert len(desk) == 1


async def test_a_waiter_that_went_away_does_no_harm() -> None:
    """Its envelope is ordered all the same; the answer finds nobody."""
    desk = Desk(10, 5)
    future = desk.hand_in(b"1", ALLOWED)
    future.cancel()
    (handed,) = desk.take(100)
    desk.answer_one(handed.ticket, DONE)
    assert desk.open_tickets == 0


async def test_a_closed_desk_takes_nothing_and_gives_back_what_lies_there() -> None:
    """What the loop has taken already is still answered by the loop."""
    desk = Desk(10, 5)
    taken = desk.hand_in(b"1", ALLOWED)
    (handed,) = desk.take(100)
    lying = desk.hand_in(b"2", ALLOWED)
    desk.close()
    assert await lying == NotLeader("")
    assert await desk.hand_in(b"3", ALLOWED) == NotLeader("")
    desk.answer_one(handed.ticket, DONE)
    assert await taken == DONE
