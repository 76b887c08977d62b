"""Collecting: scope, limits, and durable before answered."""

import pytest
from gateway_records import records_of

from gateway.adapters.store import SqlStore
from gateway.domain.access import ApiKey
from gateway.domain.record import NewRecords
from gateway.errors import BusyError
from gateway.usecases.collect import Collect

ALL = ApiKey("all", b"a" * 32, None)
SMS = ApiKey("sms", b"s" * 32, frozenset({"PUSH.SMS"}))


def joined(*parts: NewRecords) -> NewRecords:
    """Return the records of several parts in one request."""
    return NewRecords(
        refs=[ref for p in parts for ref in p.refs],
        commitments=[c for p in parts for c in p.commitments],
        sources=[s for p in parts for s in p.sources],
        source_seqs=[s for p in parts for s in p.source_seqs],
        templates=[t for p in parts for t in p.templates],
        template_versions=[v for p in parts for v in p.template_versions],
    )


async def test_what_is_accepted_is_stored_and_wakes_the_loop(store: SqlStore) -> None:
    """New records wake the anchoring loop; a pure replay does not."""
    collect = Collect(store, "BROKER", 100)
    woken: list[int] = []
    collect.on_stored = lambda: woken.append(1)
    first = await collect(ALL, records_of([1, 2]))
    assert (list(first.ids), first.accepted) == ([1, 2], 2)
    again = await collect(ALL, records_of([1, 2]))
    assert again.replays == {0, 1}
    assert woken == [1]


async def test_items_outside_the_scope_are_refused_one_by_one(store: SqlStore) -> None:
    """The others of the request go on, with their own replays and conflicts at the right places."""
    collect = Collect(store, "BROKER", 100)
    await collect(ALL, records_of([1], refs=["A"]))
    mixed = joined(
        records_of([7], source="CRM"),
        records_of([1], refs=["A"]),
        records_of([8], source="CRM"),
        records_of([2], refs=["A"]),
        records_of([3], refs=["B"]),
    )
    answer = await collect(SMS, mixed)
    assert answer.forbidden == {0, 2}
    assert answer.replays == {1}
    assert answer.conflicts == {3}
    assert list(answer.ids) == [0, 1, 0, 0, 2]
    assert answer.accepted == 2
    nothing = await collect(SMS, records_of([9], source="CRM"))
    assert nothing.accepted == 0


async def test_a_full_outbox_or_disk_takes_nothing(store: SqlStore) -> None:
    """Refused whole, with a delay; nothing is stored."""
    collect = Collect(store, "BROKER", 3)
    await collect(ALL, records_of([1, 2]))
    with pytest.raises(BusyError, match="E_OUTBOX_FULL") as full:
        await collect(ALL, records_of([3, 4]))
    assert full.value.retry_after_s > 0
    await collect(ALL, records_of([5]))
    collect.disk_low = True
    with pytest.raises(BusyError, match="E_STORAGE_FULL"):
        await collect(ALL, records_of([6]))
    assert store.backlog() == 3
