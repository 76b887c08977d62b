"""Retrieving records and receipts."""

import pytest
from gateway_fakes import FakeDoor, FakeMeter, FakeTelemetry, FakeTrust
from gateway_records import intake_of

from gateway.adapters.store import SqlStore
from gateway.domain.access import ApiKey
from gateway.domain.anchoring import Placement, State
from gateway.domain.finality import Unproven
from gateway.errors import BusyError, RequestError
from gateway.usecases.retrieve import NotYet, Retrieve

ALL = ApiKey("all", b"a" * 32, None)
SMS = ApiKey("sms", b"s" * 32, frozenset({"PUSH.SMS"}))


def retrieve(store: SqlStore, *doors: FakeDoor) -> Retrieve:
    """Return the use case over some doors."""
    return Retrieve(store, doors, FakeTrust(), FakeTelemetry(), FakeMeter())


async def final_record(store: SqlStore) -> None:
    """Store record 1 (PUSH.SMS, final at index 50), 2 (CRM, pending) and 3 (PUSH.SMS, failed)."""
    await store.admit(intake_of([1]))
    await store.admit(intake_of([2], source="CRM"))
    await store.admit(intake_of([3]))
    await store.place([(1, Placement(0, 1, State.COMMITTED, 5, 50, 1))])
    await store.finalise([Unproven(1, 0, 1, 50)], None)
    await store.place([(3, Placement(0, 1, State.FAILED, code="E_CHAIN_SUBMITTER"))])


async def test_what_is_outside_the_scope_is_unknown(store: SqlStore) -> None:
    """Reading answers "unknown", never "forbidden"; lists leave it out."""
    await final_record(store)
    reads = retrieve(store)
    assert (await reads.record(SMS, 1)).ref == "R-1"
    for record_id in (2, 99):
        with pytest.raises(RequestError, match="E_RECORD_UNKNOWN"):
            await reads.record(SMS, record_id)
        with pytest.raises(RequestError, match="E_RECORD_UNKNOWN"):
            await reads.receipt(SMS, record_id, with_header=False)
    find = {"ref": None, "after_id": 0, "limit": 10}
    assert [r.record_id for r in (await reads.find(SMS, source=None, **find))[0]] == [1, 3]  # type: ignore[arg-type]
    assert await reads.find(SMS, source="CRM", **find) == ([], 0)  # type: ignore[arg-type]
    assert [r.record_id for r in (await reads.find(ALL, source="CRM", **find))[0]] == [2]  # type: ignore[arg-type]
    assert [r.record_id for r in (await reads.find(ALL, source=None, **find))[0]] == [1, 2, 3]  # type: ignore[arg-type]


async def test_a_receipt_is_verified_before_it_leaves(store: SqlStore) -> None:
    """A node's bad receipt is passed over; a good one of the next node is given, and that node asked first later."""
    await final_record(store)
    liar = FakeDoor("liar", receipts={50: b"forged"})
    gone = FakeDoor("gone")
    honest = FakeDoor("honest", receipts={50: b"good receipt"})
    reads = retrieve(store, liar, gone, honest)
    assert await reads.receipt(ALL, 1, with_header=True) == b"good receipt"
    assert await reads.receipt(ALL, 1, with_header=True) == b"good receipt"
    assert (len(liar.calls), len(gone.calls), len(honest.calls)) == (1, 1, 2)


async def test_without_a_good_receipt_the_answer_is_not_now(store: SqlStore) -> None:
    """Never a guess."""
    await final_record(store)
    reads = retrieve(store, FakeDoor("liar", receipts={50: b"forged"}), FakeDoor("gone"))
    with pytest.raises(BusyError, match="E_RECEIPT_UNAVAILABLE"):
        await reads.receipt(ALL, 1, with_header=False)


async def test_pending_and_failed_records_have_no_receipt(store: SqlStore) -> None:
    """The one is told to come back, the other why."""
    await final_record(store)
    reads = retrieve(store)
    waiting = await reads.receipt(ALL, 2, with_header=False)
    assert isinstance(waiting, NotYet)
    assert waiting.record.where.state is State.PENDING
    with pytest.raises(RequestError, match="E_CHAIN_SUBMITTER") as failed:
        await reads.receipt(ALL, 3, with_header=False)
    assert failed.value.code == "E_RECORD_FAILED"
