"""What peers have said and the loop has not looked at yet: bounded lanes, one per stream.

Why: a peer may send faster than the loop works, and one loud peer must not crowd out the others. Each
incoming stream has a lane of its own with a cap on messages and bytes; when it is full its stream is simply
not read any further, so HTTP/2 flow control holds the sender, and memory stays flat.

Rules kept here
- `put` waits, `take` never does. Both run on the event loop's thread.
- Control lanes are emptied before data lanes; among equals, one message from each in turn.
- A lane always takes one message, however large (the door has limited its size).

Refuses: dropping anything. What must be dropped is dropped by the sender (`outbox`).
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Lane(Generic[T]):
    """The waiting messages of one stream. Owned by its stream's reader and by the loop."""

    def __init__(self, max_messages: int, max_bytes: int, wake: Callable[[], None]) -> None:
        """Caps of this lane; `wake` is called whenever something was put."""
        self._items: deque[tuple[T, int]] = deque()
        self._bytes = 0
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._wake = wake
        self._space = asyncio.Event()

    async def put(self, item: T, cost: int) -> None:
        """Append a message of `cost` bytes, waiting for room first."""
        while self._items and (
            len(self._items) >= self._max_messages or self._bytes + cost > self._max_bytes
        ):
            self._space.clear()
            await self._space.wait()
        self._items.append((item, cost))
        self._bytes += cost
        self._wake()

    def pop(self) -> T | None:
        """The oldest message, or None."""
        if not self._items:
            return None
        item, cost = self._items.popleft()
        self._bytes -= cost
        self._space.set()
        return item

    def __len__(self) -> int:
        """Messages waiting."""
        return len(self._items)


class Inbox(Generic[T]):
    """All lanes of a node."""

    def __init__(self, max_messages: int, max_bytes: int, wake: Callable[[], None]) -> None:
        """Caps for each lane; `wake` is called whenever something was put into any of them."""
        self._caps = (max_messages, max_bytes)
        self._wake = wake
        self._urgent: list[Lane[T]] = []
        self._bulk: list[Lane[T]] = []

    def open_lane(self, *, urgent: bool) -> Lane[T]:
        """A new lane for a stream that begins."""
        lane: Lane[T] = Lane(*self._caps, self._wake)
        (self._urgent if urgent else self._bulk).append(lane)
        return lane

    def close_lane(self, lane: Lane[T]) -> None:
        """Forget the lane of a stream that ended, with what still waits in it."""
        for lanes in (self._urgent, self._bulk):
            if lane in lanes:
                lanes.remove(lane)

    def take(self, limit: int) -> list[T]:
        """Up to `limit` messages, control first, one from each lane in turn."""
        taken: list[T] = []
        for lanes in (self._urgent, self._bulk):
            found = True
            while found and len(taken) < limit:
                found = False
                for lane in lanes:
                    item = lane.pop() if len(taken) < limit else None
                    if item is not None:
                        taken.append(item)
                        found = True
        return taken

    def __len__(self) -> int:
        """Messages waiting in all lanes."""
        return sum(map(len, self._urgent)) + sum(map(len, self._bulk))
