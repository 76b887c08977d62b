"""The store as a whole: limits on reads, closing, failure."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from gateway_fakes import new_store
from gateway_records import intake_of
from sqlalchemy import Connection

from gateway.adapters import store as module
from gateway.adapters.store import SqlStore
from gateway.errors import BusyError, FatalStorageError, StorageError
from gateway.ports import Admitted


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


async def test_a_full_disk_refuses_whole_requests_and_spoils_nothing(store: SqlStore) -> None:
    """SQLite's own "disk is full", in the middle of a group: nothing of the refused is stored, all else stays usable."""

    def pages(most: int) -> Callable[[Connection], None]:
        return lambda connection: connection.exec_driver_sql(f"PRAGMA max_page_count={most}").close()

    def used(connection: Connection) -> int:
        return int(connection.exec_driver_sql("PRAGMA page_count").scalar_one())

    await store.admit(intake_of([1, 2]))
    await store._writer.call(pages(await store._writer.call(used) + 8))
    big, small = intake_of(range(100, 1_100)), intake_of([3])
    refused, accepted = await asyncio.gather(store.admit(big), store.admit(small), return_exceptions=True)
    assert isinstance(refused, StorageError)
    assert refused.code == "E_STORAGE_FULL"
    assert isinstance(accepted, Admitted)
    assert store.alive()
    assert store.backlog() == 3
    await store._writer.call(pages(1_000_000))
    again = await store.admit(big)
    assert not again.replays
    assert store.backlog() == 1_003
    assert sum(len(batch.leaves) for batch in await store.pending(0, 10**6)) == 1_003 * 129
