"""A node's read door over real gRPC."""

from collections.abc import AsyncIterator

import pytest
from gateway_chain import MemoryChain
from gateway_nodes import FakeNode, identity
from ledger_world import SUBMITTER, envelope

from gateway.adapters.node_channel import NodeAddress
from gateway.adapters.read_client import GrpcReadDoor
from gateway.errors import LedgerUnreachableError
from ledger.proof import verify_consistency


@pytest.fixture
async def node() -> AsyncIterator[FakeNode]:
    """A running node with five records on its chain, final."""
    chain = MemoryChain()
    chain.order([envelope(chain.chain_id, 0, 5, SUBMITTER).raw])
    chain.finalise()
    made = FakeNode("broker-1", chain, identity("gateway-1").cert_pem)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def door(node: FakeNode) -> AsyncIterator[GrpcReadDoor]:
    """The node's read door."""
    made = GrpcReadDoor(NodeAddress("broker-1", "", f"127.0.0.1:{node.read_port}", node.tls.cert_pem))
    yield made
    await made.close()


async def test_every_question_is_answered(node: FakeNode, door: GrpcReadDoor) -> None:
    """Consistency, ranges, receipt and the newest note come as the chain has them."""
    chain = node.chain
    assert door.name == "broker-1"
    proof = await door.consistency(1, 7)
    verify_consistency(1, chain.root(1), 7, chain.root(7), proof)
    assert await door.ranges(7, [(1, 5), (3, 1)]) == [chain.range(1, 5, 7), chain.range(3, 1, 7)]
    assert await door.receipt(2, with_header=True) == chain.receipt(2, with_header=True)
    assert chain.final is not None
    notes = door.watch()
    assert await anext(notes) == chain.final[0]
    await notes.aclose()  # type: ignore[attr-defined]


async def test_watching_brings_every_newer_checkpoint(node: FakeNode, door: GrpcReadDoor) -> None:
    """A checkpoint that becomes final later comes on the same stream."""
    notes = door.watch()
    await anext(notes)
    node.chain.order([envelope(node.chain.chain_id, 10, 1, SUBMITTER).raw])
    newer = node.chain.finalise()
    assert await anext(notes) == newer
    await notes.aclose()  # type: ignore[attr-defined]


async def test_a_node_that_is_gone_is_unreachable(node: FakeNode, door: GrpcReadDoor) -> None:
    """Calls and streams alike, without anything of gRPC coming through."""
    await node.stop()
    with pytest.raises(LedgerUnreachableError, match="broker-1"):
        await door.consistency(1, 7)
    with pytest.raises(LedgerUnreachableError):
        await anext(door.watch())
    with pytest.raises(LedgerUnreachableError):
        await door.receipt(1, with_header=False)
