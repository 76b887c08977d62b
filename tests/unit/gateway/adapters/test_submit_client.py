"""The way to the chain over real gRPC: leaders are found, lost answers are unknown, wrong answers are not believed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import ledger_world as world
import pytest
from gateway_chain import MemoryChain
from gateway_fakes import FakeTelemetry
from gateway_nodes import FakeNode, identity

from gateway.adapters.clock import SystemClock
from gateway.adapters.node_channel import NodeAddress
from gateway.adapters.secret_files import TlsIdentity
from gateway.adapters.submit_client import LeaderClient, NotLeaderError, outcome_of
from gateway.domain.anchoring import Committed, Known, LeafState, Refused, SlowDown, Unknown
from gateway.errors import UntrustedAnswerError
from protos import submit_pb2

CLIENT = identity("gateway-1")


@asynccontextmanager
async def cluster(*names: str, timeout_s: float = 5.0) -> AsyncIterator[tuple[LeaderClient, list[FakeNode]]]:
    """Run fake nodes over one chain and a client that knows them all."""
    chain = MemoryChain()
    nodes = [FakeNode(name, chain, CLIENT.cert_pem) for name in names]
    for node in nodes:
        await node.start()
    places = [NodeAddress(n.node_id, f"127.0.0.1:{n.submit_port}", "", n.tls.cert_pem) for n in nodes]
    places.append(NodeAddress("regulator-1", "", "", b""))  # an observer has no submission door
    client = LeaderClient(
        places,
        TlsIdentity(CLIENT.cert_pem, CLIENT.key_pem),
        clock=SystemClock(),
        telemetry=FakeTelemetry(),
        reply_timeout_s=timeout_s,
    )
    try:
        yield client, nodes
    finally:
        await client.close()
        for node in nodes:
            await node.stop()


def envelope(node: FakeNode, first: int, count: int = 2) -> bytes:
    """Return a sealed envelope for the nodes' chain."""
    return world.envelope(node.chain.chain_id, first, count).raw


async def test_an_envelope_is_committed_and_known_again() -> None:
    """First Committed, then Known with the same places: repeating is safe."""
    async with cluster("broker-1") as (client, (node,)):
        first = await client.submit(envelope(node, 0))
        assert isinstance(first, Committed)
        again = await client.submit(envelope(node, 0))
        assert isinstance(again, Known)
        assert [leaf.index for leaf in again.leaves] == [first.first_index, first.first_index + 1]
        assert client.leader == "broker-1"


async def test_many_envelopes_share_a_stream() -> None:
    """Answers come back by id, whatever their order."""
    async with cluster("broker-1") as (client, (node,)):
        outcomes = await asyncio.gather(*[client.submit(envelope(node, 10 * n)) for n in range(8)])
        assert {type(outcome) for outcome in outcomes} == {Committed}
        assert len({outcome.first_index for outcome in outcomes if isinstance(outcome, Committed)}) == 8


async def test_the_leader_is_found_by_its_hint() -> None:
    """A follower names the leader; the envelope goes there without a pause."""
    async with cluster("broker-1", "market-1", "auditor-1") as (client, nodes):
        nodes[0].leader, nodes[0].hint = False, "auditor-1"
        nodes[1].leader = False
        assert isinstance(await client.submit(envelope(nodes[0], 0)), Committed)
        assert client.leader == "auditor-1"
        assert nodes[1].submissions == []


async def test_an_election_is_waited_for() -> None:
    """While nobody leads the envelope waits; it goes on as soon as somebody does."""
    async with cluster("broker-1", "market-1") as (client, nodes):
        for node in nodes:
            node.leader = False
        waiting = asyncio.create_task(client.submit(envelope(nodes[0], 0)))
        await asyncio.sleep(0.5)
        assert not waiting.done()
        nodes[1].leader = True
        async with asyncio.timeout(2):
            assert isinstance(await waiting, Committed)


async def test_a_dead_leader_is_left_within_moments() -> None:
    """The next node is asked when the leader's port is closed; a try that reaches nobody is no failure."""
    async with cluster("broker-1", "market-1") as (client, nodes):
        assert isinstance(await client.submit(envelope(nodes[0], 0)), Committed)
        await nodes[0].stop()
        async with asyncio.timeout(4):
            outcome = await client.submit(envelope(nodes[0], 10))
            if isinstance(outcome, Unknown):  # the stream's end was noticed while writing
                outcome = await client.submit(envelope(nodes[0], 10))
        assert isinstance(outcome, Committed)
        assert client.leader == "market-1"


async def test_nobody_there_is_waited_for() -> None:
    """With every node down the envelope waits; it is committed when one comes back on its port."""
    async with cluster("broker-1") as (client, (node,)):
        await node.stop()
        waiting = asyncio.create_task(client.submit(envelope(node, 0)))
        await asyncio.sleep(0.4)
        assert not waiting.done()
        await node.start()
        async with asyncio.timeout(8):
            outcome = await waiting
        assert isinstance(outcome, (Committed, Unknown))


@pytest.mark.parametrize("behaviour", ["drop", "order-drop", "silent", "garbage"])
async def test_no_usable_answer_is_unknown(behaviour: str) -> None:
    """A broken stream, silence and nonsense all mean: nobody can say. The next try settles it."""
    async with cluster("broker-1", timeout_s=0.4) as (client, (node,)):
        node.script.append(behaviour)
        assert await client.submit(envelope(node, 0)) == Unknown()
        async with asyncio.timeout(5):
            outcome = await client.submit(envelope(node, 0))
        assert isinstance(outcome, Known if behaviour == "order-drop" else Committed)


async def test_the_other_answers_pass_through() -> None:
    """Slow down, refused and unknown are the anchoring loop's business."""
    async with cluster("broker-1") as (client, (node,)):
        node.script.extend(["slow", "refuse", "unknown", "in-flight"])
        assert await client.submit(envelope(node, 0)) == SlowDown(0.03)
        assert await client.submit(envelope(node, 0)) == Refused("E_TEST_REFUSED", "scripted")
        assert await client.submit(envelope(node, 0)) == Unknown()
        known = await client.submit(envelope(node, 0))
        assert isinstance(known, Known)
        assert {leaf.state for leaf in known.leaves} == {LeafState.IN_FLIGHT}


async def test_others_on_a_broken_stream_become_unknown_too() -> None:
    """When a stream ends, nobody is left waiting for an answer on it."""
    async with cluster("broker-1") as (client, (node,)):
        node.delay_s = 0.05
        node.script.extend(["", "drop"])
        jobs = [client.submit(envelope(node, 10 * n)) for n in range(3)]
        async with asyncio.timeout(5):
            outcomes = await asyncio.gather(*jobs)
        assert [type(outcome) for outcome in outcomes] == [Committed, Unknown, Unknown]


def _reply(fill: Callable[[submit_pb2.SubmitReply], object]) -> submit_pb2.SubmitReply:
    reply = submit_pb2.SubmitReply(id=1)
    fill(reply)
    return reply


def test_replies_are_read_strictly() -> None:
    """No outcome and unknown leaf states are refused; NotLeader is raised with its hint; codes are bounded."""
    with pytest.raises(UntrustedAnswerError):
        outcome_of(submit_pb2.SubmitReply(id=1))
    with pytest.raises(UntrustedAnswerError):
        outcome_of(_reply(lambda r: r.known.leaves.add(state=submit_pb2.LEAF_STATE_UNSPECIFIED)))
    with pytest.raises(NotLeaderError, match="market-1"):
        outcome_of(submit_pb2.SubmitReply(id=1, not_leader=submit_pb2.NotLeader(leader="market-1")))
    for code, kept in (
        ("E_GOOD_1", True),
        ("bad code", False),
        ("E_" + "X" * 100, False),
        ("E_é", False),
        ("", False),
    ):
        refused = outcome_of(
            submit_pb2.SubmitReply(id=1, refused=submit_pb2.Refused(code=code, message="m" * 999))
        )
        assert isinstance(refused, Refused)
        assert refused.code == (code if kept else "E_REFUSED")
        assert len(refused.message) <= 256
    slow = outcome_of(
        submit_pb2.SubmitReply(id=1, slow_down=submit_pb2.SlowDown(retry_after_ms=4_000_000_000))
    )
    assert slow == SlowDown(60.0)
