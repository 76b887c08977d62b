"""The database as the use cases see it: one object that provides IntakeStore, Outbox, FinalityStore and RecordReader.

Why one: writes go through the one writer thread and reads through a few readers' threads, whatever they are about. The
SQL itself is in `intake`, `outbox` and `records`.

Rules kept here: nothing here touches the event loop for longer than a queue operation; a fatal error while reading is
reported like one while writing (`failed`).
"""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from gateway.adapters import outbox, records
from gateway.adapters.database import Database, storage_error
from gateway.adapters.evidence import write_evidence
from gateway.adapters.intake import Admission
from gateway.adapters.writer import GroupWriter
from gateway.domain.anchoring import Placement
from gateway.domain.finality import Checkpoint, Unproven
from gateway.errors import BusyError, FatalStorageError
from gateway.ports import Admitted, Clock, Intake, PendingBatch, RecordRow

T = TypeVar("T")

_READERS: Final = 2
_READS_WAITING_MAX: Final = 1_024


class SqlStore:
    """Everything durable. Made on the event loop by `start`; `close` finishes what waits."""

    def __init__(self, database: Database, institution: str, clock: Clock, evidence: Path) -> None:
        """`evidence` is the folder that evidence files go to."""
        self._database = database
        self._institution = institution
        self._evidence = evidence
        self._admission = Admission(institution, clock.wall_ms)
        with database.writer.connect() as connection:
            self._admission.load(connection)
            self._backlog = outbox.backlog(connection)
        self._writer = GroupWriter(database.writer, self._admission.admit_many)
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="gateway-reader")
        self._local = threading.local()
        self._connections: list[Connection] = []
        self._reads_waiting = 0

    @property
    def failed(self) -> "asyncio.Future[FatalStorageError]":
        """Done when the database has failed for good."""
        return self._writer.failed

    def alive(self) -> bool:
        """Return whether writes are still possible."""
        return self._writer.alive()

    async def close(self) -> None:
        """Finish waiting writes, then close every connection."""
        await self._writer.close()
        await asyncio.to_thread(self._readers.shutdown)
        for connection in self._connections:
            connection.close()

    # --- IntakeStore --------------------------------------------------------------------------------------------------

    async def admit(self, intake: Intake) -> Admitted:
        """See ports.IntakeStore."""
        admitted = await self._writer.admit(intake)
        self._backlog += admitted.stored
        return admitted

    def backlog(self) -> int:
        """See ports.IntakeStore."""
        return self._backlog

    # --- Outbox -------------------------------------------------------------------------------------------------------

    async def pending(self, after_batch: int, max_records: int) -> list[PendingBatch]:
        """See ports.Outbox."""
        return await self._read(lambda connection: outbox.pending(connection, after_batch, max_records))

    async def place(self, placements: Sequence[tuple[int, Placement]]) -> None:
        """See ports.Outbox."""
        await self._writer.call(lambda connection: outbox.place(connection, placements))
        self._backlog -= sum(placement.count for _, placement in placements)

    async def oldest_pending_ms(self) -> int:
        """Return when the oldest batch that waits for the chain was received, in ms; 0 when none waits."""
        return await self._read(outbox.oldest_pending_ms)

    # --- FinalityStore ------------------------------------------------------------------------------------------------

    async def believed(self) -> Checkpoint | None:
        """See ports.FinalityStore."""
        return await self._read(outbox.believed)

    async def believe(self, checkpoint: Checkpoint) -> None:
        """See ports.FinalityStore."""
        await self._writer.call(lambda connection: outbox.believe(connection, checkpoint))

    async def unproven(self, size: int, limit: int) -> list[tuple[Unproven, bytes]]:
        """See ports.FinalityStore."""
        return await self._read(lambda connection: outbox.unproven(connection, size, limit))

    async def unproven_count(self) -> int:
        """See ports.FinalityStore."""
        return await self._read(outbox.unproven_count)

    async def finalise(self, runs: Sequence[Unproven], believed: Checkpoint | None) -> None:
        """See ports.FinalityStore."""

        def run(connection: Connection) -> None:
            if believed is not None:
                outbox.believe(connection, believed)
            outbox.finalise(connection, runs)

        await self._writer.call(run)

    async def halt(self, words: str, evidence: Mapping[str, bytes]) -> None:
        """See ports.FinalityStore. The evidence is on disk before the reason is stored."""
        await asyncio.to_thread(write_evidence, self._evidence, words, dict(evidence))
        await self._writer.call(lambda connection: outbox.halt(connection, words))

    async def halted(self) -> str:
        """See ports.FinalityStore."""
        return await self._read(outbox.halted)

    async def resume(self) -> None:
        """Let anchoring go on at the next start: a person's decision. The believed checkpoint stays as it is."""
        await self._writer.call(lambda connection: outbox.halt(connection, ""))

    # --- RecordReader -------------------------------------------------------------------------------------------------

    async def record(self, record_id: int) -> RecordRow | None:
        """See ports.RecordReader."""
        return await self._read(lambda connection: records.record(connection, record_id))

    async def find(
        self, *, ref: str | None, sources: Sequence[str] | None, after_id: int, limit: int
    ) -> tuple[list[RecordRow], int]:
        """See ports.RecordReader."""
        return await self._read(
            lambda connection: records.find(
                connection, self._institution, ref=ref, source_names=sources, after_id=after_id, limit=limit
            )
        )

    async def placements(self, batch_ids: Sequence[int]) -> dict[int, list[Placement]]:
        """See ports.RecordReader."""
        return await self._read(lambda connection: outbox.placements_of(connection, batch_ids))

    # --- threads ------------------------------------------------------------------------------------------------------

    async def _read(self, run: Callable[[Connection], T]) -> T:
        """Run a function on a reader's connection. Raises StorageError, BusyError E_BUSY."""
        if self._reads_waiting >= _READS_WAITING_MAX:
            raise BusyError("E_BUSY", "too many reads wait for the database", 1.0)
        self._reads_waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._readers, self._run_read, run)
        except FatalStorageError as error:
            if not self.failed.done():
                self.failed.set_result(error)
            raise
        finally:
            self._reads_waiting -= 1

    def _run_read(self, run: Callable[[Connection], T]) -> T:
        """Run in a reader's thread, in a transaction that sees one state of the database."""
        connection: Connection | None = getattr(self._local, "connection", None)
        try:
            if connection is None:
                connection = self._database.readers.connect()
                self._local.connection = connection
                self._connections.append(connection)
            with connection.begin():
                return run(connection)
        except DBAPIError as error:
            raise storage_error(error) from error
