"""The outbox: it never waits and never grows; the oldest goes."""

import asyncio

from node.outbox import Outbox


async def test_frames_come_out_in_order() -> None:
    """First in, first out, while the stream lives."""
    box = Outbox(10, 100)
    box.open()
    assert box.put(b"a")
    assert box.put(b"b")
    assert [await box.next(), await box.next()] == [b"a", b"b"]
    assert len(box) == 0


async def test_a_closed_box_takes_nothing() -> None:
    """A peer that is away costs no memory; opening begins empty."""
    box = Outbox(10, 100)
    assert not box.put(b"a")
    box.open()
    box.put(b"a")
    box.close()
    assert not box.put(b"b")
    assert len(box) == 0
    box.open()
    assert len(box) == 0
    assert box.is_open


async def test_the_oldest_is_dropped_and_counted() -> None:
    """By number and by bytes; a frame larger than the box still goes through alone."""
    box = Outbox(2, 100)
    box.open()
    for frame in (b"1", b"2", b"3"):
        box.put(frame)
    assert (len(box), box.dropped) == (2, 1)
    box.put(bytes(100))
    assert (len(box), box.dropped) == (1, 3)
    box.put(bytes(500))
    assert len(box) == 1
    assert await box.next() == bytes(500)


async def test_waiting_ends_with_news_or_with_the_stream() -> None:
    """`next` sleeps until there is a frame, and returns None once the stream is over."""
    box = Outbox(2, 100)
    box.open()
    waiting = asyncio.create_task(box.next())
    await asyncio.sleep(0)
    assert not waiting.done()
    box.put(b"x")
    assert await waiting == b"x"
    waiting = asyncio.create_task(box.next())
    await asyncio.sleep(0)
    box.end()
    assert await waiting is None
