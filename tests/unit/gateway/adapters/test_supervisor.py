"""Loops must not die quietly."""

import asyncio

from gateway.adapters.supervisor import Supervisor


async def test_a_loop_that_fails_is_told() -> None:
    """The first failure is kept, with its exception."""
    supervisor = Supervisor()

    async def fail() -> None:
        raise ValueError("boom")

    supervisor.start(fail(), "fails")
    assert isinstance(await supervisor.failure, ValueError)


async def test_a_loop_that_just_ends_is_a_failure_too() -> None:
    """Loops run until they are stopped."""
    supervisor = Supervisor()
    supervisor.start(asyncio.sleep(0), "ends")
    assert "ends" in str(await supervisor.failure)


async def test_a_stop_is_no_failure() -> None:
    """Cancelled on purpose and waited for."""
    supervisor = Supervisor()
    ended = []

    async def loop() -> None:
        try:
            await asyncio.sleep(100)
        finally:
            ended.append(True)

    task = supervisor.start(loop(), "runs")
    await asyncio.sleep(0)
    await supervisor.stop(task)
    assert ended == [True]
    assert not supervisor.failure.done()
