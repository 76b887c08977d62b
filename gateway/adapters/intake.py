"""Admitting records: idempotency by reference, and the batch that becomes the outbox's payload. Runs in the writer's
thread, inside its transaction.

Why this shape: a record costs one narrow row and one index entry, nothing else; its bytes lie in the batch's payload.
Almost all records are new, so they are inserted at once, and only when a reference turns out to be known are all
references of the group looked up.

Rules kept here:
- (institution, source, ref) is unique for ever. Known with the same leaf: a replay, answered with the first id. Known
  with another leaf: a conflict, nothing is stored for it.
- The same leaf twice in a group is stored once; both references point at it. (The same leaf in an earlier batch is found
  by the chain, which gives both the one position.)
- Batches hold at most BATCH_MAX records, so that reading one leaf never costs more than 129 kB.

Refuses: deciding who may use a source (see `usecases.collect`).
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import Connection, bindparam, func, select
from sqlalchemy.exc import IntegrityError

from gateway.adapters.outbox import payload_of
from gateway.adapters.prepared import Prepared
from gateway.adapters.tables import BATCH_PENDING, batches, payloads, records, sources
from gateway.ports import Admitted, Intake
from ledger.record import PREFIXED_BYTES, leaf_slices

BATCH_MAX: Final = 1_000
_LOOKUP_MAX: Final = 500

_SOURCES: Final = Prepared(
    select(sources.c.name, sources.c.id).where(sources.c.institution == bindparam("institution")),
    "institution",
)
_ADD_BATCH: Final = Prepared(batches.insert(), *batches.c.keys())
_ADD_PAYLOAD: Final = Prepared(payloads.insert(), *payloads.c.keys())
_ADD_RECORD: Final = Prepared(records.insert(), *records.c.keys())

_Key = tuple[int, str]  # source row id, reference
_Place = tuple[int, int]  # batch row id, position


class Admission:
    """The next free ids. Owner: the writer's thread; `load` is called before it starts.

    Ids are handed out in memory and never twice: a rolled back transaction only leaves a gap.
    """

    def __init__(self, institution: str, now_ms: Any) -> None:
        """`now_ms` returns the wall clock; the moment a batch was received is taken inside the transaction."""
        self._institution = institution
        self._now_ms = now_ms
        self._next_record = 1
        self._next_batch = 1

    def load(self, connection: Connection) -> None:
        """Read where the counters stand."""
        self._next_record = int(connection.execute(select(func.max(records.c.id))).scalar() or 0) + 1
        self._next_batch = int(connection.execute(select(func.max(batches.c.id))).scalar() or 0) + 1

    def admit_many(self, connection: Connection, intakes: Sequence[Intake]) -> list[Admitted]:
        """Store the new records of a group of intakes; return what became of each."""
        # Never kept beyond the transaction: a row that is rolled back must not be remembered.
        known_sources: dict[str, int] = dict(map(tuple, _SOURCES.rows(connection, self._institution)))
        keys: list[_Key] = []
        leaves: list[bytes] = []
        for intake in intakes:
            ids = {
                name: self._source_id(connection, known_sources, name)
                for name in dict.fromkeys(intake.sources)
            }
            keys += zip(map(ids.__getitem__, intake.sources), intake.refs, strict=True)
            leaves += leaf_slices(intake.leaves)
        if len(set(keys)) == len(keys):
            before = self._next_record, self._next_batch
            connection.exec_driver_sql("SAVEPOINT admission")
            try:
                ids_, places, stored = self._store(connection, keys, leaves)
            except IntegrityError:
                connection.exec_driver_sql("ROLLBACK TO SAVEPOINT admission")
                self._next_record, self._next_batch = before
            else:
                connection.exec_driver_sql("RELEASE SAVEPOINT admission")
                return _split(
                    intakes,
                    ids=ids_,
                    places=places,
                    replays=frozenset(),
                    conflicts=frozenset(),
                    stored=stored,
                )
        return self._admit_known(connection, intakes, keys, leaves)

    def _source_id(self, connection: Connection, known: dict[str, int], name: str) -> int:
        """Return the row id of a source, adding it to the table and to `known` when it is new."""
        if name not in known:
            inserted = connection.execute(sources.insert().values(institution=self._institution, name=name))
            assert inserted.inserted_primary_key is not None
            known[name] = int(inserted.inserted_primary_key[0])
        return known[name]

    def _store(
        self, connection: Connection, keys: Sequence[_Key], leaves: Sequence[bytes]
    ) -> tuple[list[int], list[_Place], dict[int, int]]:
        """Insert new records; return their ids, their places, and the number of leaves stored per batch.

        Raises IntegrityError when a reference is known.
        """
        distinct = list(dict.fromkeys(leaves))
        order = {leaf: at for at, leaf in enumerate(distinct)} if len(distinct) < len(leaves) else None
        first_batch = self._next_batch
        stored: dict[int, int] = {}
        received_ms = self._now_ms()
        for start in range(0, len(distinct), BATCH_MAX):
            part = distinct[start : start + BATCH_MAX]
            stored[self._store_batch(connection, part, received_ms)] = len(part)
        ordinals = range(len(leaves)) if order is None else [order[leaf] for leaf in leaves]
        places = [(first_batch + at // BATCH_MAX, at % BATCH_MAX) for at in ordinals]
        ids = list(range(self._next_record, self._next_record + len(keys)))
        self._next_record += len(keys)
        rows = [(i, s, r, b, p) for i, (s, r), (b, p) in zip(ids, keys, places, strict=True)]
        _ADD_RECORD.run(connection, rows)
        return ids, places, stored

    def _store_batch(self, connection: Connection, leaves: Sequence[bytes], received_ms: int) -> int:
        batch_id = self._next_batch
        self._next_batch += 1
        joined = b"".join(leaves)
        assert len(joined) == PREFIXED_BYTES * len(leaves), "leaves have 129 bytes"
        _ADD_BATCH.run(connection, (batch_id, received_ms, len(leaves), BATCH_PENDING))
        _ADD_PAYLOAD.run(connection, (batch_id, sha256(joined).digest(), joined))
        return batch_id

    def _admit_known(
        self, connection: Connection, intakes: Sequence[Intake], keys: Sequence[_Key], leaves: Sequence[bytes]
    ) -> list[Admitted]:
        """Admit a group in which references are known already, or stand twice."""
        known = _look_up(connection, keys)
        cache: dict[int, bytes] = {}
        first: dict[_Key, int] = {}  # new key -> its ordinal in the group
        fresh: list[int] = []
        replays: set[int] = set()
        conflicts: set[int] = set()
        for at, (key, leaf) in enumerate(zip(keys, leaves, strict=True)):
            if key in known:
                _, place = known[key]
                same = _leaf_at(connection, cache, place) == leaf
            elif key in first:
                same = leaves[first[key]] == leaf
            else:
                first[key] = at
                fresh.append(at)
                continue
            (replays if same else conflicts).add(at)
        stored: dict[int, int] = {}
        if fresh:
            new_ids, new_places, stored = self._store(
                connection, [keys[at] for at in fresh], [leaves[at] for at in fresh]
            )
            for at, record_id, place in zip(fresh, new_ids, new_places, strict=True):
                known[keys[at]] = record_id, place
        ids = [0 if at in conflicts else known[key][0] for at, key in enumerate(keys)]
        places = [(0, 0) if at in conflicts else known[key][1] for at, key in enumerate(keys)]
        return _split(
            intakes,
            ids=ids,
            places=places,
            replays=frozenset(replays),
            conflicts=frozenset(conflicts),
            stored=stored,
        )


def _look_up(connection: Connection, keys: Sequence[_Key]) -> dict[_Key, tuple[int, _Place]]:
    """Return id and place of those of the keys that are stored."""
    by_source: dict[int, list[str]] = {}
    for source_id, ref in dict.fromkeys(keys):
        by_source.setdefault(source_id, []).append(ref)
    found: dict[_Key, tuple[int, _Place]] = {}
    columns = (records.c.ref, records.c.id, records.c.batch_id, records.c.position)
    for source_id, refs in by_source.items():
        for start in range(0, len(refs), _LOOKUP_MAX):
            part = refs[start : start + _LOOKUP_MAX]
            query = select(*columns).where(records.c.source_id == source_id, records.c.ref.in_(part))
            for ref, record_id, batch_id, position in connection.execute(query):
                found[source_id, ref] = record_id, (batch_id, position)
    return found


def _leaf_at(connection: Connection, cache: dict[int, bytes], place: _Place) -> bytes:
    """Return the stored leaf (129 bytes) at a place, keeping the last few payloads at hand."""
    batch_id, position = place
    if batch_id not in cache:
        if len(cache) >= 64:
            cache.clear()
        cache[batch_id] = payload_of(connection, batch_id)
    return cache[batch_id][position * PREFIXED_BYTES : (position + 1) * PREFIXED_BYTES]


def _split(
    intakes: Sequence[Intake],
    *,
    ids: Sequence[int],
    places: Sequence[_Place],
    replays: frozenset[int],
    conflicts: frozenset[int],
    stored: dict[int, int],
) -> list[Admitted]:
    """Cut a group's results into those of its intakes. What was stored is told once, with the first intake."""
    results = []
    start = 0
    for number, intake in enumerate(intakes):
        stop = start + len(intake.refs)
        inside = range(start, stop)
        results.append(
            Admitted(
                ids=ids[start:stop],
                places=places[start:stop],
                replays=frozenset(at - start for at in replays if at in inside),
                conflicts=frozenset(at - start for at in conflicts if at in inside),
                stored=sum(stored.values()) if number == 0 else 0,
            )
        )
        start = stop
    return results
