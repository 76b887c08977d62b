"""The disk thread: order, groups, marks after their batch, and the end at the first failure."""

import asyncio
import threading
from collections.abc import Sequence

import pytest
from node_world import MemoryHead
from store_world import GENESIS, NODE, bodies, memory_chain, stored

from ledger.errors import StoreFatalError
from ledger.headfile import CosignMark
from ledger.store_chain import ChainBatch, ChainStore, HardState
from node.ports import NodeStats
from node.writer import DiskBatch, Writer, merge

MARK = CosignMark(1, 5, bytes(32))


class Disk:
    """A writer on a store in memory, and what it reported."""

    def __init__(self) -> None:
        self.kv, self.store = memory_chain()
        self.head = MemoryHead()
        self.synced: list[int] = []
        self.deaths: list[BaseException] = []
        self.stats = NodeStats()
        self.writer = Writer(
            self.store, self.head, on_synced=self.synced.extend, die=self.deaths.append, stats=self.stats
        )

    async def reported(self, number: int) -> None:
        """Wait until a batch was reported durable."""
        async with asyncio.timeout(5):
            while number not in self.synced:  # noqa: ASYNC110 - a thread reports it
                await asyncio.sleep(0.001)


def _batches(store: ChainStore, count: int, *, term: int = 1) -> list[DiskBatch]:
    entries = stored(store, bodies(count), term)
    return [DiskBatch(at + 1, HardState(term, NODE, 0), None, (entry,)) for at, entry in enumerate(entries)]


async def test_batches_become_durable_in_order_and_the_head_file_follows() -> None:
    """What is reported is in the store, synced, and the newest slot says so."""
    disk = Disk()
    for batch in _batches(disk.store, 5):
        disk.writer.put(batch)
    await disk.reported(5)
    assert disk.synced == [1, 2, 3, 4, 5]
    assert disk.store.last().height == 5
    assert disk.head.slots[-1][0] == disk.store.facts()
    assert disk.head.slots[-1][0].last_height == 5
    assert disk.stats.disk_batches >= 1
    await disk.writer.stop()


async def test_what_waits_goes_together() -> None:
    """While one sync runs the others queue up and share the next: fewer syncs than batches."""
    disk = Disk()
    gate = threading.Event()
    blocked = disk.writer.run(gate.wait)
    for batch in _batches(disk.store, 40):
        disk.writer.put(batch)
    before = disk.kv.syncs
    gate.set()
    await blocked
    await disk.reported(40)
    assert disk.kv.syncs - before == 1
    assert disk.store.counter() == 1, "one batch of the store from forty of consensus"
    await disk.writer.stop()


async def test_a_truncation_goes_alone() -> None:
    """Before and after it other batches share syncs; it does not."""
    disk = Disk()
    gate = threading.Event()
    blocked = disk.writer.run(gate.wait)
    first = _batches(disk.store, 4)
    for batch in first:
        disk.writer.put(batch)
    gate.set()
    await blocked
    await disk.reported(4)
    cut = stored(disk.store, bodies(2, first=50), 2, after=2)
    gate.clear()
    blocked = disk.writer.run(gate.wait)
    tail = stored(disk.store, bodies(1, first=60), 2, after=2)
    disk.writer.put(DiskBatch(5, HardState(2, "", 0), 3, cut[:1]))
    disk.writer.put(DiskBatch(6, HardState(2, "", 3), None, cut[1:]))
    counter = disk.store.counter()
    gate.set()
    await blocked
    await disk.reported(6)
    assert disk.store.counter() == counter + 2
    assert (disk.store.last().height, disk.store.last().term) == (4, 2)
    assert disk.store.hard_state() == HardState(2, "", 3)
    assert len(tail) == 1
    await disk.writer.stop()


async def test_a_mark_is_durable_when_its_future_is_done() -> None:
    """Together with a batch, or alone; the newest of several is what the slot holds."""
    disk = Disk()
    await disk.writer.mark(MARK)
    assert disk.head.slots[-1] == (disk.store.facts(), MARK)
    gate = threading.Event()
    blocked = disk.writer.run(gate.wait)
    newer = CosignMark(2, 9, bytes(32))
    marks = [disk.writer.mark(MARK), disk.writer.mark(newer)]
    disk.writer.put(_batches(disk.store, 1)[0])
    gate.set()
    await blocked
    await asyncio.gather(*marks)
    await disk.reported(1)
    assert disk.head.slots[-1] == (disk.store.facts(), newer)
    await disk.writer.stop()


@pytest.mark.parametrize("where", ["store", "head", "job"])
async def test_the_first_failure_is_the_end(where: str) -> None:
    """Nothing is reported after it, nothing is tried again, whatever is still in the queue."""
    disk = Disk()
    if where == "store":
        disk.kv.fail_after = 0
    elif where == "head":
        disk.head.fail = StoreFatalError("E_HEAD_WRITE", "full")
    else:
        disk.writer.run(_fail)
    for batch in _batches(disk.store, 2):
        disk.writer.put(batch)
    async with asyncio.timeout(5):
        await disk.writer.stop()
    assert len(disk.deaths) == 1
    assert disk.synced == []
    assert isinstance(disk.deaths[0], ZeroDivisionError if where == "job" else StoreFatalError)


async def test_stopping_finishes_what_was_handed_over() -> None:
    """Everything put before the stop is durable after it."""
    disk = Disk()
    for batch in _batches(disk.store, 10):
        disk.writer.put(batch)
    await disk.writer.stop()
    assert disk.store.last().height == 10
    assert not disk.deaths


def test_merging_keeps_order_and_the_last_hard_state() -> None:
    """Entries one after the other; the newest promise is the batch's."""
    _, store = memory_chain()
    entries = stored(store, bodies(3), 1)
    batches: Sequence[DiskBatch] = [
        DiskBatch(1, HardState(1, "a", 0), None, entries[:1]),
        DiskBatch(2, HardState(2, "", 1), None, entries[1:]),
    ]
    assert merge(batches, 7) == ChainBatch(7, HardState(2, "", 1), None, entries)
    with pytest.raises(AssertionError):
        merge([batches[0], DiskBatch(2, HardState(1, "a", 0), 1, ())], 7)
    assert GENESIS.raw


def _fail() -> None:
    raise ZeroDivisionError
