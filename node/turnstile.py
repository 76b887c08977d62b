"""A turnstile: one question of the public begins in a turn of the event loop, however many are waiting.

Why: votes and heartbeats live in the same loop as answers for anybody. Answers are short, but the loop runs all that is
ready before it looks at the clock again: five hundred callers at once would hold it for half a second, and a leader
that is held for so long is no leader any more. Behind a turnstile they wait for each other, and whatever else is due
comes in between.

Rules kept here: who came first goes first; passing costs a turn or two of the loop when nobody waits; how many may
wait is the door's limit (connections, calls).

Source: asyncio's Lock is fair (FIFO). Refuses: priorities, timing out.
"""

import asyncio


class Turnstile:
    """Owned by the loop's thread."""

    def __init__(self) -> None:
        """Nobody waits."""
        self._passing = asyncio.Lock()

    async def wait(self) -> None:
        """Return in a turn of the loop in which nobody else returns from here."""
        async with self._passing:
            await asyncio.sleep(0)
