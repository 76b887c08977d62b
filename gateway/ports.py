"""What the use cases need from the world, as protocols. Adapters provide them, `app` joins the two, tests bring fakes.

Why: a use case must be runnable without a database and without a node, and a reader must see on one page what the gateway
depends on. Every method says what it promises; durability is part of the promise.

Refuses: implementations.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.domain.anchoring import Outcome, Piece, Placement, Where
from gateway.domain.finality import Checkpoint, Unproven
from ledger.proof import RangeProof


class Clock(Protocol):
    """Time. `wall_ms` for what is shown and stored, `monotonic_s` for pauses and limits."""

    def wall_ms(self) -> int:
        """Return milliseconds since 1970-01-01 UTC."""
        ...

    def monotonic_s(self) -> float:
        """Return seconds of a clock that never goes back."""
        ...


class Telemetry(Protocol):
    """Program output: an event name in snake_case and fields; never references, commitments, keys or payloads."""

    def info(self, event: str, **fields: Any) -> Any:
        """Say what happened."""
        ...

    def warning(self, event: str, **fields: Any) -> Any:
        """Say what should not happen often."""
        ...

    def error(self, event: str, **fields: Any) -> Any:
        """Say what a person must look at."""
        ...


class Meter(Protocol):
    """Figures for operators."""

    def submitted(self, outcome: str, records: int) -> None:
        """Count an envelope by its outcome."""
        ...

    def placed(self, seconds: Sequence[float]) -> None:
        """Observe the time from acceptance to commitment of batches."""
        ...

    def proved(self, seconds: Sequence[float], size: int) -> None:
        """Observe the time from acceptance to finality of batches, and the size of the believed checkpoint."""
        ...

    def mistrusted(self, reason: str) -> None:
        """Count an answer of a node that did not verify."""
        ...

    def halted(self) -> None:
        """Raise the alarm: statements that contradict each other were found."""
        ...


@dataclass(frozen=True, slots=True)
class Intake:
    """One request's records, encoded: references, source names and leaves (129 bytes each), by column."""

    refs: Sequence[str]
    sources: Sequence[str]
    leaves: bytes


@dataclass(frozen=True, slots=True)
class Admitted:
    """What became of an intake, by column: record id (0 for a conflict) and place (batch, position) of each item.

    `replays` are the items whose reference was known with the same content, `conflicts` those with another. `stored`
    counts the leaves that entered the outbox (those of a whole group of requests are told with one of them).
    """

    ids: Sequence[int]
    places: Sequence[tuple[int, int]]
    replays: frozenset[int]
    conflicts: frozenset[int]
    stored: int


@dataclass(frozen=True, slots=True)
class PendingBatch:
    """A batch with records that have no place yet: its leaves (129 bytes each) and the runs that are missing."""

    batch_id: int
    received_ms: int
    leaves: bytes
    missing: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class RecordRow:
    """A stored record: its row id, the caller's reference, the leaf (128 bytes), when it was taken in, where it is."""

    record_id: int
    source: str
    ref: str
    leaf: bytes
    received_ms: int
    where: Where


class IntakeStore(Protocol):
    """Where accepted records become durable."""

    async def admit(self, intake: Intake) -> Admitted:
        """Store what is new, answer what is known; everything answered is durable.

        Raises StorageError when there is no room (nothing is stored then).
        """
        ...

    def backlog(self) -> int:
        """Return the number of records without a place on the chain."""
        ...


class Outbox(Protocol):
    """Durable records on their way to the chain."""

    async def pending(self, after_batch: int, max_records: int) -> list[PendingBatch]:
        """Return batches with records missing on the chain, id above `after_batch`, rising, about `max_records`."""
        ...

    async def place(self, placements: Sequence[tuple[int, Placement]]) -> None:
        """Store placements (batch id, run), durably."""
        ...


class FinalityStore(Protocol):
    """What the gateway has believed and proved so far."""

    async def believed(self) -> Checkpoint | None:
        """Return the newest believed checkpoint."""
        ...

    async def believe(self, checkpoint: Checkpoint) -> None:
        """Store it, durably."""
        ...

    async def unproven(self, size: int, limit: int) -> list[tuple[Unproven, bytes]]:
        """Return up to `limit` committed runs that lie below `size`, by rising index, with their leaves."""
        ...

    async def unproven_count(self) -> int:
        """Return the number of committed runs that wait for finality."""
        ...

    async def finalise(self, runs: Sequence[Unproven], believed: Checkpoint | None) -> None:
        """Mark runs final and, unless None, store the checkpoint that makes them so, in one durable transaction."""
        ...

    async def halt(self, words: str, evidence: Mapping[str, bytes]) -> None:
        """Store evidence and the reason why anchoring stands still, durably; it outlives restarts."""
        ...

    async def halted(self) -> str:
        """Return the reason why anchoring stands still, "" when it does not."""
        ...


class RecordReader(Protocol):
    """Reads of stored records. Answers show only what is durable."""

    async def record(self, record_id: int) -> RecordRow | None:
        """Return one record."""
        ...

    async def find(
        self, *, ref: str | None, sources: Sequence[str] | None, after_id: int, limit: int
    ) -> tuple[list[RecordRow], int]:
        """Return records with id above `after_id`, rising, and the id to go on from (0 = no more).

        A page may hold fewer than `limit` records, even none, and still not be the last.
        """
        ...

    async def placements(self, batch_ids: Sequence[int]) -> dict[int, list[Placement]]:
        """Return the placements of each batch."""
        ...


class Ledger(Protocol):
    """The way to the chain."""

    async def submit(self, envelope: bytes) -> Outcome:
        """Hand an envelope to the leader, waiting for one as long as it takes, and return what became of it.

        Never raises for an unreachable node; a lost stream or an unanswered request is `Unknown`.
        """
        ...


class Sealer(Protocol):
    """The submitter's signature."""

    def seal(self, leaves: bytes) -> bytes:
        """Return the signed envelope of prefixed leaves."""
        ...


class ReadDoor(Protocol):
    """The read door of one node. Nothing it says is believed before it is verified.

    Every method raises LedgerUnreachableError when the node does not answer in time, and UntrustedAnswerError when the
    answer has the wrong shape.
    """

    @property
    def name(self) -> str:
        """The node's id."""
        ...

    def watch(self) -> AsyncIterator[bytes]:
        """Yield signed notes of final checkpoints as they become known, first the newest."""
        ...

    async def consistency(self, old_size: int, new_size: int) -> tuple[bytes, ...]:
        """Return a consistency proof."""
        ...

    async def ranges(self, size: int, ranges: Sequence[tuple[int, int]]) -> list[RangeProof]:
        """Return a range proof per (start, count), in order."""
        ...

    async def receipt(self, index: int, *, with_header: bool) -> bytes:
        """Return a receipt file of the leaf at `index` at the newest final checkpoint."""
        ...


class Trust(Protocol):
    """The gateway's own trust file."""

    @property
    def chain_id(self) -> str:
        """The chain that the trust file speaks of."""
        ...

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the trust file, 64 hex digits."""
        ...

    def checkpoint(self, note: bytes) -> Checkpoint:
        """Return the checkpoint of a note that satisfies the policy; raises UntrustedAnswerError otherwise."""
        ...

    def receipt(self, receipt: bytes, leaf: bytes, index: int, *, with_header: bool) -> None:
        """Return if a receipt file proves `leaf` (128 bytes) at `index`, with or without a block header as asked.

        Raises UntrustedAnswerError otherwise.
        """
        ...
