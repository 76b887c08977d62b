"""Connections to nodes accept the pinned certificate and no other."""

from collections.abc import AsyncIterator

import grpc
import grpc.aio
import pytest
from gateway_chain import MemoryChain
from gateway_nodes import FakeNode, identity

from gateway.adapters.node_channel import NodeAddress, open_channel
from gateway.adapters.secret_files import TlsIdentity
from protos import read_pb2, read_pb2_grpc, submit_pb2_grpc

CLIENT = identity("gateway-1")


@pytest.fixture
async def node() -> AsyncIterator[FakeNode]:
    """A running node."""
    made = FakeNode("broker-1", MemoryChain(), CLIENT.cert_pem)
    await made.start()
    yield made
    await made.stop()


def address(node: FakeNode, cert_pem: bytes | None = None, node_id: str = "broker-1") -> NodeAddress:
    """Return where the node is, and the certificate expected of it."""
    return NodeAddress(
        node_id, f"127.0.0.1:{node.submit_port}", f"127.0.0.1:{node.read_port}", cert_pem or node.tls.cert_pem
    )


async def ask(place: NodeAddress) -> int:
    """Ask for a consistency proof and return its length."""
    async with open_channel(place, place.read, None) as channel:
        request = read_pb2.ConsistencyRequest(old_size=1, new_size=1)
        return len((await read_pb2_grpc.ReadStub(channel).Consistency(request, timeout=3)).path)


async def test_the_pinned_certificate_opens(node: FakeNode) -> None:
    """The node with its own certificate and name is spoken to."""
    assert await ask(address(node)) == 0


async def test_another_certificate_or_name_does_not(node: FakeNode) -> None:
    """A certificate of the same name but another key, and the right certificate under another node id."""
    for place in (address(node, identity("broker-1").cert_pem), address(node, node_id="market-1")):
        with pytest.raises(grpc.aio.AioRpcError):
            await ask(place)


async def test_the_submission_door_wants_our_certificate(node: FakeNode) -> None:
    """Without it, or with another, there is no stream; with it there is."""
    place = address(node)
    good = TlsIdentity(CLIENT.cert_pem, CLIENT.key_pem)
    stranger = identity("gateway-1")
    for tls, opens in (
        (good, True),
        (None, False),
        (TlsIdentity(stranger.cert_pem, stranger.key_pem), False),
    ):
        async with open_channel(place, place.submit, tls) as channel:
            if opens:
                assert await replies(channel) == 0
            else:
                with pytest.raises((grpc.RpcError, grpc.aio.BaseError)):
                    await replies(channel)


async def replies(channel: grpc.aio.Channel) -> int:
    """Open a submission stream, say nothing, and count the answers."""
    call = submit_pb2_grpc.SubmitStub(channel).Submit(timeout=3)
    await call.done_writing()
    return len([reply async for reply in call])
