"""Waiting for records to be settled: what `Prefer: wait=N` needs, without asking the database again and again.

Rules kept here:
- A waiter is registered before the state is read, so a change between the two is never missed.
- The number of waiters has a limit; beyond it a caller is answered at once with the present state, which is never wrong.
- Waiting is a courtesy: nothing depends on it, and a caller that goes away leaves nothing behind.

Refuses: deciding states (see `domain.anchoring`).
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

from gateway.domain.anchoring import SETTLED, Where, where_is
from gateway.ports import RecordReader

WAITERS_MAX: Final = 2_000


class Waiting:
    """Waiters by batch. Owner: the event loop."""

    def __init__(self, reader: RecordReader) -> None:
        """`reader` tells the states."""
        self._reader = reader
        self._waiters: dict[int, set[asyncio.Event]] = {}
        self._count = 0

    def changed(self, batch_ids: Iterable[int]) -> None:
        """Wake whoever waits for records of these batches."""
        for batch_id in batch_ids:
            for event in self._waiters.get(batch_id, ()):
                event.set()

    async def states(self, places: Sequence[tuple[int, int]]) -> list[Where]:
        """Return where the records at these places (batch, position) are now."""
        placements = await self._reader.placements(sorted({batch_id for batch_id, _ in places}))
        return [where_is(placements[batch_id], position) for batch_id, position in places]

    async def settled(self, places: Sequence[tuple[int, int]], timeout_s: float) -> list[Where]:
        """Return where the records are once all are settled, or after `timeout_s` seconds, whichever is first."""
        if not places or self._count >= WAITERS_MAX:
            return await self.states(places)
        event = asyncio.Event()
        batch_ids = {batch_id for batch_id, _ in places}
        for batch_id in batch_ids:
            self._waiters.setdefault(batch_id, set()).add(event)
        self._count += 1
        try:
            return await self._until_settled(event, places, timeout_s)
        finally:
            self._count -= 1
            for batch_id in batch_ids:
                events = self._waiters[batch_id]
                events.discard(event)
                if not events:
                    del self._waiters[batch_id]

    async def _until_settled(
        self, event: asyncio.Event, places: Sequence[tuple[int, int]], timeout_s: float
    ) -> list[Where]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while True:
            event.clear()
            found = await self.states(places)
            if all(where.state in SETTLED for where in found) or loop.time() >= deadline:
                return found
            try:
                async with asyncio.timeout_at(deadline):
                    await event.wait()
            except TimeoutError:
                return await self.states(places)
