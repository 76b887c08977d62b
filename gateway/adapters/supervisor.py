"""Long-running tasks that must not die quietly.

Why: a loop that ended with an exception nobody looks at is the worst kind of outage: everything answers and nothing moves.
Here the first task that ends, for whatever reason, ends the gateway; the process manager starts it again.

Rules kept here: every task is held strongly; a stop cancels in reverse order and waits; cancellation is never swallowed.
Refuses: restarting tasks in place. After a failure the state in memory is not to be trusted; the database is.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Supervisor:
    """Holds the gateway's loops; `failure` is done once one of them ended without being asked to."""

    def __init__(self) -> None:
        """Make one per gateway, on its event loop."""
        self.failure: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, run: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Start a loop."""
        task = asyncio.create_task(run, name=name)
        self._tasks.append(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or self.failure.done():
            return
        self.failure.set_result(task.exception() or RuntimeError(f"{task.get_name()} ended"))

    async def stop(self, task: asyncio.Task[None]) -> None:
        """Cancel a loop and wait for its end."""
        task.remove_done_callback(self._ended)
        task.cancel()
        await asyncio.wait({task})
        self._tasks.remove(task)
