"""A bell wakes everybody who waits, loses no ring, and waits no longer than asked."""

import asyncio

from node.bell import Bell


async def test_everybody_is_woken() -> None:
    """All waiters see the ring."""
    bell = Bell()
    waiters = [asyncio.create_task(bell.wait(0, 5.0)) for _ in range(3)]
    await asyncio.sleep(0)
    bell.ring()
    assert await asyncio.gather(*waiters) == [1, 1, 1]


async def test_a_ring_before_the_wait_is_not_lost() -> None:
    """Who has seen fewer rings returns at once."""
    bell = Bell()
    bell.ring()
    assert await bell.wait(0, 5.0) == 1


async def test_waiting_ends_after_its_time() -> None:
    """Without a ring the count is unchanged, and nothing of the waiter stays behind."""
    bell = Bell()
    assert await bell.wait(0, 0.01) == 0
    assert not bell._waiters


async def test_a_cancelled_waiter_leaves_nothing_behind() -> None:
    """A stream that was cut does not leak."""
    bell = Bell()
    task = asyncio.create_task(bell.wait(0, 5.0))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not bell._waiters
    bell.ring()
