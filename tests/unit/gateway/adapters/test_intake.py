"""Admitting records: one reference is one record for ever, one leaf is stored once."""

import asyncio
import threading
from pathlib import Path

import pytest
from gateway_fakes import FakeClock, new_store
from gateway_records import intake_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.adapters.database import open_database
from gateway.adapters.intake import BATCH_MAX
from gateway.adapters.store import SqlStore
from gateway.errors import StorageError
from gateway.ports import Admitted
from ledger.record import PREFIXED_BYTES, leaf_slices


async def stored_leaf(store: SqlStore, place: tuple[int, int]) -> bytes:
    """Return the prefixed leaf at a place, through the outbox."""
    for batch in await store.pending(0, 10**9):
        if batch.batch_id == place[0]:
            return batch.leaves[place[1] * PREFIXED_BYTES : (place[1] + 1) * PREFIXED_BYTES]
    raise AssertionError("no such batch")


async def test_new_records_get_ids_and_places(store: SqlStore) -> None:
    """Ids rise, places are those of the batch, the leaves are the intake's."""
    intake = intake_of([1, 2, 3])
    admitted = await store.admit(intake)
    assert admitted == Admitted([1, 2, 3], [(1, 0), (1, 1), (1, 2)], frozenset(), frozenset(), 3)
    assert (await store.pending(0, 10))[0].leaves == intake.leaves
    assert store.backlog() == 3


async def test_a_repeated_request_is_answered_with_the_first_ids(store: SqlStore) -> None:
    """Same references and content: same ids, nothing stored, however often and in whatever mix."""
    first = await store.admit(intake_of([1, 2, 3]))
    again = await store.admit(intake_of([3, 9, 1]))
    assert list(again.ids) == [first.ids[2], 4, first.ids[0]]
    assert again.replays == {0, 2}
    assert again.stored == 1
    assert store.backlog() == 4


async def test_other_content_under_a_known_reference_is_a_conflict(store: SqlStore) -> None:
    """The rest of the request goes on; the stored record stays as it was."""
    await store.admit(intake_of([1], refs=["A"]))
    answer = await store.admit(intake_of([2, 3], refs=["A", "B"]))
    assert answer.conflicts == {0}
    assert list(answer.ids) == [0, 2]
    assert (await store.admit(intake_of([1], refs=["A"]))).replays == {0}


async def test_the_same_reference_of_another_source_is_another_record(store: SqlStore) -> None:
    """The key is (institution, source, reference)."""
    first = await store.admit(intake_of([1], refs=["A"], source="CRM"))
    second = await store.admit(intake_of([2], refs=["A"], source="WECOM"))
    assert list(first.ids) != list(second.ids)
    assert not second.conflicts


async def test_a_reference_twice_in_one_request(store: SqlStore) -> None:
    """The first occurrence stands; a second with the same content is its replay, with other content a conflict."""
    answer = await store.admit(intake_of([1, 1, 2], refs=["A", "A", "A"]))
    assert list(answer.ids) == [1, 1, 0]
    assert answer.replays == {1}
    assert answer.conflicts == {2}
    assert answer.stored == 1


async def test_one_leaf_under_two_references_is_stored_once(store: SqlStore) -> None:
    """Both references point at the same place, so they get the same position on the chain."""
    answer = await store.admit(intake_of([5, 5, 6], refs=["A", "B", "C"]))
    assert list(answer.ids) == [1, 2, 3]
    assert list(answer.places) == [(1, 0), (1, 0), (1, 1)]
    assert answer.stored == 2


async def test_a_new_source_of_a_group_that_failed_is_not_remembered(store: SqlStore) -> None:
    """The group is rolled back and tried one by one; the record and its source are both there afterwards."""

    def fail(_: object) -> None:
        raise StorageError("E_STORAGE_FULL", "no room")

    gate = threading.Event()
    holding = asyncio.create_task(store._writer.call(lambda _: gate.wait(5)))
    await asyncio.sleep(0.05)
    jobs = [
        asyncio.create_task(store.admit(intake_of([1], source="NEW.ONE"))),
        asyncio.create_task(store._writer.call(fail)),
        asyncio.create_task(store.admit(intake_of([2], source="NEW.TWO"))),
    ]
    await asyncio.sleep(0.05)
    gate.set()
    await holding
    done = await asyncio.gather(*jobs, return_exceptions=True)
    assert isinstance(done[1], StorageError)
    await store.admit(intake_of([3], source="NEW.THREE"))
    rows, _ = await store.find(ref=None, sources=None, after_id=0, limit=10)
    assert [(row.ref, row.source) for row in rows] == [
        ("R-1", "NEW.ONE"),
        ("R-2", "NEW.TWO"),
        ("R-3", "NEW.THREE"),
    ]


async def test_many_records_are_cut_into_batches(store: SqlStore) -> None:
    """A batch has a bounded payload; every record is found at its place."""
    numbers = list(range(BATCH_MAX + 500))
    intake = intake_of(numbers)
    answer = await store.admit(intake)
    assert {place[0] for place in answer.places} == {1, 2}
    leaves = leaf_slices(intake.leaves)
    for at in (0, BATCH_MAX - 1, BATCH_MAX, len(numbers) - 1):
        assert await stored_leaf(store, answer.places[at]) == leaves[at]


async def test_ids_and_sources_survive_a_restart(tmp_path: Path) -> None:
    """After a restart ids go on, replays are known, the backlog is counted again."""
    store, database = new_store(tmp_path)
    await store.admit(intake_of([1, 2]))
    await store.close()
    database.close()
    database = open_database(tmp_path / "gateway.db", now_ms=2, create=False)
    store = SqlStore(database, "BROKER", FakeClock(), tmp_path)
    assert store.backlog() == 2
    answer = await store.admit(intake_of([2, 3]))
    assert list(answer.ids) == [2, 3]
    assert list(answer.places) == [(1, 1), (2, 0)]
    await store.close()
    database.close()


REQUESTS = st.lists(
    st.lists(
        st.tuples(st.sampled_from("ABCD"), st.integers(0, 3), st.sampled_from(["CRM", "WECOM"])),
        min_size=1,
        max_size=5,
    ),
    max_size=6,
)


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(REQUESTS, st.booleans())
def test_idempotency_holds_for_any_requests(
    tmp_path_factory: pytest.TempPathFactory, requests: list[list[tuple[str, int, str]]], together: bool
) -> None:
    """In any order and grouping: a (source, reference) keeps its first content and id, everything else is a conflict."""

    async def scenario() -> None:
        store, database = new_store(tmp_path_factory.mktemp("db"))
        model: dict[tuple[str, str], tuple[int, int]] = {}
        try:
            intakes = []
            for request in requests:
                parts = [intake_of([n], refs=[ref], source=source) for ref, n, source in request]
                joined = type(parts[0])(
                    [p.refs[0] for p in parts],
                    [p.sources[0] for p in parts],
                    b"".join(p.leaves for p in parts),
                )
                intakes.append(joined)
            if together:
                answers = await asyncio.gather(*[store.admit(intake) for intake in intakes])
            else:
                answers = [await store.admit(intake) for intake in intakes]
            for request, answer in zip(requests, answers, strict=True):
                for at, (ref, number, source) in enumerate(request):
                    key = (source, ref)
                    if key not in model:
                        model[key] = (number, answer.ids[at])
                        assert at not in answer.replays | answer.conflicts
                    elif model[key][0] == number:
                        assert answer.ids[at] == model[key][1]
                        assert at in answer.replays
                    else:
                        assert at in answer.conflicts
                        assert answer.ids[at] == 0
            assert len({record_id for _, record_id in model.values()}) == len(model)
            assert store.backlog() == sum(
                len(b.leaves) // PREFIXED_BYTES for b in await store.pending(0, 10**9)
            )
        finally:
            await store.close()
            database.close()

    asyncio.run(scenario())
