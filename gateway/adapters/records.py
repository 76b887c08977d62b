"""Reading stored records, in SQL. Runs in readers' threads, on connections that cannot write.

Rules kept here:
- A record's leaf comes out of its batch's payload, which is checked against its SHA-256 first.
- A listing looks at a bounded number of rows per page, whatever the filter; a page may therefore hold fewer records than
  asked for and still not be the last.
- Records of sources outside the caller's scope do not exist for it.

Refuses: writing, formatting.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, Row, Select, bindparam, select

from gateway.adapters.outbox import payload_of, placements_of
from gateway.adapters.prepared import Prepared
from gateway.adapters.tables import batches, records, sources
from gateway.domain.anchoring import where_is
from gateway.ports import RecordRow
from ledger.record import PREFIXED_BYTES

SCAN_MAX: Final = 5_000
"""Rows that one page of an unfiltered listing looks at."""

_COLUMNS: Final = (
    records.c.id,
    records.c.ref,
    records.c.batch_id,
    records.c.position,
    sources.c.name.label("source"),
    batches.c.received_ms,
)


def _query() -> Select[tuple[int, str, int, int, str, int]]:
    joined = records.join(sources, records.c.source_id == sources.c.id).join(
        batches, records.c.batch_id == batches.c.id
    )
    return select(*_COLUMNS).select_from(joined)


_BY_ID: Final = Prepared(_query().where(records.c.id == bindparam("record")), "record")


def record(connection: Connection, record_id: int) -> RecordRow | None:
    """Return one record, None when there is none of this id."""
    rows = _BY_ID.rows(connection, record_id)
    return _complete(connection, rows)[0] if rows else None


def find(
    connection: Connection,
    institution: str,
    *,
    ref: str | None,
    source_names: Sequence[str] | None,
    after_id: int,
    limit: int,
) -> tuple[list[RecordRow], int]:
    """Return records of `institution` with id above `after_id`, rising, and the id to go on from (0 = no more).

    `source_names` None means all sources.
    """
    wanted = select(sources.c.id).where(sources.c.institution == institution)
    if source_names is not None:
        wanted = wanted.where(sources.c.name.in_(list(source_names)))
    source_ids = list(connection.execute(wanted).scalars())
    query = (
        _query().where(records.c.source_id.in_(source_ids), records.c.id > after_id).order_by(records.c.id)
    )
    if ref is not None:
        # The unique index answers: at most one record per source.
        rows = connection.execute(query.where(records.c.ref == ref).limit(limit + 1)).all()
        more = len(rows) > limit
        return _complete(connection, rows[:limit]), rows[limit - 1].id if more else 0
    scanned = connection.execute(
        select(records.c.id)
        .where(records.c.id > after_id)
        .order_by(records.c.id)
        .offset(SCAN_MAX - 1)
        .limit(1)
    ).scalar()
    if scanned is not None:
        query = query.where(records.c.id <= scanned)
    rows = connection.execute(query.limit(limit + 1)).all()
    if len(rows) > limit:
        return _complete(connection, rows[:limit]), rows[limit - 1].id
    return _complete(connection, rows), scanned or 0


def _complete(
    connection: Connection, rows: Sequence[Row[tuple[int, str, int, int, str, int]]]
) -> list[RecordRow]:
    """Add leaf and state to rows."""
    batch_ids = sorted({row.batch_id for row in rows})
    placed = placements_of(connection, batch_ids)
    found = []
    cached_id, cached = 0, b""
    for row in rows:
        if row.batch_id != cached_id:
            cached_id, cached = row.batch_id, payload_of(connection, row.batch_id)
        start = row.position * PREFIXED_BYTES + 1
        leaf = cached[start : start + PREFIXED_BYTES - 1]
        where = where_is(placed[row.batch_id], row.position)
        found.append(RecordRow(row.id, row.source, row.ref, leaf, row.received_ms, where))
    return found
