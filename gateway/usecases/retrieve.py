"""Retrieving (存证管理): where a record stands, and its receipt, checked by ourselves before it leaves the house.

Why receipts are made when asked for: a receipt is a path and a checkpoint, both of which any node can give at any time;
storing one per record would cost more than the record. A receipt that we hand out speaks for us, so it is verified
against our own trust file and our own stored leaf first, whoever made it.

Rules kept here:
- What lies outside the caller's scope is unknown to him.
- A receipt exists once the record is final; before that the caller is told to come back, after a failure why there is
  none.
- A node that gives a bad receipt is passed over; without any good one the answer is "not now", never a guess.

Refuses: changing anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.domain.access import ApiKey
from gateway.domain.anchoring import State
from gateway.errors import BusyError, LedgerUnreachableError, RequestError, UntrustedAnswerError
from gateway.ports import Meter, ReadDoor, RecordReader, RecordRow, Telemetry, Trust

RECEIPT_RETRY_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class NotYet:
    """There is no receipt yet; `record` says where the record stands."""

    record: RecordRow


class Retrieve:
    """Reads for callers."""

    def __init__(
        self,
        reader: RecordReader,
        doors: Sequence[ReadDoor],
        trust: Trust,
        telemetry: Telemetry,
        meter: Meter,
    ) -> None:
        """`doors` are asked for receipts in turn."""
        self._reader = reader
        self._doors = list(doors)
        self._trust = trust
        self._telemetry = telemetry
        self._meter = meter

    async def record(self, key: ApiKey, record_id: int) -> RecordRow:
        """Return a record. Raises RequestError E_RECORD_UNKNOWN, also for one outside the caller's scope."""
        row = await self._reader.record(record_id)
        if row is None or not key.allows(row.source):
            raise RequestError("E_RECORD_UNKNOWN", "no record has this id")
        return row

    async def find(
        self, key: ApiKey, *, ref: str | None, source: str | None, after_id: int, limit: int
    ) -> tuple[list[RecordRow], int]:
        """Return records within the caller's scope and the id to go on from (0 = no more)."""
        scope = None if key.sources is None else set(key.sources)
        if source is not None:
            scope = {source} if scope is None else scope & {source}
        if scope is not None and not scope:
            return [], 0
        names = None if scope is None else sorted(scope)
        return await self._reader.find(ref=ref, sources=names, after_id=after_id, limit=limit)

    async def receipt(self, key: ApiKey, record_id: int, *, with_header: bool) -> bytes | NotYet:
        """Return the verified receipt file of a record, or NotYet.

        Raises RequestError E_RECORD_UNKNOWN or E_RECORD_FAILED; BusyError E_RECEIPT_UNAVAILABLE when no node gives a
        receipt that verifies.
        """
        row = await self.record(key, record_id)
        if row.where.state is State.FAILED:
            raise RequestError("E_RECORD_FAILED", f"the record was refused for good ({row.where.code})")
        if row.where.state is not State.FINAL:
            return NotYet(row)
        index = row.where.index
        assert index is not None, "a final record has its place"
        for at, door in enumerate(self._doors):
            try:
                receipt = await door.receipt(index, with_header=with_header)
                self._trust.receipt(receipt, row.leaf, index, with_header=with_header)
            except LedgerUnreachableError as error:
                self._telemetry.info("receipt_not_available", node=door.name, reason=error.message)
            except UntrustedAnswerError as error:
                self._meter.mistrusted(error.code)
                self._telemetry.error(
                    "receipt_mistrusted", node=door.name, code=error.code, reason=error.message
                )
            else:
                if at:  # the next caller need not wait for nodes that are gone
                    self._doors.insert(0, self._doors.pop(at))
                return receipt
        raise BusyError(
            "E_RECEIPT_UNAVAILABLE", "no node gives a receipt that verifies just now", RECEIPT_RETRY_S
        )
