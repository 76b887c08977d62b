"""Waiting for records to be settled: what `Prefer: wait=N` needs, without every waiter asking the database by itself.

Rules kept here:
- A waiter is registered before the state is read, so a change between the two is never missed. What was admitted a moment
  ago (`fresh`) needs no first reading: the waiter is registered in the same turn of the loop in which the admission
  returned, hence before anything can be known about it.
- One change is read once, for all who wait for the batch.
- The number of waiters has a limit; beyond it a caller is answered at once with the present state, which is never wrong.
- Waiting is a courtesy: nothing depends on it, and a caller that goes away leaves nothing behind.

Refuses: deciding states (see `domain.anchoring`).
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.domain.anchoring import SETTLED, Placement, Where, where_is
from gateway.errors import GatewayError
from gateway.ports import RecordReader

WAITERS_MAX: Final = 2_000

Places = Sequence[tuple[int, int]]


@dataclass(slots=True)
class _Watched:
    """A batch that somebody waits for: the placements last read, and whom to wake."""

    placements: list[Placement] = field(default_factory=list)
    wake: set[asyncio.Event] = field(default_factory=set)


class Waiting:
    """Waiters by batch. Owner: the event loop."""

    def __init__(self, reader: RecordReader) -> None:
        """`reader` tells the states."""
        self._reader = reader
        self._watched: dict[int, _Watched] = {}
        self._count = 0
        self._readings: set[asyncio.Task[None]] = set()

    def changed(self, batch_ids: Iterable[int]) -> None:
        """Say that records of these batches were settled; whoever waits for them looks again."""
        wanted = [batch_id for batch_id in batch_ids if batch_id in self._watched]
        if wanted:
            reading = asyncio.create_task(self._read(wanted), name="waiting-read")
            self._readings.add(reading)
            reading.add_done_callback(self._readings.discard)

    async def states(self, places: Places) -> list[Where]:
        """Return where the records at these places (batch, position) are now."""
        placements = await self._reader.placements(sorted({batch_id for batch_id, _ in places}))
        return [where_is(placements[batch_id], position) for batch_id, position in places]

    async def settled(self, places: Places, timeout_s: float, *, fresh: bool = False) -> list[Where]:
        """Return where the records are once all are settled, or after `timeout_s` seconds, whichever is first.

        `fresh` says that all of them were admitted in this very turn of the loop.
        """
        if not places or self._count >= WAITERS_MAX:
            return await self.states(places)
        event = asyncio.Event()
        batch_ids = {batch_id for batch_id, _ in places}
        for batch_id in batch_ids:
            self._watched.setdefault(batch_id, _Watched()).wake.add(event)
        self._count += 1
        try:
            if not fresh:
                await self._read(sorted(batch_ids))
            return await self._until_settled(event, places, timeout_s)
        finally:
            self._count -= 1
            for batch_id in batch_ids:
                watched = self._watched[batch_id]
                watched.wake.discard(event)
                if not watched.wake:
                    del self._watched[batch_id]

    async def _until_settled(self, event: asyncio.Event, places: Places, timeout_s: float) -> list[Where]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while True:
            event.clear()
            found = [where_is(self._watched[batch_id].placements, position) for batch_id, position in places]
            if all(where.state in SETTLED for where in found):
                return found
            try:
                async with asyncio.timeout_at(deadline):
                    await event.wait()
            except TimeoutError:
                return await self.states(places)

    async def _read(self, batch_ids: Sequence[int]) -> None:
        """Read the placements of batches once and wake whoever waits for them."""
        try:
            placements = await self._reader.placements(batch_ids)
        except GatewayError:
            return  # who waits will look again when the time is up, and be told then
        for batch_id, found in placements.items():
            watched = self._watched.get(batch_id)
            if watched is not None:
                watched.placements = found
                for event in watched.wake:
                    event.set()
