"""Anchoring (上链): outbox batches become envelopes, envelopes get their places on the chain, places become durable.

Why one loop and one path: after a crash the outbox is read exactly as it is read all day, from the database by rising
batch id. What was on its way when the process died is simply sent again; the chain answers with the places it already
has. So nothing about a submission has to be remembered.

Rules kept here:
- At most `in_flight_max` envelopes on their way; small batches are merged up to `envelope_max_records`; the order of each
  source is kept (`domain.queueing`).
- An answer is durable before anything is told to anybody; if the database has no room, the answer is kept and stored
  later, and nothing is sent twice for it.
- Only a permanent refusal fails a record. Unreachable nodes, elections, slow-downs and lost answers only take time.
- A contradiction found anywhere (`finality`) halts this loop for good: no further envelope, until a person decided.

Source: DESIGN, "Once only". Refuses: finality, connection handling.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from gateway.domain.anchoring import Outcome, Piece, Placement, Refused, SlowDown, Verdict, judge
from gateway.domain.queueing import Queue, Work, sources_of
from gateway.errors import FatalStorageError, StorageError, UntrustedAnswerError
from gateway.ports import Clock, Ledger, Meter, Outbox, PendingBatch, Sealer, Telemetry
from ledger.record import PREFIXED_BYTES

AHEAD_ENVELOPES: Final = 4
"""How many envelopes' worth of records are held in memory beyond those in flight."""
PAUSE_MIN_S: Final = 0.02
PAUSE_MAX_S: Final = 2.0
STORE_PAUSE_S: Final = 1.0
GATHER_MAX_S: Final = 0.02
"""Longest time between two small envelopes: as long as the last one took, so that a lone record never waits and a busy
machine gathers instead of sending each handful by itself."""
GATHER_SHARE: Final = 5
"""A fifth of a full envelope is worth sending at once."""


@dataclass(frozen=True, slots=True)
class AnchorLimits:
    """Envelopes in flight at once, and records per envelope (at most what the chain's limits allow)."""

    in_flight_max: int
    envelope_max_records: int


class Anchor:
    """The anchoring loop. Owner of the in-memory queue; runs on the event loop until cancelled."""

    def __init__(
        self, *, outbox: Outbox, ledger: Ledger, sealer: Sealer, clock: Clock, telemetry: Telemetry, meter: Meter,
        limits: AnchorLimits, on_placed: Callable[[Sequence[tuple[int, Placement]]], None],
    ) -> None:  # fmt: skip
        """`on_placed` is told what was placed (batch id, run), once that is durable."""
        self._outbox = outbox
        self._ledger = ledger
        self._sealer = sealer
        self._clock = clock
        self._telemetry = telemetry
        self._meter = meter
        self._limits = limits
        self._on_placed = on_placed
        self._queue = Queue()
        self._loaded_up_to = 0
        self._more_stored = True
        self._in_flight = 0
        self._gather_until_s = 0.0
        self._cycle_s = 0.0
        self._wake = asyncio.Event()
        self.halted = ""

    def wake(self) -> None:
        """Say that the outbox holds new batches."""
        self._more_stored = True
        self._wake.set()

    def halt(self, reason: str) -> None:
        """Send nothing any more. What is on its way is still answered and stored."""
        self.halted = reason
        self._wake.set()

    async def run(self) -> None:
        """Anchor until cancelled. Raises FatalStorageError when the database fails for good."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._wake.clear()
                if not self.halted:
                    await self._load()
                    self._send(tasks)
                await self._pause()

    async def _load(self) -> None:
        """Read further batches from the outbox while there is room for them in memory."""
        room = AHEAD_ENVELOPES * self._limits.envelope_max_records
        while self._more_stored and self._queue.records < room:
            self._more_stored = False
            wanted = room - self._queue.records
            batches = await self._outbox.pending(self._loaded_up_to, wanted)
            if batches:
                self._loaded_up_to = batches[-1].batch_id
                self._queue.add(work for batch in batches for work in _works(batch))
            if sum(len(batch.leaves) for batch in batches) >= wanted * PREFIXED_BYTES:
                self._more_stored = True  # the limit ended this reading, not the outbox

    def _send(self, tasks: asyncio.TaskGroup) -> None:
        """Start as many submissions as may be in flight, unless it pays to gather some more."""
        while self._in_flight < self._limits.in_flight_max:
            now_s = self._clock.monotonic_s()
            few = self._queue.records * GATHER_SHARE < self._limits.envelope_max_records
            if few and now_s < self._gather_until_s:
                return
            works = self._queue.take(self._limits.envelope_max_records, now_s)
            if not works:
                return
            self._in_flight += 1
            self._gather_until_s = now_s + min(GATHER_MAX_S, self._cycle_s)
            tasks.create_task(self._submit(works), name="anchor-submission")

    async def _pause(self) -> None:
        """Wait for news, for the moment when a held-back piece may go, or until enough was gathered."""
        now_s = self._clock.monotonic_s()
        next_s = None if self.halted else self._queue.next_time_s(now_s)
        if self._queue.waiting and not self.halted and now_s < self._gather_until_s:
            next_s = self._gather_until_s if next_s is None else min(next_s, self._gather_until_s)
        try:
            async with asyncio.timeout(None if next_s is None else next_s - now_s):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _submit(self, works: Sequence[Work]) -> None:
        """Hand one envelope in and act on its answer."""
        pieces = [work.piece for work in works]
        started_s = self._clock.monotonic_s()
        try:
            outcome = await self._ledger.submit(self._sealer.seal(b"".join(work.leaves for work in works)))
            verdict = self._judge(pieces, outcome)
        finally:
            self._in_flight -= 1
            self._queue.release(works)
            self._cycle_s = self._clock.monotonic_s() - started_s
        self._queue.put_back(self._remaining(works, verdict, outcome))
        self._wake.set()
        if verdict.placed:
            await self._store(works, verdict.placed)

    def _judge(self, pieces: Sequence[Piece], outcome: Outcome) -> Verdict:
        records = sum(piece.count for piece in pieces)
        self._meter.submitted(type(outcome).__name__.lower(), records)
        if isinstance(outcome, Refused):
            self._telemetry.error("envelope_refused", code=outcome.code, records=records)
        try:
            return judge(pieces, outcome)
        except UntrustedAnswerError as error:
            self._meter.mistrusted(error.code)
            self._telemetry.error("answer_mistrusted", code=error.code, records=records)
            return Verdict(waiting=tuple(pieces))

    def _remaining(self, works: Sequence[Work], verdict: Verdict, outcome: Outcome) -> list[Work]:
        """Return what is still to be anchored, in its order, each piece with its pause."""
        now_s = self._clock.monotonic_s()
        left = [replace(_part(works, piece), not_before_s=0.0, attempts=0) for piece in verdict.again]
        left += [replace(_part(works, piece), not_before_s=0.0, alone=True) for piece in verdict.alone]
        for piece in verdict.waiting:
            work = _part(works, piece)
            pause_s = min(PAUSE_MAX_S, PAUSE_MIN_S * 2 ** min(work.attempts, 16))
            if isinstance(outcome, SlowDown):
                pause_s = max(pause_s, outcome.retry_after_s)
            left.append(replace(work, not_before_s=now_s + pause_s, attempts=work.attempts + 1))
        return sorted(left, key=lambda work: (work.piece.batch_id, work.piece.position))

    async def _store(self, works: Sequence[Work], placed: Sequence[tuple[int, Placement]]) -> None:
        """Make places durable, however long the database has no room for them."""
        stored = False
        while not stored:
            try:
                await self._outbox.place(placed)
                stored = True
            except FatalStorageError:
                raise
            except StorageError as error:
                self._telemetry.error("placements_not_stored", code=error.code, records=_records(placed))
                await asyncio.sleep(STORE_PAUSE_S)
        now_ms = self._clock.wall_ms()
        received_ms = {work.piece.batch_id: work.received_ms for work in works}
        self._meter.placed([(now_ms - received_ms[batch_id]) / 1_000 for batch_id, _ in placed])
        self._on_placed(placed)


def _works(batch: PendingBatch) -> Iterable[Work]:
    """Return the missing pieces of a batch with their leaves."""
    for piece in batch.missing:
        start = piece.position * PREFIXED_BYTES
        leaves = batch.leaves[start : start + piece.count * PREFIXED_BYTES]
        yield Work(piece, leaves, sources_of(leaves), received_ms=batch.received_ms)


def _part(works: Sequence[Work], piece: Piece) -> Work:
    """Return the part of one of `works` that `piece` names."""
    for work in works:
        offset = piece.position - work.piece.position
        if work.piece.batch_id == piece.batch_id and 0 <= offset < work.piece.count:
            return work if piece == work.piece else work.part(piece)
    raise AssertionError("a verdict speaks of pieces of its envelope only")


def _records(placed: Sequence[tuple[int, Placement]]) -> int:
    return sum(placement.count for _, placement in placed)
