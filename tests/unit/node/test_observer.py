"""The observer over real connections: it accepts what is covered, leaves whoever lies, lags or dies, and
goes on.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import ledger_world as world
import pytest
import store_world
from core_world import Core, Known, Wire, parts_of

from node import following, observer, standing
from node.attest_net import Attestor
from node.bell import Bell
from node.config import Limits, Peer
from node.metrics import NodeMetrics
from node.observer import Observer
from node.ports import Role
from node.read_api import ReadApi, ReadDoor
from node.reader import Reader
from node.tls_certs import new_identity

TWO = ("broker-1", "market-1")


class Source:
    """A node with a read door."""

    def __init__(self, node_id: str) -> None:
        self.node_id = node_id
        self.core = Core(node_id)
        self.known = Known(self.core)
        bell = Bell()
        self.core.on_applied(lambda _: bell.ring())
        self.known.on_change(bell.ring)
        reader = Reader(self.core, lambda *_: None)
        api = ReadApi(self.core, reader, self.known, lambda: standing.take(self.core, self.known, None), bell)
        identity = new_identity(None, node_id, int(time.time()), 2)
        self.door = ReadDoor(api, identity, Limits(), "127.0.0.1:0")

    def apply(self, count: int, *, records: int = 3) -> None:
        """Apply made-up blocks, not yet signed."""
        self.core.apply(*store_world.bodies(count, records=records, first=self.core.applied_height))

    def cover(self, signers: tuple[str, ...] = TWO) -> None:
        """Let the newest block end be signed."""
        self.known.covered = self.known.sign(self.core.applied_height, signers)
        self.known.tell()


class World:
    """Sources, and an observer that follows them."""

    def __init__(self, folder: Path) -> None:
        self.sources = {node_id: Source(node_id) for node_id in ("broker-1", "market-1")}
        self.core = Core("regulator-1", role=Role.OBSERVER)
        self.folder = folder
        self.wire = Wire("regulator-1", *self.sources)
        self.node: Observer
        self.attestor: Attestor

    async def start(self, stack: AsyncExitStack, *names: str) -> None:
        """Open the doors and start following the named sources (all by default)."""
        peers = {}
        for node_id, source in self.sources.items():
            await source.door.start()
            stack.push_async_callback(source.door.stop)
            if not names or node_id in names:
                peers[node_id] = Peer(read=f"127.0.0.1:{source.door.port}")
        parts = parts_of(self.core, self.wire.ends["regulator-1"], self.folder)
        parts = replace(parts, config=replace(parts.config, peers=peers))
        metrics = NodeMetrics()
        self.attestor = Attestor(parts, metrics)
        await self.attestor.start()
        self.node = Observer(parts, self.attestor, metrics)
        for work in (self.attestor.run(), self.node.run()):
            task = asyncio.create_task(work)
            stack.push_async_callback(_end, task)

    async def until(self, true: Callable[[], bool], seconds: float = 10.0) -> None:
        """Wait until something is true."""
        async with asyncio.timeout(seconds):
            while not true():  # noqa: ASYNC110 - many different things are waited for
                await asyncio.sleep(0.005)

    def now(self) -> standing.Following:
        """How it follows."""
        found = self.node.following()
        assert found is not None
        return found


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    result = (await asyncio.gather(task, return_exceptions=True))[0]
    assert isinstance(result, asyncio.CancelledError), result


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[tuple[World, AsyncExitStack]]:
    """A world that ends with the test."""
    async with AsyncExitStack() as stack:
        yield World(tmp_path), stack


async def test_it_accepts_what_a_majority_of_voters_has_signed(made: tuple[World, AsyncExitStack]) -> None:
    """Blocks wait until they are covered, then they are stored, applied and signed, live too."""
    world_, stack = made
    source = world_.sources["broker-1"]
    source.apply(5)
    await world_.start(stack, "broker-1")
    await world_.until(lambda: world_.now().tail_blocks == 5)
    assert world_.core.applied_height == 0
    source.cover()
    await world_.until(lambda: world_.core.applied_height == 5)
    assert world_.core.root == source.core.root
    await world_.until(lambda: world_.core.mark is not None and world_.core.mark[0] == 5)
    source.apply(1)
    source.cover(("broker-1",))
    await world_.until(lambda: world_.now().tip_height == 6)
    await asyncio.sleep(0.05)
    assert world_.core.applied_height == 5
    source.apply(1)
    source.cover(("market-1", "auditor-1"))
    await world_.until(lambda: world_.core.applied_height == 7)


async def test_it_hears_the_signatures_too(made: tuple[World, AsyncExitStack]) -> None:
    """Together with its own they make the checkpoint final here: two voters and the regulator."""
    world_, stack = made
    source = world_.sources["broker-1"]
    source.apply(3)
    source.cover()
    await world_.start(stack, "broker-1")
    await world_.until(lambda: world_.attestor.final is not None)
    final = world_.attestor.final
    assert final is not None
    assert {seen.signer.institution for seen in final.signers} == {"BROKER", "MARKET", "REGULATOR"}


async def test_another_source_takes_over(made: tuple[World, AsyncExitStack]) -> None:
    """The source dies; the observer goes on with the next one, and serves what it has meanwhile."""
    world_, stack = made
    for source in world_.sources.values():
        source.apply(4)
        source.cover()
    await world_.start(stack)
    await world_.until(lambda: world_.core.applied_height == 4)
    first = world_.now().source
    other = next(node_id for node_id in world_.sources if node_id != first)
    await world_.sources[first].door.stop()
    assert Reader(world_.core, lambda *_: None).block(4).height == 4
    world_.sources[other].apply(2)
    world_.sources[other].cover()
    await world_.until(lambda: world_.core.applied_height == 6)
    assert world_.now().source == other
    assert world_.now().failures >= 1


async def test_a_lying_source_is_left(made: tuple[World, AsyncExitStack]) -> None:
    """Its blocks are not what the voters signed: nothing of it is stored, and the honest one is followed."""
    world_, stack = made
    liar, honest = world_.sources["broker-1"], world_.sources["market-1"]
    liar.apply(4, records=7)
    honest.apply(4)
    honest.cover()
    block = liar.core.pair.blocks[4]
    note = world.signed_note(world.genesis(), block.tree_size, bytes(32), TWO)
    liar.known.covered = replace(liar.known.sign(4, TWO), note=note)
    await world_.start(stack)
    await world_.until(lambda: world_.core.applied_height == 4)
    assert world_.core.root == honest.core.root
    assert world_.now().failures >= 1
    assert world_.now().source == "market-1"


async def test_it_catches_up_by_consistency(
    made: tuple[World, AsyncExitStack], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Far more blocks than may wait: the newest checkpoint and consistency proofs cover them piece by
    piece.
    """
    monkeypatch.setattr(observer, "COVER_BLOCKS", 8)
    monkeypatch.setattr(following, "TAIL_BLOCKS_MAX", 20)
    world_, stack = made
    source = world_.sources["broker-1"]
    source.apply(90)
    source.cover()
    await world_.start(stack, "broker-1")
    await world_.until(lambda: world_.core.applied_height == 90)
    assert world_.core.root == source.core.root
    assert world_.now().failures == 0


async def test_a_source_without_signatures_is_left_before_memory_fills(
    made: tuple[World, AsyncExitStack], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks that no majority has signed are bounded; nothing of them is stored."""
    monkeypatch.setattr(following, "TAIL_BLOCKS_MAX", 10)
    world_, stack = made
    source = world_.sources["broker-1"]
    source.apply(30)
    await world_.start(stack, "broker-1")
    await world_.until(lambda: world_.now().failures >= 2)
    assert world_.now().last_error in ("E_FOLLOW_UNCOVERED", "")
    assert world_.core.applied_height == 0


async def test_a_stalled_source_is_left(
    made: tuple[World, AsyncExitStack], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sends nothing although others sign more."""
    monkeypatch.setattr(observer, "STALL_S", 0.2)
    monkeypatch.setattr(observer, "READ_S", 0.05)
    world_, stack = made
    stuck, good = world_.sources["broker-1"], world_.sources["market-1"]
    good.apply(3)
    good.cover()
    await world_.start(stack)
    await world_.until(lambda: world_.core.applied_height == 3 or world_.now().source == "broker-1")
    raw = world.signed_note(world.genesis(), good.core.size, good.core.root, ("market-1",))
    world_.wire.ends["regulator-1"].deliver("market-1", raw)
    await world_.until(lambda: world_.core.applied_height == 3)
    assert stuck.core.applied_height == 0


async def test_only_an_observer_follows(made: tuple[World, AsyncExitStack]) -> None:
    """A voter, or a halted node, takes nothing from anybody."""
    world_, stack = made
    world_.core.role = Role.FOLLOWER
    source = world_.sources["broker-1"]
    source.apply(3)
    source.cover()
    await world_.start(stack)
    await asyncio.sleep(0.3)
    assert world_.core.applied_height == 0
    assert world_.node.following() is None
    world_.core.role = Role.OBSERVER
    await world_.until(lambda: world_.core.applied_height == 3)


async def test_nobody_there_is_said(made: tuple[World, AsyncExitStack]) -> None:
    """All sources down: not connected, with a code."""
    world_, stack = made
    await world_.start(stack)
    for source in world_.sources.values():
        await source.door.stop()
    await world_.until(lambda: world_.now().failures >= 2)
    assert not world_.now().connected
    assert world_.now().last_error == "E_FOLLOW_UNREACHABLE"
