"""A bell: many tasks wait for "something has changed", nobody queues anything.

Why not a queue per listener: a stream that is slow would collect what it has missed. A bell only says that
there is more than before; each listener then reads what it needs from the store, at its own pace, so its
memory stays flat.

Rules kept here: a ring is never lost (listeners compare counts); ringing costs nothing when nobody listens.
Refuses: carrying values.
"""

import asyncio


class Bell:
    """Rung and waited for on one event loop. `count` is the number of rings so far."""

    __slots__ = ("_waiters", "count")

    def __init__(self) -> None:
        self.count = 0
        self._waiters: set[asyncio.Future[None]] = set()

    def ring(self) -> None:
        """Wake everybody who waits for more than the rings so far."""
        self.count += 1
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def wait(self, count: int, timeout_s: float) -> int:
        """Return the number of rings as soon as it differs from `count`, or after `timeout_s` seconds."""
        if self.count == count:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                async with asyncio.timeout(timeout_s):
                    await waiter
            except TimeoutError:
                pass
            finally:
                self._waiters.discard(waiter)
        return self.count
