"""What waits to be sent to one peer over one stream: bounded, and it is the oldest that is dropped.

Why: consensus repeats what matters, so an old message is worth less than a new one; a queue that grows while
a peer sleeps is worth nothing. A closed box takes nothing, so a peer that is away costs no memory at all.

Rules kept here
- `put` never waits; `next` does. Both run on the event loop's thread.
- A frame that is larger than the box still goes through when the box is empty.

Refuses: knowing what a frame means.
"""

import asyncio
from collections import deque


class Outbox:
    """Frames for one stream. `dropped` counts what was pushed out by newer frames."""

    def __init__(self, max_messages: int, max_bytes: int) -> None:
        """A closed box; `open` starts it."""
        self._frames: deque[bytes] = deque()
        self._bytes = 0
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._news = asyncio.Event()
        self._ended = False
        self.is_open = False
        self.dropped = 0

    def open(self) -> None:
        """Begin empty, with a stream that has just been accepted."""
        self._frames.clear()
        self._bytes = 0
        self._ended = False
        self.is_open = True
        self._news.clear()

    def close(self) -> None:
        """Take nothing any more; what waits is gone."""
        self.is_open = False
        self._frames.clear()
        self._bytes = 0
        self.end()

    def end(self) -> None:
        """Let `next` return None: the stream is over."""
        self._ended = True
        self._news.set()

    def put(self, frame: bytes) -> bool:
        """Queue a frame, dropping the oldest ones if there is no room; False when the box is closed."""
        if not self.is_open:
            return False
        self._frames.append(frame)
        self._bytes += len(frame)
        while len(self._frames) > 1 and (
            len(self._frames) > self._max_messages or self._bytes > self._max_bytes
        ):
            self._bytes -= len(self._frames.popleft())
            self.dropped += 1
        self._news.set()
        return True

    async def next(self) -> bytes | None:
        """The oldest frame, waiting for one; None once the stream is over."""
        while not self._ended:
            if self._frames:
                frame = self._frames.popleft()
                self._bytes -= len(frame)
                return frame
            self._news.clear()
            await self._news.wait()
        return None

    def __len__(self) -> int:
        """Frames waiting."""
        return len(self._frames)
