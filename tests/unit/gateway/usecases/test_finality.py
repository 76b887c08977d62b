"""Finality over a real store, a real chain in memory, and doors that may lie."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from gateway_chain import MemoryChain
from gateway_fakes import FakeMeter, FakeTelemetry, until
from gateway_records import intake_of
from ledger_world import SUBMITTER, seed

from gateway.adapters.clock import SystemClock
from gateway.adapters.store import SqlStore
from gateway.adapters.trust_file import FileTrust
from gateway.domain.anchoring import Placement, State
from gateway.domain.finality import Checkpoint, Unproven
from gateway.errors import LedgerUnreachableError, StorageError
from gateway.usecases import finality as module
from gateway.usecases.finality import Finality
from ledger.envelope import seal_envelope
from ledger.proof import RangeProof
from ledger.trust import parse_trust


class Door:
    """A read door over a chain; `lies` and `down` change what it answers."""

    def __init__(self, name: str, chain: MemoryChain) -> None:
        self.name = name
        self.chain = chain
        self.lies: set[str] = set()
        self.down = False
        self.mute = False
        self.watched = 0

    async def watch(self) -> AsyncIterator[bytes]:
        """See ports.ReadDoor."""
        self._up()
        self.watched += 1
        news = asyncio.Event()
        self.chain.listeners.append(news.set)
        news.set()
        while True:
            await news.wait()
            news.clear()
            if self.chain.final and not self.mute:
                yield self.chain.note(signers=2) if "unsigned" in self.lies else self.chain.final[0]

    async def consistency(self, old_size: int, new_size: int) -> tuple[bytes, ...]:
        """See ports.ReadDoor."""
        self._up()
        proof = self.chain.consistency(old_size, new_size)
        return tuple(bytes(32) for _ in proof) if "consistency" in self.lies else proof

    async def ranges(self, size: int, ranges: Sequence[tuple[int, int]]) -> list[RangeProof]:
        """See ports.ReadDoor."""
        self._up()
        proofs = [self.chain.range(start, count, size) for start, count in ranges]
        if "ranges" in self.lies:
            proofs = [RangeProof(tuple(bytes(32) for _ in p.left), p.right) for p in proofs]
        return proofs

    async def receipt(self, index: int, *, with_header: bool) -> bytes:
        """See ports.ReadDoor."""
        raise NotImplementedError

    def _up(self) -> None:
        if self.down:
            raise LedgerUnreachableError("E_NODE_UNREACHABLE", f"{self.name} is down")


class Scene(SimpleNamespace):
    """A chain, doors, and what finality told."""

    store: SqlStore
    chain: MemoryChain
    doors: list[Door]
    finality: Finality
    final: set[int]
    halted: list[str]
    meter: FakeMeter
    telemetry: FakeTelemetry

    async def commit(self, numbers: Sequence[int], *, final: bool = True, lie: int = 0) -> None:
        """Admit records, order them, store their places (wrong ones by `lie`), and make a checkpoint final."""
        intake = intake_of(numbers)
        admitted = await self.store.admit(intake)
        raw = seal_envelope(self.chain.chain_id, *SUBMITTER, intake.leaves, seed(*SUBMITTER)).raw
        block = self.chain.order([raw])
        where = Placement(0, len(numbers), State.COMMITTED, block.height, block.first_index + lie, 1)
        await self.store.place([(admitted.places[0][0], where)])
        self.finality.placed([where])
        if final:
            self.chain.finalise()

    async def states(self) -> list[State]:
        """Return the state of every record."""
        rows, _ = await self.store.find(ref=None, sources=None, after_id=0, limit=100)
        return [row.where.state for row in rows]


@asynccontextmanager
async def following(
    store: SqlStore, doors: int = 2, chain: MemoryChain | None = None
) -> AsyncIterator[Scene]:
    """Run finality over a store and so many doors of one chain."""
    chain = chain or MemoryChain()
    scene = Scene(
        store=store, chain=chain, doors=[Door(f"node-{n}", chain) for n in range(doors)], final=set(), halted=[],
        meter=FakeMeter(), telemetry=FakeTelemetry(),
    )  # fmt: skip
    scene.finality = Finality(
        store=store, doors=scene.doors, trust=FileTrust(parse_trust(chain.policy())), clock=SystemClock(),
        telemetry=scene.telemetry, meter=scene.meter, on_final=scene.final.update, on_halt=scene.halted.append,
    )  # fmt: skip
    await scene.finality.load()
    task = asyncio.create_task(scene.finality.run())
    try:
        yield scene
    finally:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.result()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make pauses short."""
    monkeypatch.setattr(module, "RECONNECT_S", 0.01)
    monkeypatch.setattr(module, "STALL_S", 0.05)


async def test_records_become_final_once_their_leaves_are_proved(store: SqlStore) -> None:
    """Checkpoint after checkpoint, each believed and durable before records are called final by it."""
    async with following(store) as scene:
        await scene.commit([1, 2, 3])
        await until(lambda: scene.final == {1})
        await scene.commit([4])
        await until(lambda: scene.final == {1, 2})
        assert await scene.states() == [State.FINAL] * 4
        believed = await store.believed()
        assert believed is not None
        assert believed.size == scene.chain.chain.tree_size
        assert len(scene.meter.proved_s) == 2
        assert not scene.halted


async def test_without_a_checkpoint_nothing_is_final(store: SqlStore) -> None:
    """Committed stays committed until a checkpoint covers the records."""
    async with following(store) as scene:
        await scene.commit([1], final=False)
        await asyncio.sleep(0.1)
        assert await scene.states() == [State.COMMITTED]
        scene.chain.finalise()
        await until(lambda: scene.final)


async def test_places_below_the_believed_checkpoint_are_proved_at_once(store: SqlStore) -> None:
    """A duplicate that was ordered long ago needs no new checkpoint."""
    async with following(store) as scene:
        await scene.commit([1])
        await until(lambda: scene.final == {1})
        admitted = await store.admit(intake_of([1], refs=["OTHER"]))
        where = Placement(0, 1, State.COMMITTED, 1, 1, 1)
        await store.place([(admitted.places[0][0], where)])
        scene.finality.placed([where])
        await until(lambda: scene.final == {1, 2})


async def test_one_lying_node_only_costs_a_question(store: SqlStore) -> None:
    """Its bad proofs are counted against it; the next node proves."""
    async with following(store) as scene:
        await scene.commit([1])
        await until(lambda: scene.final == {1})
        scene.doors[0].lies |= {"consistency", "ranges"}
        await scene.commit([2])
        await until(lambda: scene.final == {1, 2})
        assert not scene.halted
        assert set(scene.meter.reasons) <= {"E_PROOF_ROOT", "E_PROOF_LENGTH"}


async def test_a_checkpoint_without_quorum_is_passed_over(store: SqlStore) -> None:
    """The node that shows it is left for the next one."""
    async with following(store) as scene:
        scene.doors[0].lies.add("unsigned")
        scene.doors[1].down = True
        await scene.commit([1])
        await until(lambda: "E_QUORUM" in scene.meter.reasons)
        assert not scene.final
        scene.doors[1].down = False
        await until(lambda: scene.final == {1})
        assert not scene.halted


async def test_a_mute_node_is_left_when_records_wait(store: SqlStore) -> None:
    """A stream without news is fine, unless records wait for news."""
    async with following(store) as scene:
        scene.doors[0].mute = True
        await scene.commit([1])
        await until(lambda: scene.final == {1})
        assert scene.doors[1].watched >= 1


async def test_a_node_that_stays_behind_is_left_too(store: SqlStore) -> None:
    """It showed a checkpoint once; when records beyond it wait and nothing newer comes, the next node is watched."""
    async with following(store) as scene:
        await scene.commit([1])
        await until(lambda: scene.final == {1})
        first = scene.doors[0] if scene.doors[0].watched else scene.doors[1]
        first.mute = True
        await scene.commit([2])
        await until(lambda: scene.final == {1, 2})


async def test_unreachable_nodes_prove_nothing(store: SqlStore) -> None:
    """With every node down records wait; nothing is halted; they become final when one is back."""
    async with following(store) as scene:
        for door in scene.doors:
            door.down = True
        await scene.commit([1])
        await asyncio.sleep(0.2)
        assert await scene.states() == [State.COMMITTED]
        assert not scene.halted
        scene.doors[1].down = False
        await until(lambda: scene.final == {1})


async def test_two_roots_of_one_size_halt_everything(store: SqlStore) -> None:
    """A fork that the quorum signed: evidence with both notes, alarm, plain words, for good."""
    async with following(store) as scene:
        await scene.commit([1])
        await until(lambda: scene.final == {1})
        chain = scene.chain
        size = chain.chain.tree_size
        forged = chain.note(root=b"\x11" * 32)
        chain.final = (forged, chain.chain.height, size)
        for listener in list(chain.listeners):
            listener()
        await until(lambda: "anchoring_halted" in scene.telemetry.events())
        assert "forked" in scene.halted[0]
        assert scene.meter.alarms == 1
        (case,) = list(store._evidence.iterdir())
        assert sorted(p.name for p in case.iterdir()) == ["believed.note", "contradicting.note", "reason.txt"]
        assert (case / "contradicting.note").read_bytes() == forged
        assert "forked" in await store.halted()
    async with following(store, chain=chain) as again:  # a restart does not forget
        assert again.halted
        assert again.meter.alarms == 1


async def test_a_checkpoint_that_nobody_can_connect_halts(store: SqlStore) -> None:
    """A larger tree with the quorum's signatures that does not extend the believed one."""
    async with following(store) as scene:
        await scene.commit([1])
        await until(lambda: scene.final == {1})
        for door in scene.doors:
            door.lies.add("consistency")
        await scene.commit([2])
        await until(lambda: scene.halted)
        assert "no node can prove" in scene.halted[0]
        assert await scene.states() == [State.FINAL, State.COMMITTED]


async def test_a_place_that_nobody_can_prove_halts(store: SqlStore) -> None:
    """A leader that answered a wrong position is caught by hashing our own leaves."""
    async with following(store) as scene:
        await scene.commit([1, 2])
        await until(lambda: scene.final == {1})
        await scene.commit([3, 4], final=False, lie=-1)
        scene.chain.finalise()
        await until(lambda: "anchoring_halted" in scene.telemetry.events())
        assert "our records" in scene.halted[0]
        (case,) = list(store._evidence.iterdir())
        assert any(p.name.startswith("leaves-from-") for p in case.iterdir())
        assert State.FINAL not in (await scene.states())[2:]


async def test_one_of_two_nodes_cannot_halt_while_the_other_is_down(store: SqlStore) -> None:
    """A single liar needs a second witness; the claim waits for the other node."""
    async with following(store) as scene:
        await scene.commit([1])
        await until(lambda: scene.final == {1})
        scene.doors[0].lies |= {"consistency", "ranges"}
        scene.doors[1].down = True
        await scene.commit([2])
        await asyncio.sleep(0.2)
        assert not scene.halted
        scene.doors[1].down = False
        await until(lambda: scene.final == {1, 2})


async def test_an_older_checkpoint_changes_nothing(store: SqlStore) -> None:
    """What is believed never goes backwards."""
    async with following(store) as scene:
        await scene.commit([1])
        old = scene.chain.final
        await scene.commit([2])
        await until(lambda: scene.final == {1, 2})
        scene.chain.final = old
        for listener in list(scene.chain.listeners):
            listener()
        await asyncio.sleep(0.05)
        believed = await store.believed()
        assert believed is not None
        assert old is not None
        assert believed.size > old[2]
        assert not scene.halted


async def test_a_full_disk_only_delays(store: SqlStore) -> None:
    """Nothing is called final before it and the checkpoint are durable."""
    original, failures = store.finalise, [StorageError("E_STORAGE_FULL", "no room")] * 2

    async def finalise(runs: Sequence[Unproven], believed: Checkpoint | None) -> None:
        if failures:
            raise failures.pop()
        assert believed is not None
        await original(runs, believed)

    store.finalise = finalise  # type: ignore[method-assign]
    async with following(store) as scene:
        await scene.commit([1])
        await until(lambda: scene.final == {1})
        assert "finality_delayed" in scene.telemetry.events()
        believed = await store.believed()
        assert believed is not None


async def test_a_chain_that_grows_without_our_records_is_followed(store: SqlStore) -> None:
    """The believed checkpoint moves on with every final one."""
    async with following(store) as scene:
        scene.chain.finalise()
        await until(lambda: scene.finality.believed is not None)
        raw = seal_envelope(scene.chain.chain_id, *SUBMITTER, intake_of([9]).leaves, seed(*SUBMITTER)).raw
        scene.chain.order([raw])
        scene.chain.finalise()
        await until(lambda: scene.finality.believed and scene.finality.believed.size == 3)
        believed = await store.believed()
        assert believed is not None
        assert believed.size == 3
