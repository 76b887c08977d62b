"""One passes in a turn of the loop, in the order of coming."""

import asyncio
import itertools

from node.turnstile import Turnstile


async def test_one_passes_in_a_turn_and_others_get_theirs() -> None:
    """A task that only wants a turn now and then runs between any two that pass."""
    stile, seen = Turnstile(), list[str]()

    async def caller(name: str) -> None:
        await stile.wait()
        seen.append(name)

    async def heartbeat() -> None:
        while True:
            seen.append("beat")
            await asyncio.sleep(0)

    beating = asyncio.create_task(heartbeat())
    await asyncio.gather(*(caller(f"caller {number}") for number in range(50)))
    beating.cancel()
    passed = [name for name in seen if name != "beat"]
    assert passed == [f"caller {number}" for number in range(50)]
    assert all(after == "beat" for before, after in itertools.pairwise(seen) if before != "beat")


async def test_who_goes_away_holds_nobody() -> None:
    """A waiting caller that is cancelled leaves the others their turns."""
    stile = Turnstile()
    first, second, third = (asyncio.create_task(stile.wait()) for _ in range(3))
    await asyncio.sleep(0)
    second.cancel()
    async with asyncio.timeout(2):
        await first
        await third
