"""The store as a whole: limits on reads, closing, failure."""

import asyncio
import threading
from pathlib import Path

import pytest
from gateway_fakes import new_store
from gateway_records import intake_of
from sqlalchemy import Connection

from gateway.adapters import store as module
from gateway.adapters.store import SqlStore
from gateway.errors import BusyError, FatalStorageError


async def test_waiting_reads_have_a_limit(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond it a reader is told to come back."""
    monkeypatch.setattr(module, "_READS_WAITING_MAX", 1)
    gate = threading.Event()
    first = asyncio.create_task(store._read(lambda _: gate.wait(5)))
    await asyncio.sleep(0.02)
    with pytest.raises(BusyError, match="E_BUSY"):
        await store.record(1)
    gate.set()
    await first
    assert await store.record(1) is None


async def test_a_fatal_read_ends_the_gateway(store: SqlStore) -> None:
    """Damage that a reader finds is reported where the process looks."""

    def damaged(_: Connection) -> None:
        raise FatalStorageError("E_STORAGE_DAMAGED", "words")

    assert store.alive()
    with pytest.raises(FatalStorageError):
        await store._read(damaged)
    assert store.failed.done()
    assert not store.alive()


async def test_writes_and_reads_see_each_other(store: SqlStore) -> None:
    """A read after an answered write sees it: answers are never older than what was promised."""
    for number in range(20):
        admitted = await store.admit(intake_of([number]))
        row = await store.record(admitted.ids[0])
        assert row is not None


async def test_closing_twice_is_not_needed(tmp_path: Path) -> None:
    """After close the database can be opened by the next gateway."""
    store, database = new_store(tmp_path)
    await store.admit(intake_of([1]))
    await store.close()
    database.close()
    again, database = new_store(tmp_path)
    assert again.backlog() == 1
    await again.close()
    database.close()
