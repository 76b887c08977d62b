"""The anchoring loop over a real outbox and a scripted ledger."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from gateway_fakes import FakeClock, FakeLedger, FakeMeter, FakeTelemetry, PlainSealer, new_store, until
from gateway_records import intake_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.adapters.clock import SystemClock
from gateway.adapters.store import SqlStore
from gateway.domain.anchoring import (
    Committed,
    Known,
    LeafState,
    LeafStatus,
    Outcome,
    Placement,
    Refused,
    SlowDown,
    State,
    Unknown,
)
from gateway.errors import FatalStorageError, StorageError
from gateway.usecases import anchor as module
from gateway.usecases.anchor import Anchor, AnchorLimits
from ledger.record import PREFIXED_BYTES, leaf_slices


class Chain:
    """A chain that orders each leaf once, and misbehaves by a script of names."""

    def __init__(self, *script: str) -> None:
        self.script = list(script)
        self.leaves: list[bytes] = []
        self.envelopes: list[bytes] = []

    async def submit(self, envelope: bytes) -> Outcome:
        """See ports.Ledger."""
        self.envelopes.append(envelope)
        step = self.script.pop(0) if self.script else ""
        await asyncio.sleep(0)
        if step == "slow":
            return SlowDown(0.01)
        if step == "lost":
            return Unknown()
        if step == "refuse":
            return Refused("E_TEST", "words")
        if step == "short":
            return Known(())
        outcome = self.order(envelope)
        return Unknown() if step == "order-lost" else outcome

    def order(self, envelope: bytes) -> Outcome:
        """Order the envelope whole, or say what is known of each leaf."""
        leaves = leaf_slices(envelope)
        if not set(leaves) & set(self.leaves):
            first = len(self.leaves)
            self.leaves += leaves
            return Committed(1, first, 7)
        return Known(
            tuple(
                LeafStatus(LeafState.ON_CHAIN, self.leaves.index(leaf), 1)
                if leaf in self.leaves
                else LeafStatus(LeafState.NEW)
                for leaf in leaves
            )
        )


@asynccontextmanager
async def anchoring(
    store: SqlStore, ledger: object, *, in_flight: int = 2, most: int = 5_000
) -> AsyncIterator[tuple[Anchor, FakeMeter, FakeTelemetry]]:
    """Run a loop over a store."""
    meter, telemetry = FakeMeter(), FakeTelemetry()
    anchor = Anchor(
        outbox=store, ledger=ledger, sealer=PlainSealer(), clock=SystemClock(), telemetry=telemetry, meter=meter,  # type: ignore[arg-type]
        limits=AnchorLimits(in_flight, most), on_placed=lambda _: None,
    )  # fmt: skip
    task = asyncio.create_task(anchor.run())
    try:
        yield anchor, meter, telemetry
    finally:
        task.cancel()
        await asyncio.wait({task})


async def states(store: SqlStore) -> list[tuple[State, int | None]]:
    """Return state and index of every record, by id."""
    rows, _ = await store.find(ref=None, sources=None, after_id=0, limit=1_000)
    return [(row.where.state, row.where.index) for row in rows]


async def test_records_get_their_places(store: SqlStore) -> None:
    """What is stored is sent, and its places are durable."""
    chain = Chain()
    async with anchoring(store, chain) as (anchor, meter, _):
        await store.admit(intake_of([1, 2, 3]))
        anchor.wake()
        await until(lambda: store.backlog() == 0)
        await store.admit(intake_of([4]))
        anchor.wake()
        await until(lambda: store.backlog() == 0)
    assert await states(store) == [(State.COMMITTED, n) for n in range(4)]
    assert meter.outcomes == [("committed", 3), ("committed", 1)]
    assert len(meter.placed_s) == 2


async def test_what_was_placed_is_told(store: SqlStore) -> None:
    """After it is durable, failures included."""
    told: list[tuple[int, State]] = []
    await store.admit(intake_of([1]))
    anchor = Anchor(
        outbox=store, ledger=Chain("refuse"), sealer=PlainSealer(), clock=SystemClock(), telemetry=FakeTelemetry(),
        meter=FakeMeter(), limits=AnchorLimits(1, 10),
        on_placed=lambda placed: told.extend((batch_id, run.state) for batch_id, run in placed),
    )  # fmt: skip
    task = asyncio.create_task(anchor.run())
    await until(lambda: told)
    await store.admit(intake_of([2]))
    anchor.wake()
    await until(lambda: len(told) == 2)
    task.cancel()
    await asyncio.wait({task})
    assert told == [(1, State.FAILED), (2, State.COMMITTED)]


async def test_a_busy_loop_gathers_and_a_lone_record_never_waits(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two small envelopes at most as long as the last one took; a fifth of a full one goes at once."""
    monkeypatch.setattr(module, "GATHER_MAX_S", 0.3)

    class Slow(Chain):
        async def submit(self, envelope: bytes) -> Outcome:
            await asyncio.sleep(0.2)
            return await super().submit(envelope)

    chain = Slow()
    async with anchoring(store, chain, most=100) as (anchor, _, _telemetry):
        for number in range(12):
            await store.admit(intake_of([number], source=f"S{number}"))
            anchor.wake()
            await asyncio.sleep(0.05)
        await until(lambda: store.backlog() == 0)
        assert 2 < len(chain.envelopes) < 8
        await asyncio.sleep(0.4)
        started = asyncio.get_running_loop().time()
        await store.admit(intake_of([50]))
        anchor.wake()
        sent = len(chain.envelopes)
        await until(lambda: len(chain.envelopes) > sent)
        assert asyncio.get_running_loop().time() - started < 0.35


async def test_small_batches_are_merged(store: SqlStore) -> None:
    """What waits travels in one envelope, up to its limit."""
    for number in range(10):
        await store.admit(intake_of([number]))
    chain = Chain()
    async with anchoring(store, chain, most=4):
        await until(lambda: store.backlog() == 0)
    assert [len(e) // PREFIXED_BYTES for e in chain.envelopes] == [4, 4, 2]


@pytest.mark.parametrize("step", ["slow", "lost", "order-lost", "short"])
async def test_nothing_but_a_refusal_fails_a_record(store: SqlStore, step: str) -> None:
    """Slow-downs, lost answers and answers of a wrong shape only take time."""
    await store.admit(intake_of([1, 2]))
    chain = Chain(step, step)
    async with anchoring(store, chain) as (_, meter, _telemetry):
        await until(lambda: store.backlog() == 0)
    assert await states(store) == [(State.COMMITTED, 0), (State.COMMITTED, 1)]
    assert len(chain.leaves) == 2
    assert len(chain.envelopes) == 3
    assert meter.reasons == (["E_NODE_ANSWER"] * 2 if step == "short" else [])


async def test_a_duplicate_of_an_earlier_batch_gets_the_same_place(store: SqlStore) -> None:
    """One leaf under two references: the chain holds it once, and both show that place."""
    await store.admit(intake_of([1, 2], refs=["A", "B"]))
    chain = Chain()
    async with anchoring(store, chain) as (anchor, _, _telemetry):
        await until(lambda: store.backlog() == 0)
        await store.admit(intake_of([3, 2, 4], refs=["C", "D", "E"]))
        anchor.wake()
        await until(lambda: store.backlog() == 0)
    assert [index for _, index in await states(store)] == [0, 1, 2, 1, 3]
    assert len(chain.leaves) == 4


async def test_a_refusal_fails_only_the_batch_it_speaks_of(store: SqlStore) -> None:
    """A refused mixture is tried batch by batch; the good ones go through."""
    await store.admit(intake_of([1]))
    await store.admit(intake_of([2]))
    async with anchoring(store, Chain("refuse", "refuse")) as (_, _meter, telemetry):
        await until(lambda: store.backlog() == 0)
    assert [state for state, _ in await states(store)] == [State.FAILED, State.COMMITTED]
    assert telemetry.events().count("envelope_refused") == 2


async def test_a_restart_sends_what_has_no_place_and_doubles_nothing(tmp_path: Path) -> None:
    """The answer was lost with the process; the chain knows the leaves, and the same places come out."""
    store, database = new_store(tmp_path)
    chain = Chain()
    await store.admit(intake_of([1, 2]))
    chain.order((await store.pending(0, 10))[0].leaves)  # ordered, and then the gateway was killed
    await store.close()
    database.close()
    store, database = new_store(tmp_path)
    async with anchoring(store, chain):
        await until(lambda: store.backlog() == 0)
    assert await states(store) == [(State.COMMITTED, 0), (State.COMMITTED, 1)]
    assert len(chain.leaves) == 2
    await store.close()
    database.close()


async def test_halting_stops_sending_at_once(store: SqlStore) -> None:
    """A contradiction ends anchoring; what is taken in meanwhile waits."""
    chain = Chain()
    async with anchoring(store, chain) as (anchor, _, _telemetry):
        anchor.halt("two roots")
        await store.admit(intake_of([1]))
        anchor.wake()
        await asyncio.sleep(0.1)
        assert chain.envelopes == []
        assert anchor.halted == "two roots"
    assert store.backlog() == 1


async def test_a_full_disk_delays_places_and_sends_nothing_twice(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is kept until it can be stored."""
    monkeypatch.setattr(module, "STORE_PAUSE_S", 0.01)
    original, failures = store.place, [StorageError("E_STORAGE_FULL", "no room")] * 3

    async def place(placements: Sequence[tuple[int, Placement]]) -> None:
        if failures:
            raise failures.pop()
        await original(placements)

    store.place = place  # type: ignore[method-assign]
    await store.admit(intake_of([1]))
    chain = Chain()
    async with anchoring(store, chain) as (_, _meter, telemetry):
        await until(lambda: store.backlog() == 0)
    assert len(chain.envelopes) == 1
    assert telemetry.events() == ["placements_not_stored"] * 3


async def test_a_fatal_database_ends_the_loop(store: SqlStore) -> None:
    """The loop does not go on over a database that has failed."""

    async def place(_: Sequence[tuple[int, Placement]]) -> None:
        raise FatalStorageError("E_STORAGE_FAILED", "words")

    store.place = place  # type: ignore[method-assign,assignment]
    await store.admit(intake_of([1]))
    anchor = Anchor(
        outbox=store, ledger=Chain(), sealer=PlainSealer(), clock=FakeClock(), telemetry=FakeTelemetry(),
        meter=FakeMeter(), limits=AnchorLimits(1, 10), on_placed=lambda _: None,
    )  # fmt: skip
    with pytest.raises(ExceptionGroup) as caught:
        await anchor.run()
    assert caught.group_contains(FatalStorageError)


async def test_at_most_so_many_envelopes_fly(store: SqlStore) -> None:
    """Two envelopes of different sources at once, never a third."""
    gate = asyncio.Event()
    flying: list[int] = [0, 0]

    class Slow(FakeLedger):
        async def submit(self, envelope: bytes) -> Outcome:
            flying[0] += 1
            flying[1] = max(flying)
            await gate.wait()
            flying[0] -= 1
            return Committed(1, 10 * len(self.envelopes), 0)

    for number, source in enumerate(["CRM", "WECOM", "PUSH.SMS", "APP"]):
        await store.admit(intake_of([number], source=source))
    async with anchoring(store, Slow(), most=1):
        await asyncio.sleep(0.1)
        assert flying == [2, 2]
        gate.set()
        await until(lambda: store.backlog() == 0)
    assert flying[1] == 2


STEPS = st.lists(st.sampled_from(["", "slow", "lost", "order-lost", "short"]), max_size=12)


@pytest.mark.slow
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    STEPS,
    st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=4), min_size=1, max_size=5),
    st.integers(1, 5),
)
def test_every_record_ends_at_the_place_of_its_leaf(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str], requests: list[list[int]], most: int
) -> None:
    """Whatever the ledger does, each record shows the one position of its leaf, and no leaf is ordered twice."""

    async def scenario() -> None:
        store, database = new_store(tmp_path_factory.mktemp("db"))
        chain = Chain(*steps)
        try:
            for at, numbers in enumerate(requests):
                await store.admit(intake_of(numbers, refs=[f"Q{at}-{n}" for n in range(len(numbers))]))
            async with anchoring(store, chain, most=most):
                await until(lambda: store.backlog() == 0, 20)
            rows, _ = await store.find(ref=None, sources=None, after_id=0, limit=1_000)
            assert len(rows) == sum(map(len, requests))
            for row in rows:
                assert row.where.state is State.COMMITTED
                assert row.where.index is not None
                assert chain.leaves[row.where.index][1:] == row.leaf
            assert len(set(chain.leaves)) == len(chain.leaves)
        finally:
            await store.close()
            database.close()

    asyncio.run(scenario())
