"""The attestor: marks before signatures, notes between nodes, finality, contradictions, restarts."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import ledger_world as world
import pytest
import store_world
from core_world import Core, Wire, keys_of, parts_of

from ledger.algorithms import SIG_ED25519
from ledger.errors import DerivedDamagedError
from ledger.governance_policy import policy_text
from ledger.governance_proposal import RotateKey
from ledger.keyspace import derived_edge
from ledger.note import open_note, parse_note
from ledger.policy import parse_policy, satisfied
from ledger.store_derived import DerivedStore
from ledger.store_prepare import CONDEMNED
from node import attest_net, convictions, notes
from node.attest_net import Attestor
from node.metrics import NodeMetrics
from node.ports import Role

VOTERS = ("broker-1", "market-1", "auditor-1")


class Net:
    """Attestors over one wire, each on stores of its own that receive the same blocks."""

    def __init__(self, folder: Path, node_ids: tuple[str, ...], **attest: int) -> None:
        self.wire = Wire(*node_ids)
        self.cores = {node_id: Core(node_id) for node_id in node_ids}
        self.folder = folder
        self.attest = attest
        self.nodes: dict[str, Attestor] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def start(self, node_id: str) -> Attestor:
        """Start one attestor, on the stores it had before if it ran before."""
        core = self.cores[node_id]
        core.callbacks.clear()
        channel = self.wire.ends[node_id]
        channel.notes.clear()
        channel.news.clear()
        node = Attestor(parts_of(core, channel, self.folder / node_id, None, **self.attest), NodeMetrics())
        await node.start()
        self.nodes[node_id] = node
        self.tasks[node_id] = asyncio.create_task(node.run())
        return node

    async def stop(self, node_id: str) -> None:
        """End one attestor."""
        self.tasks[node_id].cancel()
        await asyncio.gather(self.tasks.pop(node_id), return_exceptions=True)

    def apply(self, number: int, *node_ids: str) -> None:
        """Let nodes (all by default) apply made-up body `number`."""
        (body,) = store_world.bodies(1, first=number)
        for node_id in node_ids or tuple(self.cores):
            self.cores[node_id].apply(body)


async def until(true: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait until something is true; a dead attestor shows as a time-out."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 - many different things are waited for
            await asyncio.sleep(0.001)


@asynccontextmanager
async def net(folder: Path, *node_ids: str, **attest: int) -> AsyncIterator[Net]:
    """A running network of attestors."""
    made = Net(folder, node_ids, **attest)
    for node_id in node_ids:
        await made.start(node_id)
    try:
        yield made
        for task in made.tasks.values():
            assert not task.done(), task
    finally:
        for node_id in list(made.tasks):
            await made.stop(node_id)


def final_heights(made: Net) -> dict[str, int]:
    """Newest final height of every node."""
    return {node_id: node.final.point.height if node.final else -1 for node_id, node in made.nodes.items()}


async def test_a_lone_block_becomes_final_everywhere_at_once(tmp_path: Path) -> None:
    """Three voters of three institutions, quorum 3: a few milliseconds after the block was applied."""
    async with net(tmp_path, *VOTERS) as made:
        await until(lambda: set(final_heights(made).values()) == {0})
        loop = asyncio.get_running_loop()
        started = loop.time()
        made.apply(0)
        await until(lambda: set(final_heights(made).values()) == {1})
        assert loop.time() - started < 0.2
        final = made.nodes["market-1"].final
        assert final is not None
        core = made.cores["market-1"]
        assert (final.point.size, final.point.root) == (core.size, core.root)
        assert core.derived_store.note("final") == final.note


async def test_the_final_note_satisfies_the_chains_own_policy(tmp_path: Path) -> None:
    """A standard verifier with the rendered policy accepts it."""
    async with net(tmp_path, *VOTERS) as made:
        made.apply(0)
        await until(lambda: set(final_heights(made).values()) == {1})
        final = made.nodes["broker-1"].final
        assert final is not None
        text = policy_text(world.genesis())
        policy = parse_policy(text)
        opened = open_note(parse_note(final.note), policy.keys())
        assert satisfied(policy, [row.key.name for row in opened.verified if row.time_s is not None])
        assert any(row.time_s is None for row in opened.verified)


async def test_the_mark_is_durable_before_anything_is_sent(tmp_path: Path) -> None:
    """While the disk has not answered, no note leaves."""
    made = Net(tmp_path, VOTERS)
    made.cores["broker-1"].write_s = 0.2
    node = await made.start("broker-1")
    await asyncio.sleep(0.1)
    assert made.wire.sent == []
    assert made.cores["broker-1"].marks == []
    await until(lambda: bool(made.wire.sent))
    assert made.cores["broker-1"].mark == (0, 1, made.cores["broker-1"].root)
    assert node.seen()[0].size == 1
    await made.stop("broker-1")


async def test_many_blocks_at_once_are_one_mark_and_few_notes(tmp_path: Path) -> None:
    """A group of 40 blocks: one mark, a handful of notes, final at the newest."""
    async with net(tmp_path, *VOTERS) as made:
        await until(lambda: set(final_heights(made).values()) == {0})
        marks = len(made.cores["broker-1"].marks)
        made.wire.sent.clear()
        for core in made.cores.values():
            core.apply(*store_world.bodies(40))
        await until(lambda: set(final_heights(made).values()) == {40})
        assert len(made.cores["broker-1"].marks) == marks + 1
        assert sum(sender == "broker-1" for sender, _, _ in made.wire.sent) <= 8


async def test_waiting_and_halted_nodes_sign_nothing_but_see_finality(tmp_path: Path) -> None:
    """The fourth node, waiting: it collects what the others sign."""
    made = Net(tmp_path, (*VOTERS, "regulator-1"))
    made.cores["regulator-1"].role = Role.WAITING
    for node_id in made.cores:
        await made.start(node_id)
    made.apply(0)
    await until(lambda: set(final_heights(made).values()) == {1})
    assert made.cores["regulator-1"].marks == []
    made.cores["regulator-1"].role = Role.OBSERVER
    await until(lambda: made.cores["regulator-1"].mark is not None)
    for node_id in list(made.tasks):
        await made.stop(node_id)


async def test_lost_notes_are_sent_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block whose notes were all lost becomes final when the wire is whole again, without a new block."""
    monkeypatch.setattr(attest_net, "RESEND_S", 0.05)
    async with net(tmp_path, *VOTERS) as made:
        await until(lambda: set(final_heights(made).values()) == {0})
        made.wire.cut = {(a, b) for a in VOTERS for b in VOTERS}
        made.apply(0)
        await asyncio.sleep(0.1)
        assert set(final_heights(made).values()) == {0}
        made.wire.cut.clear()
        await until(lambda: set(final_heights(made).values()) == {1})


async def test_a_pair_that_cannot_reach_each_other_learns_finality_from_a_third(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The final note is passed on."""
    monkeypatch.setattr(attest_net, "RESEND_S", 0.05)
    async with net(tmp_path, *VOTERS) as made:
        made.wire.cut = {("market-1", "auditor-1"), ("auditor-1", "market-1")}
        made.apply(0)
        await until(lambda: set(final_heights(made).values()) == {1})


async def test_a_peer_that_comes_is_told_what_it_missed(tmp_path: Path) -> None:
    """`on_peer`: the final note and the newest own ones go to it."""
    async with net(tmp_path, *VOTERS) as made:
        made.apply(0)
        await until(lambda: set(final_heights(made).values()) == {1})
        made.wire.sent.clear()
        made.wire.ends["broker-1"].meet("market-1")
        assert [(sender, receiver) for sender, receiver, _ in made.wire.sent][:2] == [
            ("broker-1", "market-1")
        ] * 2


async def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    """Mark, finality and convictions come back; nothing is signed twice but the mark's own size."""
    async with net(tmp_path, *VOTERS) as made:
        made.apply(0)
        await until(lambda: set(final_heights(made).values()) == {1})
        marks = list(made.cores["broker-1"].marks)
        await made.stop("broker-1")
        made.wire.cut = {(a, "broker-1") for a in VOTERS}
        node = await made.start("broker-1")
        assert node.final is not None
        assert node.final.point.height == 1
        await until(lambda: bool(node.seen()) and len(node.seen()) == 3)
        assert made.cores["broker-1"].marks == marks
        made.wire.cut.clear()
        made.apply(1)
        await until(lambda: set(final_heights(made).values()) == {2})


async def test_a_governance_block_is_signed_with_the_old_keys_until_it_is_final(tmp_path: Path) -> None:
    """While the quorum is not there, nobody signs beyond it; then the era's note is kept and the new key
    signs.
    """
    made = Net(tmp_path, VOTERS)
    old = {node_id: keys_of(node_id) for node_id in VOTERS}
    both = old["market-1"].signing + keys_of("market-1", 2).signing[2:]
    for node_id in ("broker-1", "auditor-1"):
        await made.start(node_id)
    public = world.public("market-1", "cosigner-2")
    action = RotateKey("market-1", "cosigner", "cosigner-2", SIG_ED25519, public)
    governance = world.governance_body(made.cores["broker-1"].governance, action)
    for core in made.cores.values():
        core.apply(governance)
        core.apply(world.empty_body(ms=5))
    await asyncio.sleep(0.1)
    assert made.cores["broker-1"].mark is not None
    assert made.cores["broker-1"].mark[0] == 1
    assert made.nodes["broker-1"].era_note(1) == (1, None)
    core = made.cores["market-1"]
    parts = parts_of(
        core,
        made.wire.ends["market-1"],
        tmp_path / "market-1",
        type(old["market-1"])(both, old["market-1"].tls),
    )
    node = Attestor(parts, NodeMetrics())
    await node.start()
    made.nodes["market-1"] = node
    made.tasks["market-1"] = asyncio.create_task(node.run())
    await until(lambda: set(final_heights(made).values()) == {2})
    for node_id in VOTERS:
        end, note = made.nodes[node_id].era_note(1) or (0, None)
        assert end == 1
        assert note is not None
        assert notes.parse(note, core.chain_id).size == made.cores[node_id].pair.blocks[1].tree_size
        assert made.nodes[node_id].era_note(2) is None
    final = made.nodes["broker-1"].final
    assert final is not None
    assert public in {seen.signer.public for seen in final.signers}
    for node_id in list(made.tasks):
        await made.stop(node_id)


async def test_a_double_signer_is_convicted_for_good(tmp_path: Path) -> None:
    """The evidence file is written, the name shows, the key counts no more, also after a restart."""
    async with net(tmp_path, "broker-1", "auditor-1") as made:
        made.apply(0)
        core = made.cores["broker-1"]
        await until(lambda: core.mark is not None and core.mark[0] == 1)
        state = world.genesis()
        size = core.size
        for root in (core.root, bytes(32)):
            made.wire.ends["broker-1"].deliver(
                "market-1", world.signed_note(state, size, root, ("market-1",))
            )
        await until(lambda: bool(core.evidence))
        ((subject, words, proof),) = core.evidence
        assert subject == "market-1"
        assert "contradict" in words
        assert convictions.verify(proof, core.chain_id).name == "MARKET/market-1"
        assert made.nodes["broker-1"].convicted == ("MARKET/market-1",)
        assert core.halts == []
        await made.stop("broker-1")
        folder = tmp_path / "broker-1" / "evidence"
        folder.mkdir(parents=True)
        (folder / "one.bin").write_bytes(proof)
        node = await made.start("broker-1")
        assert node.convicted == ("MARKET/market-1",)
        made.wire.ends["broker-1"].deliver(
            "market-1", world.signed_note(state, size, core.root, ("market-1",))
        )
        made.wire.ends["auditor-1"].deliver(
            "market-1", world.signed_note(state, size, core.root, ("market-1",))
        )
        await until(lambda: final_heights(made)["auditor-1"] == 1)
        await asyncio.sleep(0.05)
        assert final_heights(made)["broker-1"] == -1


async def test_a_node_on_the_wrong_chain_halts_itself(tmp_path: Path) -> None:
    """A quorum's signatures on another root, or its own on one it does not hold: halted with the note as
    evidence.
    """
    state = world.genesis()
    for signers in (("market-1", "auditor-1", "regulator-1"), ("broker-1",)):
        async with net(tmp_path, "broker-1") as made:
            core = made.cores["broker-1"]
            made.apply(0)
            await until(lambda core=core: core.mark is not None and core.mark[0] == 1)  # type: ignore[misc]
            raw = world.signed_note(state, core.size, bytes(32), signers)
            made.wire.ends["broker-1"].deliver("market-1", raw)
            await until(lambda core=core: bool(core.halts))  # type: ignore[misc]
            assert core.halts[0][1] == raw
            marks = len(core.marks)
            made.apply(1)
            await asyncio.sleep(0.05)
            assert len(core.marks) == marks


async def test_an_idle_chain_is_signed_again(tmp_path: Path) -> None:
    """After `resign_s` the same size, a newer time, no new mark."""
    async with net(tmp_path, *VOTERS, resign_s=1) as made:
        await until(lambda: set(final_heights(made).values()) == {0})
        marks = len(made.cores["broker-1"].marks)
        first = {seen.signer.name: seen.time_s for seen in made.nodes["market-1"].seen()}
        await until(
            lambda: all(seen.time_s > first[seen.signer.name] for seen in made.nodes["market-1"].seen()),
            seconds=4.0,
        )
        assert len(made.cores["broker-1"].marks) == marks


async def test_a_root_that_the_tiles_do_not_lead_to_is_never_signed(tmp_path: Path) -> None:
    """A flipped bit in what was derived: the attestor ends, and the next start makes the derived store
    anew.
    """
    (tmp_path / "broker-1" / "derived").mkdir(parents=True)
    made = Net(tmp_path, ("broker-1",))
    core = made.cores["broker-1"]
    core.apply(*store_world.bodies(2, records=300))
    node = Attestor(parts_of(core, made.wire.ends["broker-1"], tmp_path / "broker-1", None), NodeMetrics())
    await node.start()
    edge = core.pair.derived_kv.get(derived_edge(0))
    assert edge is not None
    core.pair.derived_kv.write([(derived_edge(0), bytes([edge[0] ^ 1]) + edge[1:])], sync=False)
    core.pair.derived = DerivedStore.attach(core.pair.derived_kv, core.pair.chain)  # nothing in memory
    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.timeout(5):
            await node.run()
    assert caught.group_contains(DerivedDamagedError)
    assert made.wire.sent == []
    assert (tmp_path / "broker-1" / "derived" / CONDEMNED).exists()


async def test_rubbish_is_counted_and_changes_nothing(tmp_path: Path) -> None:
    """Notes that cannot be read do not stop anything."""
    async with net(tmp_path, *VOTERS) as made:
        for _ in range(1_000):
            made.wire.ends["broker-1"].deliver("market-1", b"rubbish")
        made.apply(0)
        await until(lambda: set(final_heights(made).values()) == {1})


async def test_changes_are_told(tmp_path: Path) -> None:
    """Whoever listens hears of finality."""
    rung: list[int] = []
    async with net(tmp_path, *VOTERS) as made:
        made.nodes["broker-1"].on_change(lambda: rung.append(1))
        made.apply(0)
        await until(lambda: set(final_heights(made).values()) == {1})
        assert rung
