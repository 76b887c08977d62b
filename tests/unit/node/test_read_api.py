"""The public gRPC door, asked over a real connection: answers verify, refusals have codes, streams rise."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import grpc
import grpc.aio
import ledger_world as world
import pytest
import store_world
from core_world import Core, Known

from ledger.algorithms import SIG_ED25519
from ledger.governance_policy import policy_text
from ledger.governance_proposal import RotateKey
from ledger.merkle import leaf_hash
from ledger.proof import RangeProof, verify_consistency, verify_inclusion, verify_range
from ledger.receipt import verify_receipt
from ledger.trust import parse_trust
from node import answers, read_api, standing
from node.bell import Bell
from node.config import Limits
from node.doors import channel_credentials, channel_options
from node.read_api import ReadApi, ReadDoor
from node.reader import Reader
from node.tls_certs import new_identity, pem_to_der
from protos import read_pb2 as pb
from protos.read_pb2_grpc import ReadStub


class Door:
    """A listener over a core, and a stub that calls it."""

    def __init__(self) -> None:
        self.core = Core()
        for body in store_world.bodies(12, records=20):
            self.core.apply(body)
        self.known = Known(self.core)
        self.known.finalize(10)
        self.bell = Bell()
        self.core.on_applied(lambda _: self.bell.ring())
        self.known.on_change(self.bell.ring)
        reader = Reader(self.core, lambda *_: None)
        status = lambda: standing.take(self.core, self.known, None)  # noqa: E731
        self.identity = new_identity(None, "broker-1", int(time.time()), 2)
        self.api = ReadApi(self.core, reader, self.known, status, self.bell)
        self.door = ReadDoor(self.api, self.identity, Limits(), "127.0.0.1:0")

    async def start(self) -> None:
        """Listen and connect."""
        await self.door.start()
        self.channel = another(self)
        self.stub = ReadStub(self.channel)

    async def stop(self) -> None:
        """End everything."""
        await self.channel.close()
        await self.door.stop()


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    """A running door over twelve blocks of which ten are final."""
    made = Door()
    await made.start()
    yield made
    await made.stop()


async def refused(call: Awaitable[object], status: grpc.StatusCode, code: str) -> None:
    """The call fails with this status and stable code."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() is status
    assert (caught.value.details() or "").startswith(f"{code}: ")


async def message(call: Any) -> Any:
    """The next message of a stream, which has not ended."""
    read = await call.read()
    assert read is not grpc.aio.EOF
    return read


async def drained(call: "grpc.aio.UnaryStreamCall[pb.FollowRequest, pb.FollowReply]") -> None:
    """Read a stream to its end."""
    while await call.read() is not grpc.aio.EOF:
        pass


def another(door: Door) -> grpc.aio.Channel:
    """A connection of its own."""
    return grpc.aio.secure_channel(
        f"127.0.0.1:{door.door.port}",
        channel_credentials([pem_to_der(door.identity.cert_pem)], None),
        options=channel_options(8 << 20, "broker-1"),
    )


async def test_status_and_checkpoint(door: Door) -> None:
    """What the node knows of itself; the final note."""
    status = await door.stub.Status(pb.StatusRequest())
    assert (status.applied_height, status.final_height, status.tree_size) == (12, 10, door.core.size)
    assert status.root == door.core.root
    assert [row.institution for row in status.cosigners] == ["BROKER", "MARKET", "AUDITOR"]
    checkpoint = await door.stub.Checkpoint(pb.CheckpointRequest())
    assert door.known.final is not None
    assert (checkpoint.note, checkpoint.height) == (door.known.final.note, 10)
    door.known.final = None
    await refused(door.stub.Checkpoint(pb.CheckpointRequest()), grpc.StatusCode.NOT_FOUND, "E_READ_NOT_FOUND")


async def test_a_covering_checkpoint_follows_the_eras(door: Door) -> None:
    """In the open era the newest with a majority of voters; in a closed one its last; nothing below the
    height.
    """
    door.known.covered = door.known.sign(12, ("broker-1", "market-1"))
    reply = await door.stub.Checkpoint(pb.CheckpointRequest(covering_height=11))
    assert reply.height == 12
    await refused(
        door.stub.Checkpoint(pb.CheckpointRequest(covering_height=13)),
        grpc.StatusCode.NOT_FOUND,
        "E_READ_NOT_FOUND",
    )
    door.known.era_notes[5] = door.known.sign(5, ("broker-1", "market-1", "auditor-1")).note
    for height, end in ((0, 5), (5, 5), (6, 12)):
        assert (await door.stub.Checkpoint(pb.CheckpointRequest(covering_height=height))).height == end


async def test_proofs_and_receipts_verify(door: Door) -> None:
    """Whoever receives one can check it."""
    core, stub = door.core, door.stub
    hashes = [leaf for block in core.pair.blocks for leaf in block.leaf_hashes]
    inclusion = await stub.Inclusion(pb.InclusionRequest(index=30, size=core.size))
    verify_inclusion(leaf_hash(inclusion.leaf), 30, core.size, tuple(inclusion.path), core.root)
    path = (
        await stub.Consistency(
            pb.ConsistencyRequest(old_size=core.pair.blocks[2].tree_size, new_size=core.size)
        )
    ).path
    verify_consistency(
        core.pair.blocks[2].tree_size, core.pair.blocks[2].root, core.size, core.root, tuple(path)
    )
    wanted = [pb.LeafRange(start=5, count=40), pb.LeafRange(start=0, count=1)]
    proofs = (await stub.Ranges(pb.RangesRequest(size=core.size, ranges=wanted))).proofs
    for one, proof in zip(wanted, proofs, strict=True):
        ranged = RangeProof(tuple(proof.left), tuple(proof.right))
        verify_range(hashes[one.start : one.start + one.count], one.start, core.size, ranged, core.root)
    block = core.pair.blocks[2]
    commitment = world.records(20, 1)[0].commitment
    text = policy_text(world.genesis())
    trust = parse_trust(text)
    for request in (
        pb.ReceiptRequest(index=block.first_index, with_header=True),
        pb.ReceiptRequest(commitment=commitment, with_header=True),
    ):
        receipt = (await stub.Receipt(request)).receipt
        assert verify_receipt(receipt, trust, commitment).block == block.header
    found = await stub.Find(pb.FindRequest(commitment=commitment))
    assert [(one.height, one.index) for one in found.positions] == [(2, block.first_index)]
    reply = await stub.Block(pb.BlockRequest(height=2))
    assert (reply.body, reply.header_leaf) == (block.body.raw, block.header_leaf)


async def test_refusals_have_codes(door: Door) -> None:
    """Each kind of impossible question, and too large a request."""
    stub, status = door.stub, grpc.StatusCode
    size = door.core.size
    await refused(stub.Block(pb.BlockRequest(height=99)), status.NOT_FOUND, "E_READ_NOT_FOUND")
    await refused(
        stub.Inclusion(pb.InclusionRequest(index=size, size=size)), status.NOT_FOUND, "E_READ_NOT_FOUND"
    )
    await refused(stub.Find(pb.FindRequest(commitment=b"x")), status.INVALID_ARGUMENT, "E_READ_COMMITMENT")
    await refused(stub.Receipt(pb.ReceiptRequest()), status.INVALID_ARGUMENT, "E_READ_TARGET")
    await refused(
        stub.Receipt(pb.ReceiptRequest(index=size - 2)), status.FAILED_PRECONDITION, "E_READ_NOT_FINAL"
    )
    many = [pb.LeafRange(start=0, count=1)] * 1_000
    await refused(
        stub.Ranges(pb.RangesRequest(size=size, ranges=many)), status.INVALID_ARGUMENT, "E_READ_LIMIT"
    )
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Find(pb.FindRequest(commitment=b"x" * 100_000))
    assert caught.value.code() is status.RESOURCE_EXHAUSTED


async def test_final_checkpoints_are_watched(door: Door) -> None:
    """The newest now, then each newer one; the same size is not sent twice."""
    call = door.stub.WatchFinal(pb.WatchFinalRequest())
    assert (await message(call)).height == 10
    door.known.tell()
    door.known.finalize(11)
    assert (await message(call)).height == 11
    door.core.apply(*store_world.bodies(2, first=12))
    door.known.finalize(14)
    assert (await message(call)).height == 14
    call.cancel()


async def test_the_chain_is_followed_live(door: Door) -> None:
    """All blocks from a height, the newest checkpoint, then what comes."""
    call = door.stub.Follow(pb.FollowRequest(from_height=3))
    for height in range(3, 13):
        reply = await message(call)
        assert reply.WhichOneof("item") == "block"
        assert (reply.block.height, reply.block.body) == (height, door.core.pair.blocks[height].body.raw)
    assert door.known.final is not None
    assert (await message(call)).checkpoint == door.known.final.note
    door.core.apply(*store_world.bodies(1, first=12))
    assert (await message(call)).block.height == 13
    door.known.covered = door.known.sign(13, ("broker-1", "market-1"))
    door.known.tell()
    assert (await message(call)).checkpoint == door.known.covered.note
    door.known.finalize(13)
    assert (await message(call)).checkpoint == door.known.final.note
    call.cancel()
    await refused(
        door.stub.Follow(pb.FollowRequest(from_height=99)).read(),
        grpc.StatusCode.NOT_FOUND,
        "E_READ_NOT_FOUND",
    )


async def test_bytes_that_are_no_question_are_refused(door: Door) -> None:
    """For every method: a code, and no word of our inside."""
    for method in door.api.handlers():
        call: Any = door.channel.unary_unary(f"/{read_api.SERVICE}/{method}")
        await refused(call(b"\xff" * 30), grpc.StatusCode.INVALID_ARGUMENT, "E_WIRE_FRAME")


async def test_the_service_is_the_one_that_the_stubs_know(door: Door) -> None:
    """Every method of the protocol file has its handler, and none is invented."""
    assert set(door.api.handlers()) == set(pb.DESCRIPTOR.services_by_name["Read"].methods_by_name)


async def test_a_reader_that_takes_nothing_is_dropped(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connection ends, since nothing else gives back what waits for it; others are served meanwhile."""
    monkeypatch.setattr(answers, "SEND_MAX_S", 0.2)
    for number in range(12, 60, 3):
        door.core.apply(world.envelopes_body(world.genesis().chain_id, (number * 5_000, 5_000), ms=100))
    async with another(door) as channel:
        call = ReadStub(channel).Follow(pb.FollowRequest(from_height=0))
        await call.read()
        async with asyncio.timeout(10):
            while door.api.streams:  # noqa: ASYNC110 - the server notices on its own time
                await asyncio.sleep(0.05)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await drained(call)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert (await door.stub.Status(pb.StatusRequest())).applied_height > 12


async def test_a_rotation_does_not_confuse_the_covering_checkpoint(door: Door) -> None:
    """A closed era whose note this node has not got is refused, not answered with another era's."""
    action = RotateKey(
        "market-1", "cosigner", "cosigner-2", SIG_ED25519, world.public("market-1", "cosigner-2")
    )
    door.core.apply(world.governance_body(door.core.governance, action, ms=99))
    door.known.era_note = lambda height: (13, None) if height <= 13 else None  # type: ignore[method-assign]
    request = pb.CheckpointRequest(covering_height=11)
    await refused(door.stub.Checkpoint(request), grpc.StatusCode.NOT_FOUND, "E_READ_NOT_FOUND")
