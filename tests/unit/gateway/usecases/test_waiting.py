"""Waiting for records to be settled."""

import asyncio
from collections.abc import Sequence

import pytest
from gateway_records import intake_of

from gateway.adapters.store import SqlStore
from gateway.domain.anchoring import Placement, State
from gateway.domain.finality import Unproven
from gateway.usecases import waiting as module
from gateway.usecases.waiting import Waiting


async def test_a_waiter_is_woken_when_everything_is_settled(store: SqlStore) -> None:
    """Committed is not yet settled; final and failed are."""
    waiting = Waiting(store)
    admitted = await store.admit(intake_of([1, 2]))
    task = asyncio.create_task(waiting.settled(admitted.places, 10))
    await asyncio.sleep(0.02)
    await store.place(
        [(1, Placement(0, 1, State.COMMITTED, 5, 50, 1)), (1, Placement(1, 1, State.FAILED, code="E_X"))]
    )
    waiting.changed([1])
    await asyncio.sleep(0.02)
    assert not task.done()
    await store.finalise([Unproven(1, 0, 1, 50)], None)
    waiting.changed([1])
    async with asyncio.timeout(2):
        assert [where.state for where in await task] == [State.FINAL, State.FAILED]
    assert waiting._watched == {}
    assert waiting._count == 0


async def test_time_runs_out(store: SqlStore) -> None:
    """After the wait the present state is the answer."""
    waiting = Waiting(store)
    admitted = await store.admit(intake_of([1]))
    found = await waiting.settled(admitted.places, 0.05)
    assert [where.state for where in found] == [State.PENDING]
    assert waiting._watched == {}


async def test_a_change_between_reading_and_waiting_is_not_missed(store: SqlStore) -> None:
    """The waiter is registered before the state is read."""
    waiting = Waiting(store)
    admitted = await store.admit(intake_of([1]))
    original = store.placements

    async def late(batch_ids: Sequence[int]) -> dict[int, list[Placement]]:
        found = await original(batch_ids)
        if not found[1]:
            await store.place([(1, Placement(0, 1, State.FAILED, code="E_X"))])
            waiting.changed([1])
        return found

    store.placements = late  # type: ignore[method-assign]
    async with asyncio.timeout(2):
        found = await waiting.settled(admitted.places, 30)
    assert found[0].code == "E_X"


async def test_what_is_fresh_is_read_only_when_it_changes(store: SqlStore) -> None:
    """One reading serves everybody who waits for the batch."""
    waiting = Waiting(store)
    readings: list[Sequence[int]] = []
    original = store.placements

    async def count(batch_ids: Sequence[int]) -> dict[int, list[Placement]]:
        readings.append(batch_ids)
        return await original(batch_ids)

    store.placements = count  # type: ignore[method-assign]
    admitted = await store.admit(intake_of([1, 2]))
    tasks = [asyncio.create_task(waiting.settled([place], 10, fresh=True)) for place in admitted.places]
    await asyncio.sleep(0.02)
    assert readings == []
    await store.place([(1, Placement(0, 2, State.FAILED, code="E_X"))])
    waiting.changed([1, 99])
    async with asyncio.timeout(2):
        for task in tasks:
            assert (await task)[0].state is State.FAILED
    assert readings == [[1]]


async def test_too_many_waiters_are_answered_at_once(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting is a courtesy with a limit."""
    monkeypatch.setattr(module, "WAITERS_MAX", 0)
    waiting = Waiting(store)
    admitted = await store.admit(intake_of([1]))
    async with asyncio.timeout(2):
        assert (await waiting.settled(admitted.places, 30))[0].state is State.PENDING


async def test_a_caller_that_goes_away_leaves_nothing(store: SqlStore) -> None:
    """A cancelled wait is forgotten."""
    waiting = Waiting(store)
    admitted = await store.admit(intake_of([1]))
    task = asyncio.create_task(waiting.settled(admitted.places, 30))
    await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.wait({task})
    assert waiting._watched == {}
    assert waiting._count == 0
    assert await waiting.settled([], 30) == []
