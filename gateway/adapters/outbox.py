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

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Row,
    and_,
    bindparam,
    delete,
    func,
    literal_column,
    select,
    update,
)

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
from gateway.domain.anchoring import Placement, unplaced
from gateway.domain.finality import Checkpoint, Unproven
from gateway.errors import FatalStorageError
from gateway.ports import PendingBatch
from ledger.record import PREFIXED_BYTES


def payload_of(connection: Connection, batch_id: int) -> bytes:
    """Return the leaves of a batch (129 bytes each). Raises FatalStorageError E_STORAGE_DAMAGED."""
    query = select(payloads.c.digest, payloads.c.leaves).where(payloads.c.batch_id == batch_id)
    row = connection.execute(query).one_or_none()
    if row is None or sha256(row.leaves).digest() != row.digest:
        raise FatalStorageError("E_STORAGE_DAMAGED", f"the payload of batch {batch_id} is missing or damaged")
    return bytes(row.leaves)


def placements_of(connection: Connection, batch_ids: Sequence[int]) -> dict[int, list[Placement]]:
    """Return the placements of each batch, by position."""
    found: dict[int, list[Placement]] = {batch_id: [] for batch_id in batch_ids}
    for start in range(0, len(batch_ids), 500):
        part = batch_ids[start : start + 500]
        query = select(placements).where(placements.c.batch_id.in_(part)).order_by(placements.c.position)
        for row in connection.execute(query):
            found[row.batch_id].append(_placement(row))
    return found


def _placement(row: Row[tuple[int, ...]]) -> Placement:
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
    query = (
        select(batches.c.id, batches.c.received_ms, batches.c.records)
        .where(_is(batches.c.state, BATCH_PENDING), batches.c.id > after_batch)
        .order_by(batches.c.id)
        .limit(1_000)
    )
    found = []
    total = 0
    for batch_id, received_ms, count in connection.execute(query).all():
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
    stored = connection.execute(
        select(func.sum(batches.c.records)).where(_is(batches.c.state, BATCH_PENDING))
    ).scalar()
    placed = connection.execute(
        select(func.sum(placements.c.records))
        .select_from(placements.join(batches, placements.c.batch_id == batches.c.id))
        .where(_is(batches.c.state, BATCH_PENDING))
    ).scalar()
    return int(stored or 0) - int(placed or 0)


def oldest_pending_ms(connection: Connection) -> int:
    """Return when the oldest pending batch was received, in ms; 0 when there is none."""
    query = (
        select(batches.c.received_ms)
        .where(_is(batches.c.state, BATCH_PENDING))
        .order_by(batches.c.id)
        .limit(1)
    )
    return int(connection.execute(query).scalar() or 0)


def place(connection: Connection, placed: Sequence[tuple[int, Placement]]) -> list[int]:
    """Store placements; return when each one's batch had been received, in ms."""
    rows = [
        {
            "batch_id": batch_id,
            "position": run.position,
            "records": run.count,
            "state": NUMBER_BY_STATE[run.state],
            "height": run.height,
            "first_index": run.first_index,
            "block_time_ms": run.block_time_ms,
            "code": run.code,
        }
        for batch_id, run in placed
    ]
    connection.execute(placements.insert(), rows)
    touched = sorted({batch_id for batch_id, _ in placed})
    covered = (
        select(func.sum(placements.c.records)).where(placements.c.batch_id == batches.c.id).scalar_subquery()
    )
    done = and_(
        batches.c.id == bindparam("batch"), _is(batches.c.state, BATCH_PENDING), batches.c.records == covered
    )
    connection.execute(
        update(batches).where(done).values(state=BATCH_PLACED), [{"batch": b} for b in touched]
    )
    _settle(connection, touched)
    return _received(connection, [batch_id for batch_id, _ in placed])


def unproven(connection: Connection, size: int, limit: int) -> list[tuple[Unproven, bytes]]:
    """Return up to `limit` committed runs that lie whole below `size`, by rising index, with their leaves."""
    query = (
        select(placements.c.batch_id, placements.c.position, placements.c.records, placements.c.first_index)
        .where(
            _is(placements.c.state, PLACED_COMMITTED), placements.c.first_index + placements.c.records <= size
        )
        .order_by(placements.c.first_index)
        .limit(limit)
    )
    found = []
    cache: dict[int, bytes] = {}
    for batch_id, position, count, first_index in connection.execute(query).all():
        if batch_id not in cache:
            cache[batch_id] = payload_of(connection, batch_id)
        leaves = cache[batch_id][position * PREFIXED_BYTES : (position + count) * PREFIXED_BYTES]
        found.append((Unproven(batch_id, position, count, first_index), leaves))
    return found


def anything_unproven(connection: Connection) -> bool:
    """Return whether any committed run waits for finality."""
    query = select(placements.c.first_index).where(_is(placements.c.state, PLACED_COMMITTED)).limit(1)
    return connection.execute(query).first() is not None


def finalise(connection: Connection, runs: Sequence[Unproven]) -> list[int]:
    """Mark runs final; return when each one's batch had been received, in ms."""
    where = and_(
        placements.c.batch_id == bindparam("batch"),
        placements.c.position == bindparam("at"),
        _is(placements.c.state, PLACED_COMMITTED),
    )
    connection.execute(
        update(placements).where(where).values(state=PLACED_FINAL),
        [{"batch": run.batch_id, "at": run.position} for run in runs],
    )
    _settle(connection, sorted({run.batch_id for run in runs}))
    return _received(connection, [run.batch_id for run in runs])


def _settle(connection: Connection, batch_ids: Sequence[int]) -> None:
    """Mark placed batches settled when none of their runs waits for finality."""
    waiting = (
        select(placements.c.batch_id)
        .where(placements.c.batch_id == batches.c.id, _is(placements.c.state, PLACED_COMMITTED))
        .exists()
    )
    done = and_(batches.c.id == bindparam("batch"), _is(batches.c.state, BATCH_PLACED), ~waiting)
    connection.execute(
        update(batches).where(done).values(state=BATCH_SETTLED), [{"batch": b} for b in batch_ids]
    )


def _received(connection: Connection, batch_ids: Sequence[int]) -> list[int]:
    times: dict[int, int] = {}
    distinct = sorted(set(batch_ids))
    for start in range(0, len(distinct), 500):
        query = select(batches.c.id, batches.c.received_ms).where(
            batches.c.id.in_(distinct[start : start + 500])
        )
        times.update((row.id, row.received_ms) for row in connection.execute(query))
    return [times[batch_id] for batch_id in batch_ids]


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
    connection.execute(delete(facts).where(facts.c.name.in_(list(values))))
    connection.execute(facts.insert(), [{"name": name, "value": value} for name, value in values.items()])


def _is(column: "Column[int]", number: int) -> ColumnElement[bool]:
    """Return `column = number` with the number spelled out: a partial index serves no bound parameter."""
    return column == literal_column(str(number))
