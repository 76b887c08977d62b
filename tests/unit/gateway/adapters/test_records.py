"""Reading records back."""

import pytest
from gateway_fakes import FakeClock
from gateway_records import commitment, intake_of

from gateway.adapters import records as module
from gateway.adapters.store import SqlStore
from gateway.domain.anchoring import Placement, State
from ledger.record import decode_leaf


async def test_a_record_comes_back_whole(store: SqlStore, clock: FakeClock) -> None:
    """Reference, source, leaf, moment and place; none for an unknown id."""
    await store.admit(intake_of([7, 8]))
    row = await store.record(2)
    assert row is not None
    assert (row.record_id, row.ref, row.source, row.received_ms) == (2, "R-8", "PUSH.SMS", clock.wall)
    assert decode_leaf(row.leaf).commitment == commitment(8)
    assert row.where.state is State.PENDING
    await store.place([(1, Placement(0, 2, State.COMMITTED, 7, 70, 5))])
    row = await store.record(2)
    assert row is not None
    assert (row.where.state, row.where.height, row.where.index) == (State.COMMITTED, 7, 71)
    assert await store.record(99) is None


async def test_finding_by_reference(store: SqlStore) -> None:
    """All sources of the scope that use the reference, and no others."""
    await store.admit(intake_of([1], refs=["A"], source="CRM"))
    await store.admit(intake_of([2], refs=["A"], source="WECOM"))
    await store.admit(intake_of([3], refs=["B"], source="CRM"))
    rows, more = await store.find(ref="A", sources=None, after_id=0, limit=10)
    assert [row.source for row in rows] == ["CRM", "WECOM"]
    assert more == 0
    rows, _ = await store.find(ref="A", sources=["WECOM"], after_id=0, limit=10)
    assert [row.record_id for row in rows] == [2]
    assert await store.find(ref="A", sources=["NOBODY"], after_id=0, limit=10) == ([], 0)
    rows, more = await store.find(ref="A", sources=None, after_id=0, limit=1)
    assert ([row.record_id for row in rows], more) == ([1], 1)
    rows, more = await store.find(ref="A", sources=None, after_id=more, limit=1)
    assert ([row.record_id for row in rows], more) == ([2], 0)


async def test_paging_reaches_every_record_once(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Page by page, with a filter that skips most rows and a scan limit below them."""
    monkeypatch.setattr(module, "SCAN_MAX", 4)
    for number in range(20):
        await store.admit(intake_of([number], source="CRM" if number % 7 == 0 else "WECOM"))
    for sources, expected in ((None, list(range(1, 21))), (["CRM"], [1, 8, 15])):
        seen: list[int] = []
        after, pages = 0, 0
        while True:
            rows, after = await store.find(ref=None, sources=sources, after_id=after, limit=3)
            assert len(rows) <= 3
            seen += [row.record_id for row in rows]
            pages += 1
            if not after:
                break
        assert seen == expected
        assert pages < 20
