"""The inbox: bounded lanes, control first, one from each in turn."""

import asyncio

from node.inbox import Inbox


def _inbox(max_messages: int = 3, max_bytes: int = 100) -> tuple[Inbox[str], list[int]]:
    woken: list[int] = []
    return Inbox(max_messages, max_bytes, lambda: woken.append(1)), woken


async def test_control_comes_before_data_and_lanes_take_turns() -> None:
    """A loud peer does not crowd out a quiet one, and blocks do not hold up votes."""
    inbox, woken = _inbox()
    loud, quiet = inbox.open_lane(urgent=False), inbox.open_lane(urgent=False)
    votes = inbox.open_lane(urgent=True)
    for word in ("l1", "l2", "l3"):
        await loud.put(word, 1)
    await quiet.put("q1", 1)
    await votes.put("v1", 1)
    assert len(inbox) == 5
    assert inbox.take(10) == ["v1", "l1", "q1", "l2", "l3"]
    assert inbox.take(10) == []
    assert len(woken) == 5


async def test_take_is_limited() -> None:
    """A turn of the loop stays short; the rest is there next time."""
    inbox, _ = _inbox()
    lane = inbox.open_lane(urgent=True)
    for word in "abc":
        await lane.put(word, 1)
    assert inbox.take(2) == ["a", "b"]
    assert inbox.take(2) == ["c"]


async def test_a_full_lane_makes_its_stream_wait() -> None:
    """By messages and by bytes; room lets the stream go on, in order."""
    for cap, cost in ((3, 1), (100, 40)):
        inbox, _ = _inbox(max_messages=cap)
        lane = inbox.open_lane(urgent=False)
        putting = asyncio.create_task(_put_all(lane, 5, cost))
        await asyncio.sleep(0.01)
        assert not putting.done()
        waiting = len(lane)
        assert waiting * cost <= 100
        got = []
        while not putting.done() or len(lane):
            got += inbox.take(1)
            await asyncio.sleep(0)
        assert got == [f"m{at}" for at in range(5)]


async def test_one_message_always_fits() -> None:
    """However large: the door has limited its size already."""
    inbox, _ = _inbox(max_bytes=10)
    lane = inbox.open_lane(urgent=False)
    async with asyncio.timeout(1):
        await lane.put("huge", 1_000_000)
    assert inbox.take(1) == ["huge"]


async def test_a_closed_lane_is_forgotten_with_what_it_holds() -> None:
    """A stream that ended has nothing more to say; closing twice does nothing."""
    inbox, _ = _inbox()
    lane = inbox.open_lane(urgent=True)
    await lane.put("late", 1)
    inbox.close_lane(lane)
    inbox.close_lane(lane)
    assert inbox.take(1) == []
    assert len(inbox) == 0


async def _put_all(lane: object, count: int, cost: int) -> None:
    for at in range(count):
        await lane.put(f"m{at}", cost)  # type: ignore[attr-defined]
