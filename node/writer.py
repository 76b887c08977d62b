"""The one disk thread: batches of the chain store and slots of the head file, in order, each durable or the
end.

Why one thread: writes that overtake each other have lost committed entries elsewhere, and a database handle
that failed once goes on "succeeding" without a disk. Here everything that must be durable goes through one
queue; what waits when the thread comes round goes to the disk together, in one sync (group commit).

Order of one round, with its crash points
    collect    what waits in the queue, up to a limit            crash: nothing of it was promised to anybody
    sync       one batch into the chain store, synced            crash: store ahead of head file; sound
    head       the slot, with the newest mark asked for, synced  crash: as if nothing was said yet; sound
    report     the loop hears the batch numbers and marks        only now may anything leave that rests on
    them

Rules kept here
- A truncating batch goes alone, so that what is deleted and what is committed never meet in one batch.
- The first failure of any kind ends the process (`die`), after a line of telemetry. Nothing is retried: what
  is on the disk is then not known, and only a new start may find out.
- Jobs for the disk that nothing waits for (`run`) go through the same queue.

Source: RELIABILITY 3.2 S3 in spirit; docs/formats/storage.md. Refuses: reads, deciding, forgetting a failure.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from ledger.headfile import CosignMark, StoreFacts
from ledger.store_chain import ChainBatch, HardState, StoredEntry
from node.ports import NodeStats

_GROUP_MAX = 64
_GROUP_MAX_BYTES = 8 * 1024 * 1024


class BatchStore(Protocol):
    """The writing side of the chain store."""

    def counter(self) -> int:
        """Number of the newest batch."""

    def facts(self) -> StoreFacts:
        """What the head file repeats."""

    def write(self, batch: ChainBatch) -> None:
        """Write and sync one batch."""


class SlotFile(Protocol):
    """The writing side of the head file."""

    def write(self, facts: StoreFacts, mark: CosignMark | None = None) -> None:
        """Write and sync one slot."""


@dataclass(frozen=True, slots=True)
class DiskBatch:
    """One batch of consensus, on its way to the chain store. `number` is consensus' own."""

    number: int
    hard_state: HardState
    truncate_from: int | None
    entries: tuple[StoredEntry, ...]

    def cost(self) -> int:
        """Bytes of bodies."""
        return sum(len(entry.body_raw) for entry in self.entries)


@dataclass(frozen=True, slots=True)
class _MarkJob:
    mark: CosignMark
    done: asyncio.Future[None]


@dataclass(frozen=True, slots=True)
class _RunJob:
    job: Callable[[], object]
    done: asyncio.Future[None]


_Job = DiskBatch | _MarkJob | _RunJob


class Writer:
    """The thread and its queue. All methods are called on the loop's thread."""

    def __init__(
        self,
        store: BatchStore,
        head: SlotFile,
        *,
        on_synced: Callable[[Sequence[int]], None],
        die: Callable[[BaseException], None],
        stats: NodeStats,
    ) -> None:
        """`on_synced` runs on the loop with the numbers of batches that are durable, in order; `die` runs on
        the disk thread and does not return in production.
        """
        self._store = store
        self._head = head
        self._on_synced = on_synced
        self._die = die
        self._stats = stats
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._held: _Job | None = None  # disk thread only: taken from the queue, not yet worked on
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._work, name="disk", daemon=True)
        self._thread.start()

    def put(self, batch: DiskBatch) -> None:
        """Hand over a batch; batches are handed over in the order of their numbers."""
        self._queue.put(batch)

    def mark(self, mark: CosignMark) -> asyncio.Future[None]:
        """Hand over a cosigner's mark; the future is done when it is durable."""
        done: asyncio.Future[None] = self._loop.create_future()
        self._queue.put(_MarkJob(mark, done))
        return done

    def run(self, job: Callable[[], object]) -> asyncio.Future[None]:
        """Run a job on the disk thread, in its place in the queue."""
        done: asyncio.Future[None] = self._loop.create_future()
        self._queue.put(_RunJob(job, done))
        return done

    async def stop(self) -> None:
        """Finish everything handed over so far, then end the thread."""
        self._queue.put(None)
        await self._ended

    # --- on the disk thread ---------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            while True:
                job = self._next(block=True)
                if job is None:
                    return
                if isinstance(job, _RunJob):
                    job.job()
                    self._tell(partial(_finish, job.done))
                else:
                    self._round(job)
        except BaseException as error:  # noqa: BLE001 - whatever it was, the disk's state is unknown
            self._die(error)
        finally:
            self._tell(partial(_finish, self._ended))

    def _next(self, *, block: bool) -> _Job | None:
        """The next job; None when asked to end (or, without blocking, when there is none)."""
        if self._held is not None:
            job, self._held = self._held, None
            return job
        try:
            return self._queue.get(block)
        except queue.Empty:
            return None

    def _round(self, first: DiskBatch | _MarkJob) -> None:
        """One group: sync, head file, report."""
        batches, marks = self._collect(first)
        started = time.perf_counter()
        if batches:
            self._store.write(merge(batches, self._store.counter() + 1))
        # crash here: the store is one batch ahead of the head file, which a start takes for what it is
        self._head.write(self._store.facts(), marks[-1].mark if marks else None)
        # crash here: everything is durable and nobody was told; peers and callers ask again
        self._count(time.perf_counter() - started)
        numbers = [batch.number for batch in batches]
        futures = [job.done for job in marks]
        self._tell(partial(self._report, numbers, futures))

    def _collect(self, first: DiskBatch | _MarkJob) -> tuple[list[DiskBatch], list[_MarkJob]]:
        batches: list[DiskBatch] = []
        marks: list[_MarkJob] = []
        cost = 0
        job: _Job | None = first
        while job is not None:
            if isinstance(job, DiskBatch):
                alone = job.truncate_from is not None
                if batches and (alone or cost + job.cost() > _GROUP_MAX_BYTES):
                    self._held = job
                    break
                batches.append(job)
                cost += job.cost()
                if alone:
                    break
            elif isinstance(job, _MarkJob):
                marks.append(job)
            else:
                self._held = job
                break
            if len(batches) + len(marks) >= _GROUP_MAX:
                break
            job = self._take_waiting()
        return batches, marks

    def _take_waiting(self) -> _Job | None:
        """The next job if one waits already; a request to end is put back for `_work`."""
        try:
            job = self._queue.get_nowait()
        except queue.Empty:
            return None
        if job is None:
            self._queue.put(None)
        return job

    def _count(self, seconds: float) -> None:
        stats = self._stats  # plain numbers; a reader on the loop may see them one round late
        stats.disk_batches += 1
        stats.disk_seconds += seconds
        stats.disk_slowest_s = max(stats.disk_slowest_s, seconds)

    def _tell(self, call: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(call)
        except RuntimeError:
            return  # the loop is closed: nobody is left to be told, and what was written is written

    # --- back on the loop -----------------------------------------------------------------------------------

    def _report(self, numbers: Sequence[int], futures: Sequence[asyncio.Future[None]]) -> None:
        if numbers:
            self._on_synced(numbers)
        for future in futures:
            _finish(future)


def merge(batches: Sequence[DiskBatch], counter: int) -> ChainBatch:
    """One batch of the chain store from several of consensus; only a lone one may truncate."""
    assert batches, "something to write"
    assert len(batches) == 1 or all(batch.truncate_from is None for batch in batches), "truncations go alone"
    return ChainBatch(
        counter,
        batches[-1].hard_state,
        batches[0].truncate_from,
        tuple(entry for batch in batches for entry in batch.entries),
    )


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
