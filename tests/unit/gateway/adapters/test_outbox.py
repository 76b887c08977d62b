"""The outbox in SQL: pending, placed, settled, and what was believed."""

import sqlite3
from pathlib import Path

import pytest
from gateway_fakes import FakeClock, new_store
from gateway_records import intake_of
from sqlalchemy import event, text

from gateway.adapters.store import SqlStore
from gateway.domain.anchoring import Piece, Placement, State
from gateway.domain.finality import Checkpoint, Unproven
from gateway.errors import FatalStorageError
from ledger.record import PREFIXED_BYTES


async def test_a_batch_leaves_the_outbox_piece_by_piece(store: SqlStore, clock: FakeClock) -> None:
    """What has no place is pending, by rising batch; a covered batch is gone from there."""
    await store.admit(intake_of([1, 2, 3]))
    clock.wall += 500
    await store.admit(intake_of([4]))
    assert await store.oldest_pending_ms() == clock.wall - 500
    await store.place([(1, Placement(1, 1, State.COMMITTED, 7, 70, 5))])
    pending = await store.pending(0, 100)
    assert [batch.missing for batch in pending] == [(Piece(1, 0, 1), Piece(1, 2, 1)), (Piece(2, 0, 1),)]
    assert store.backlog() == 3
    await store.place(
        [(1, Placement(0, 1, State.FAILED, code="E_X")), (1, Placement(2, 1, State.COMMITTED, 8, 80, 6))]
    )
    assert [batch.batch_id for batch in await store.pending(0, 100)] == [2]
    assert await store.pending(2, 100) == []
    assert store.backlog() == 1


async def test_reading_ahead_is_bounded(store: SqlStore) -> None:
    """About as many records as asked for are read, whole batches each."""
    for number in range(5):
        await store.admit(intake_of([10 * number, 10 * number + 1]))
    assert [batch.batch_id for batch in await store.pending(0, 3)] == [1, 2]
    assert [batch.batch_id for batch in await store.pending(2, 3)] == [3, 4]


async def test_runs_wait_for_a_checkpoint_that_covers_them(store: SqlStore, clock: FakeClock) -> None:
    """Only runs that lie whole below the size are given out, by rising index, with their own leaves."""
    first, second = intake_of([1, 2]), intake_of([3, 4])
    await store.admit(first)
    await store.admit(second)
    await store.place(
        [(1, Placement(0, 2, State.COMMITTED, 7, 50, 1)), (2, Placement(0, 2, State.COMMITTED, 6, 40, 1))]
    )
    assert await store.unproven(41, 10) == []
    assert await store.unproven(51, 10) == [(Unproven(2, 0, 2, 40, clock.wall), second.leaves)]
    found = await store.unproven(52, 10)
    assert [run for run, _ in found] == [Unproven(2, 0, 2, 40, clock.wall), Unproven(1, 0, 2, 50, clock.wall)]
    assert await store.unproven(52, 1) == found[:1]
    await store.finalise([run for run, _ in found], None)
    assert await store.unproven(99, 10) == []
    placements = await store.placements([1, 2])
    assert [p.state for runs in placements.values() for p in runs] == [State.FINAL, State.FINAL]


async def test_finality_is_for_committed_runs_only(store: SqlStore) -> None:
    """A failed run never becomes final, whatever is asked."""
    await store.admit(intake_of([1]))
    await store.place([(1, Placement(0, 1, State.FAILED, code="E_X"))])
    await store.finalise([Unproven(1, 0, 1, 0)], None)
    assert (await store.placements([1]))[1][0].state is State.FAILED


async def test_placements_never_overlap(store: SqlStore) -> None:
    """The same place is written once; a second answer for it is refused by the database."""
    await store.admit(intake_of([1]))
    await store.place([(1, Placement(0, 1, State.COMMITTED, 7, 70, 5))])
    with pytest.raises(FatalStorageError):
        await store.place([(1, Placement(0, 1, State.COMMITTED, 9, 90, 5))])


async def test_a_settled_batch_is_marked(store: SqlStore) -> None:
    """States of the batch row: 0 pending, 1 placed, 2 settled."""

    async def state() -> int:
        return int(await store._read(lambda c: c.execute(text("SELECT state FROM batches")).scalar_one()))

    await store.admit(intake_of([1, 2]))
    assert await state() == 0
    await store.place(
        [(1, Placement(0, 1, State.FAILED, code="E_X")), (1, Placement(1, 1, State.COMMITTED, 1, 5, 1))]
    )
    assert await state() == 1
    await store.finalise([Unproven(1, 1, 1, 5)], None)
    assert await state() == 2


async def test_a_damaged_payload_is_never_used(tmp_path: Path) -> None:
    """One flipped bit in a stored leaf is noticed before it is anchored or proved, and is fatal."""
    store, database = new_store(tmp_path)
    await store.admit(intake_of([1]))
    with sqlite3.connect(tmp_path / "gateway.db") as raw:
        (leaves,) = raw.execute("SELECT leaves FROM payloads").fetchone()
        raw.execute(
            "UPDATE payloads SET leaves = ?", (bytes([leaves[0]]) + bytes([leaves[1] ^ 1]) + leaves[2:],)
        )
    raw.close()
    with pytest.raises(FatalStorageError, match="E_STORAGE_DAMAGED"):
        await store.pending(0, 10)
    assert store.failed.done()
    await store.close()
    database.close()


async def test_what_was_believed_survives(store: SqlStore) -> None:
    """The newest believed checkpoint and a halt's reason come back as they were."""
    assert await store.believed() is None
    assert await store.halted() == ""
    for size in (5, 9):
        await store.believe(Checkpoint(size, bytes([size]) * 32, b"note %d" % size))
    assert await store.believed() == Checkpoint(9, b"\x09" * 32, b"note 9")
    await store.halt("两个根 two roots", {"a.note": b"A"})
    assert await store.halted() == "两个根 two roots"
    await store.resume()
    assert await store.halted() == ""


async def test_hot_queries_use_their_indexes(store: SqlStore) -> None:
    """Pending batches and unproven runs are found by partial indexes, not by reading or sorting the tables."""
    asked: list[tuple[str, tuple[object, ...]]] = []

    def remember(_c: object, _k: object, statement: str, parameters: tuple[object, ...], *_: object) -> None:
        asked.append((statement, parameters))

    event.listen(store._database.readers, "before_cursor_execute", remember)
    await store.pending(0, 10)
    await store.unproven(10, 10)
    event.remove(store._database.readers, "before_cursor_execute", remember)
    queries = [(s, p) for s, p in asked if s.startswith("SELECT")]
    with store._database.readers.connect() as connection:
        plans = [
            str(row[3])
            for s, p in queries
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {s}", p)
        ]
    assert len(queries) == 2
    assert any("batches_pending" in plan for plan in plans), plans
    assert any("placements_unproven" in plan for plan in plans), plans
    assert not any("TEMP B-TREE" in plan for plan in plans), plans


async def test_payloads_are_whole_leaves(store: SqlStore) -> None:
    """What goes in comes out, 129 bytes per record."""
    intake = intake_of([1, 2, 3])
    await store.admit(intake)
    (batch,) = await store.pending(0, 10)
    assert batch.leaves == intake.leaves
    assert len(batch.leaves) == 3 * PREFIXED_BYTES
