"""The outbox and what became of its batches, in SQL. Every function runs inside a transaction of its caller's.

Rules kept here:
- A payload is checked against its SHA-256 whenever it is read: a damaged leaf must neither be anchored nor be proved.
- Placements of one batch never overlap, and a batch is placed when they cover it, settled when none of them waits for
  finality.
- "Final" is written only for runs that are committed (the WHERE clause says so), so replays of a finality run are
  harmless.

Refuses: knowing nodes or proofs.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Row,
    bindparam,
    delete,
    func,
    literal_column,
    select,
    update,
)

from gateway.adapters.prepared import Prepared
from gateway.adapters.tables import (
    BATCH_PENDING,
    BATCH_PLACED,
    BATCH_SETTLED,
    FACT_BELIEVED_NOTE,
    FACT_BELIEVED_ROOT,
    FACT_BELIEVED_SIZE,
    FACT_HALTED,
    NUMBER_BY_STATE,
    PLACED_COMMITTED,
    PLACED_FINAL,
    STATE_BY_NUMBER,
    batches,
    facts,
    payloads,
    placements,
)
from gateway.domain.anchoring import Placement, State, unplaced
from gateway.domain.finality import Checkpoint, Unproven
from gateway.errors import FatalStorageError
from gateway.ports import PendingBatch
from ledger.record import PREFIXED_BYTES

BATCHES_PER_READ: Final = 1_000


def _is(column: "Column[int]", number: int) -> ColumnElement[bool]:
    """Return `column = number` with the number spelled out: a partial index serves no bound parameter."""
    return column == literal_column(str(number))


_PAYLOAD: Final = Prepared(
    select(payloads.c.digest, payloads.c.leaves).where(payloads.c.batch_id == bindparam("batch")), "batch"
)
_PLACEMENTS: Final = Prepared(
    select(placements).where(placements.c.batch_id == bindparam("batch")).order_by(placements.c.position),
    "batch",
)
_PENDING: Final = Prepared(
    select(batches.c.id, batches.c.received_ms, batches.c.records)
    .where(_is(batches.c.state, BATCH_PENDING), batches.c.id > bindparam("after"))
    .order_by(batches.c.id)
    .limit(bindparam("most")),
    "after",
    "most",
)
_OLDEST: Final = Prepared(
    select(batches.c.received_ms)
    .where(_is(batches.c.state, BATCH_PENDING))
    .order_by(batches.c.id)
    .limit(bindparam("most")),
    "most",
)
_PLACE: Final = Prepared(placements.insert(), *placements.c.keys())
_COVERED: Final = (
    select(func.sum(placements.c.records)).where(placements.c.batch_id == batches.c.id).scalar_subquery()
)
_MARK_PLACED: Final = Prepared(
    update(batches)
    .where(
        batches.c.id == bindparam("batch"),
        _is(batches.c.state, BATCH_PENDING),
        batches.c.records == _COVERED,
    )
    .values(state=literal_column(str(BATCH_PLACED))),
    "batch",
)
_WAITING: Final = (
    select(placements.c.batch_id)
    .where(placements.c.batch_id == batches.c.id, _is(placements.c.state, PLACED_COMMITTED))
    .exists()
)
_MARK_SETTLED: Final = Prepared(
    update(batches)
    .where(batches.c.id == bindparam("batch"), _is(batches.c.state, BATCH_PLACED), ~_WAITING)
    .values(state=literal_column(str(BATCH_SETTLED))),
    "batch",
)
_UNPROVEN: Final = Prepared(
    select(
        placements.c.batch_id,
        placements.c.position,
        placements.c.records,
        placements.c.first_index,
        batches.c.received_ms,
    )
    .select_from(placements.join(batches, placements.c.batch_id == batches.c.id))
    .where(
        _is(placements.c.state, PLACED_COMMITTED),
        placements.c.first_index + placements.c.records <= bindparam("size"),
    )
    .order_by(placements.c.first_index)
    .limit(bindparam("most")),
    "size",
    "most",
)
_COUNT_UNPROVEN: Final = Prepared(
    select(func.count()).select_from(placements).where(_is(placements.c.state, PLACED_COMMITTED))
)
_MARK_FINAL: Final = Prepared(
    update(placements)
    .where(
        placements.c.batch_id == bindparam("batch"),
        placements.c.position == bindparam("at"),
        _is(placements.c.state, PLACED_COMMITTED),
    )
    .values(state=literal_column(str(PLACED_FINAL))),
    "batch",
    "at",
)
_DROP_FACT: Final = Prepared(delete(facts).where(facts.c.name == bindparam("fact")), "fact")
_ADD_FACT: Final = Prepared(facts.insert(), "name", "value")


def payload_of(connection: Connection, batch_id: int) -> bytes:
    """Return the leaves of a batch (129 bytes each). Raises FatalStorageError E_STORAGE_DAMAGED."""
    for digest, leaves in _PAYLOAD.rows(connection, batch_id):
        if sha256(leaves).digest() == digest:
            return bytes(leaves)
    raise FatalStorageError("E_STORAGE_DAMAGED", f"the payload of batch {batch_id} is missing or damaged")


def placements_of(connection: Connection, batch_ids: Sequence[int]) -> dict[int, list[Placement]]:
    """Return the placements of each batch, by position."""
    return {
        batch_id: [_placement(row) for row in _PLACEMENTS.rows(connection, batch_id)]
        for batch_id in batch_ids
    }


def _placement(row: Row[Any]) -> Placement:
    return Placement(
        position=row.position,
        count=row.records,
        state=STATE_BY_NUMBER[row.state],
        height=row.height,
        first_index=row.first_index,
        block_time_ms=row.block_time_ms,
        code=row.code,
    )


def pending(connection: Connection, after_batch: int, max_records: int) -> list[PendingBatch]:
    """Return pending batches with id above `after_batch`, rising, until about `max_records` records are reached."""
    found = []
    total = 0
    for batch_id, received_ms, count in _PENDING.rows(connection, after_batch, BATCHES_PER_READ):
        missing = unplaced(batch_id, count, placements_of(connection, [batch_id])[batch_id])
        leaves = payload_of(connection, batch_id)
        if len(leaves) != count * PREFIXED_BYTES:
            raise FatalStorageError(
                "E_STORAGE_DAMAGED", f"batch {batch_id} does not hold the records it counts"
            )
        found.append(PendingBatch(batch_id, received_ms, leaves, tuple(missing)))
        total += count
        if total >= max_records:
            break
    return found


def backlog(connection: Connection) -> int:
    """Return the number of records without a place: those of pending batches less those placed."""
    pending_batch = _is(batches.c.state, BATCH_PENDING)
    stored = connection.execute(select(func.sum(batches.c.records)).where(pending_batch)).scalar()
    placed = connection.execute(
        select(func.sum(placements.c.records))
        .select_from(placements.join(batches, placements.c.batch_id == batches.c.id))
        .where(pending_batch)
    ).scalar()
    return int(stored or 0) - int(placed or 0)


def oldest_pending_ms(connection: Connection) -> int:
    """Return when the oldest pending batch was received, in ms; 0 when there is none."""
    rows = _OLDEST.rows(connection, 1)
    return int(rows[0].received_ms) if rows else 0


def place(connection: Connection, placed: Sequence[tuple[int, Placement]]) -> None:
    """Store placements, and mark the batches that they cover."""
    rows = [
        (
            batch_id,
            run.position,
            run.count,
            NUMBER_BY_STATE[run.state],
            run.height,
            run.first_index,
            run.block_time_ms,
            run.code,
        )
        for batch_id, run in placed
    ]
    _PLACE.run(connection, rows)
    _MARK_PLACED.run(connection, [(batch_id,) for batch_id in {batch_id for batch_id, _ in placed}])
    failed = {batch_id for batch_id, run in placed if run.state is State.FAILED}
    if failed:  # a batch whose last run failed may have nothing to wait for
        _MARK_SETTLED.run(connection, [(batch_id,) for batch_id in failed])


def unproven(connection: Connection, size: int, limit: int) -> list[tuple[Unproven, bytes]]:
    """Return up to `limit` committed runs that lie whole below `size`, by rising index, with their leaves."""
    found = []
    cache: dict[int, bytes] = {}
    for batch_id, position, count, first_index, received_ms in _UNPROVEN.rows(connection, size, limit):
        if batch_id not in cache:
            cache[batch_id] = payload_of(connection, batch_id)
        leaves = cache[batch_id][position * PREFIXED_BYTES : (position + count) * PREFIXED_BYTES]
        found.append((Unproven(batch_id, position, count, first_index, received_ms), leaves))
    return found


def unproven_count(connection: Connection) -> int:
    """Return the number of committed runs that wait for finality."""
    return int(_COUNT_UNPROVEN.rows(connection)[0][0])


def finalise(connection: Connection, runs: Sequence[Unproven]) -> None:
    """Mark runs final, and the batches in which nothing waits any more settled."""
    _MARK_FINAL.run(connection, [(run.batch_id, run.position) for run in runs])
    _MARK_SETTLED.run(connection, [(batch_id,) for batch_id in {run.batch_id for run in runs}])


def believed(connection: Connection) -> Checkpoint | None:
    """Return the newest checkpoint we believed."""
    values = _facts(connection, (FACT_BELIEVED_NOTE, FACT_BELIEVED_SIZE, FACT_BELIEVED_ROOT))
    if FACT_BELIEVED_SIZE not in values:
        return None
    size = int(values[FACT_BELIEVED_SIZE].decode("ascii"))
    return Checkpoint(size, values[FACT_BELIEVED_ROOT], values[FACT_BELIEVED_NOTE])


def believe(connection: Connection, checkpoint: Checkpoint) -> None:
    """Store a checkpoint as the newest we believe."""
    _write_facts(
        connection,
        {
            FACT_BELIEVED_NOTE: checkpoint.note,
            FACT_BELIEVED_SIZE: str(checkpoint.size).encode("ascii"),
            FACT_BELIEVED_ROOT: checkpoint.root,
        },
    )


def halted(connection: Connection) -> str:
    """Return the reason why anchoring stands still, "" when it does not."""
    return _facts(connection, (FACT_HALTED,)).get(FACT_HALTED, b"").decode("utf-8")


def halt(connection: Connection, words: str) -> None:
    """Store the reason why anchoring stands still; "" lets it go on."""
    _write_facts(connection, {FACT_HALTED: words.encode("utf-8")})


def _facts(connection: Connection, names: Sequence[str]) -> dict[str, bytes]:
    rows = connection.execute(select(facts.c.name, facts.c.value).where(facts.c.name.in_(names)))
    return {row.name: bytes(row.value) for row in rows}


def _write_facts(connection: Connection, values: Mapping[str, bytes]) -> None:
    _DROP_FACT.run(connection, [(name,) for name in values])
    _ADD_FACT.run(connection, list(values.items()))
