"""The one thread that writes to the database, grouping what waits into one transaction.

Why: a durable commit costs the same for one record as for thousands (an fsync), so whatever arrived while the last commit
ran goes into the next one together. Nobody waits for a timer: a lone request is committed at once.

Rules kept here:
- A caller is answered only after the commit that holds its job returned.
- Jobs of one group succeed or fail on their own: when a group fails, it is rolled back and each job is tried in a
  transaction of its own, so that one bad job never takes its neighbours along. Jobs therefore change nothing but the
  database.
- A fatal database error ends the writer; every later call fails at once, and `failed` tells the process to end.
- Everything has a limit: records and jobs per group, jobs that wait.

The event loop never blocks on the disk, and a cancelled caller does not cancel a write: the job runs, its result is
dropped. Refuses: reads (see `records`), knowing what a job means.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from gateway.adapters.database import storage_error
from gateway.errors import BusyError, FatalStorageError, GatewayError
from gateway.ports import Admitted, Intake

T = TypeVar("T")

GROUP_RECORDS_MAX: Final = 20_000
GROUP_JOBS_MAX: Final = 512
WAITING_MAX: Final = 4_096

AdmitMany = Callable[[Connection, Sequence[Intake]], list[Admitted]]


class _Job(Generic[T]):
    """Work for one transaction: an intake, or any function of a connection. `weight` is its number of records."""

    __slots__ = ("future", "intake", "run", "weight")

    def __init__(
        self, future: "asyncio.Future[T]", run: Callable[[Connection], T] | None, intake: Intake | None
    ) -> None:
        self.future = future
        self.run = run
        self.intake = intake
        self.weight = len(intake.refs) if intake else 1


class GroupWriter:
    """Owner of the writing connection. Created and closed on the event loop; `_work` runs in the thread."""

    def __init__(self, engine: Engine, admit_many: AdmitMany) -> None:
        """`admit_many` stores the intakes of a group inside the given transaction."""
        self._engine = engine
        self._admit_many = admit_many
        self._queue: SimpleQueue[_Job[Any] | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._waiting = 0
        self._thread = threading.Thread(target=self._work, name="gateway-writer", daemon=True)
        self.failed: asyncio.Future[FatalStorageError] = self._loop.create_future()
        self._closed = False
        self._thread.start()

    async def admit(self, intake: Intake) -> Admitted:
        """Store an intake durably. Raises StorageError, BusyError E_BUSY."""
        return await self._enqueue(_Job(self._loop.create_future(), None, intake))

    async def call(self, run: Callable[[Connection], T]) -> T:
        """Run a function in a durable transaction and return its result. Raises StorageError, BusyError E_BUSY."""
        return await self._enqueue(_Job(self._loop.create_future(), run, None))

    async def _enqueue(self, job: _Job[T]) -> T:
        if self.failed.done():
            raise self.failed.result()
        assert not self._closed, "the writer is used after its end"
        if self._waiting >= WAITING_MAX:
            raise BusyError("E_BUSY", "too many requests wait for the database", 1.0)
        self._waiting += 1
        self._queue.put(job)
        return await job.future

    async def close(self) -> None:
        """Finish what waits and end the thread."""
        self._closed = True
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def alive(self) -> bool:
        """Return whether writes are still possible."""
        return self._thread.is_alive() and not self.failed.done()

    # --- below: the writer's thread -----------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            with self._engine.connect() as connection:
                while True:
                    group = self._next_group()
                    if not group:
                        return
                    self._deliver(self._attempt(connection, group))
        except FatalStorageError as error:
            self._fail(error)
        except DBAPIError as error:
            self._fail(FatalStorageError("E_STORAGE_FAILED", f"the database fails: {error.orig}"))

    def _next_group(self) -> list[_Job[Any]]:
        """Wait for a job and return it with whatever else waits, [] at the end."""
        first = self._queue.get()
        if first is None:
            return []
        group = [first]
        weight = first.weight
        while weight < GROUP_RECORDS_MAX and len(group) < GROUP_JOBS_MAX:
            try:
                job = self._queue.get_nowait()
            except Empty:
                break
            if job is None:
                self._queue.put(None)
                break
            group.append(job)
            weight += job.weight
        return group

    def _attempt(self, connection: Connection, group: list[_Job[Any]]) -> list[tuple[_Job[Any], Any]]:
        """Run a group in one transaction, or its jobs one by one when that fails; return (job, result or error)."""
        try:
            with connection.begin():
                results = self._run(connection, group)
            # Durable from here on.
            return list(zip(group, results, strict=True))
        except (DBAPIError, GatewayError) as error:
            refused = storage_error(error) if isinstance(error, DBAPIError) else error
            if isinstance(refused, FatalStorageError):
                self._deliver([(job, refused) for job in group])
                raise refused from error
            if len(group) == 1:
                return [(group[0], refused)]
        return [answer for job in group for answer in self._attempt(connection, [job])]

    def _run(self, connection: Connection, group: list[_Job[Any]]) -> list[Any]:
        """Return the results of a group's jobs in their order; all intakes are stored together."""
        intakes = [job.intake for job in group if job.intake is not None]
        admitted = iter(self._admit_many(connection, intakes) if intakes else ())
        return [next(admitted) if job.run is None else job.run(connection) for job in group]

    def _deliver(self, answers: list[tuple[_Job[Any], Any]]) -> None:
        self._loop.call_soon_threadsafe(self._resolve, answers)

    def _fail(self, error: FatalStorageError) -> None:
        self._loop.call_soon_threadsafe(self._resolve_failure, error)

    # --- below: the event loop again ----------------------------------------------------------------------------------

    def _resolve(self, answers: list[tuple[_Job[Any], Any]]) -> None:
        self._waiting -= len(answers)
        for job, answer in answers:
            if job.future.done():
                continue  # its caller went away
            if isinstance(answer, Exception):
                job.future.set_exception(answer)
            else:
                job.future.set_result(answer)

    def _resolve_failure(self, error: FatalStorageError) -> None:
        if not self.failed.done():
            self.failed.set_result(error)
        while True:
            try:
                job = self._queue.get_nowait()
            except Empty:
                return
            if job is not None and not job.future.done():
                job.future.set_exception(error)
