"""The submission door: answers name their requests, in any order, and limits hold.

Strangers and bad envelopes are in tests/integration/node/test_refusals.py.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest
from node_cluster import free_port_base

from node import submit_api
from node.config import Limits
from node.desk import Desk
from node.doors import channel_credentials, channel_options
from node.effects import (
    Committed,
    Known,
    LeafState,
    LeafStatus,
    NotLeader,
    Outcome,
    OutcomeUnknown,
    Refused,
    SlowDown,
)
from node.ports import NodeStats
from node.refusals import Refusals
from node.submit_api import SubmitDoor, reply_from
from node.tls_certs import new_identity, pem_to_der
from protos import submit_pb2 as pb
from protos.submit_pb2_grpc import SubmitStub

NOW_S = int(time.time())
SERVER = new_identity(None, "broker-1", NOW_S, 1)
GATEWAY = new_identity(None, "gateway-1", NOW_S, 1)
OWNED = ("BROKER", "gateway-1")
DONE = Committed(5, 6, 7)


class FakeNode:
    """Stands for runtime and view: a desk that the test answers."""

    def __init__(self) -> None:
        self.desk = Desk(100, 5)
        self.ordering = self
        self.woken = 0
        self.submitters = {OWNED: pem_to_der(GATEWAY.cert_pem)}

    def wake(self) -> None:
        """Count."""
        self.woken += 1

    async def handed(self, count: int) -> list[Any]:
        """What was left at the desk, once it is so much."""
        got: list[Any] = []
        async with asyncio.timeout(5):
            while len(got) < count:
                got += self.desk.take(1 << 20)
                await asyncio.sleep(0.005)
        return got


@pytest.fixture
async def node() -> AsyncIterator[tuple[FakeNode, str, NodeStats]]:
    """An open door: the node behind it, its address, its statistics."""
    fake, stats = FakeNode(), NodeStats()
    limits = Limits(submit_streams_max=2, submit_waiting_max=3)
    refusals = Refusals(stats, time.monotonic)
    door = SubmitDoor(fake, fake, SERVER, refusals, limits)  # type: ignore[arg-type]
    address = f"127.0.0.1:{free_port_base(1)}"
    await door.start(address)
    yield fake, address, stats
    await door.stop(0)


def _channel(address: str) -> grpc.aio.Channel:
    return grpc.aio.secure_channel(
        address,
        channel_credentials([pem_to_der(SERVER.cert_pem)], GATEWAY),
        options=channel_options(1 << 20, "broker-1"),
    )


async def _next(call: Any) -> pb.SubmitReply:
    async with asyncio.timeout(5):
        reply = await call.read()
    assert isinstance(reply, pb.SubmitReply)
    return reply


async def test_answers_come_in_any_order_and_name_their_request(
    node: tuple[FakeNode, str, NodeStats],
) -> None:
    """Envelopes are handed on as they came, with what the certificate owns."""
    fake, address, _ = node
    async with _channel(address) as channel:
        call = SubmitStub(channel).Submit()
        await call.write(pb.SubmitRequest(id=7, envelope=b"one"))
        await call.write(pb.SubmitRequest(id=9, envelope=b"two"))
        first, second = await fake.handed(2)
        assert (first.raw, first.allowed, second.raw) == (b"one", frozenset({OWNED}), b"two")
        assert fake.woken == 2
        fake.desk.answer_one(second.ticket, DONE)
        assert (await _next(call)).id == 9
        fake.desk.answer_one(first.ticket, SlowDown(5))
        assert (await _next(call)) == pb.SubmitReply(id=7, slow_down=pb.SlowDown(retry_after_ms=5))


async def test_a_gateway_that_ends_its_side_still_gets_its_answers(
    node: tuple[FakeNode, str, NodeStats],
) -> None:
    """Then the stream ends well."""
    fake, address, _ = node
    async with _channel(address) as channel:
        call = SubmitStub(channel).Submit()
        await call.write(pb.SubmitRequest(id=1, envelope=b"x"))
        await call.done_writing()
        (handed,) = await fake.handed(1)
        fake.desk.answer_one(handed.ticket, DONE)
        assert [reply.id async for reply in call] == [1]


async def test_too_many_unanswered_are_told_to_slow_down(node: tuple[FakeNode, str, NodeStats]) -> None:
    """Nothing more is taken in from this stream until answers have gone."""
    fake, address, _ = node
    async with _channel(address) as channel:
        call = SubmitStub(channel).Submit()
        for number in range(4):
            await call.write(pb.SubmitRequest(id=number + 1, envelope=b"x"))
        reply = await _next(call)
        assert (reply.id, reply.WhichOneof("outcome")) == (4, "slow_down")
        handed = await fake.handed(3)
        fake.desk.answer_one(handed[0].ticket, DONE)
        assert (await _next(call)).id == 1
        await call.write(pb.SubmitRequest(id=5, envelope=b"x"))
        assert len(await fake.handed(1)) == 1


async def test_too_many_streams_of_one_submitter_are_refused(node: tuple[FakeNode, str, NodeStats]) -> None:
    """By a code, counted; a stream that ended makes room."""
    fake, address, stats = node
    async with _channel(address) as channel:
        open_calls = [SubmitStub(channel).Submit() for _ in range(2)]
        for call in open_calls:
            await call.write(pb.SubmitRequest(id=1, envelope=b"x"))
        await fake.handed(2)
        third = SubmitStub(channel).Submit()
        assert await third.details() == "E_SUBMIT_STREAMS"
        assert stats.peer_refusals == {"E_SUBMIT_STREAMS": 1}
        open_calls[0].cancel()
        await asyncio.sleep(0.1)
        fourth = SubmitStub(channel).Submit()
        await fourth.write(pb.SubmitRequest(id=1, envelope=b"x"))
        assert await fake.handed(1)


async def test_a_revoked_submitter_opens_no_stream(node: tuple[FakeNode, str, NodeStats]) -> None:
    """The pins of this moment decide, not those of the handshake."""
    fake, address, _ = node
    async with _channel(address) as channel:
        call = SubmitStub(channel).Submit()
        await call.write(pb.SubmitRequest(id=1, envelope=b"x"))
        await fake.handed(1)
        fake.submitters = {}
        late = SubmitStub(channel).Submit()
        assert await late.details() == "E_SUBMITTER_UNKNOWN"


async def test_a_frame_that_is_none_ends_the_stream_with_a_code(
    node: tuple[FakeNode, str, NodeStats],
) -> None:
    """It is counted; nothing is shown of our inside; another stream works."""
    fake, address, stats = node
    async with _channel(address) as channel:
        call: Any = channel.stream_stream("/tiezheng.submit.v1.Submit/Submit")()
        await call.write(pb.SubmitRequest(id=1, envelope=b"x").SerializeToString())
        await fake.handed(1)
        await call.write(b"\xff" * 40)
        async with asyncio.timeout(5):
            assert await call.details() == "E_WIRE_FRAME"
            assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert stats.peer_refusals == {"E_WIRE_FRAME": 1}
        again = SubmitStub(channel).Submit()
        await again.write(pb.SubmitRequest(id=1, envelope=b"x"))
        assert await fake.handed(1)


class Endless:
    """A gateway that sends without end; `sent` counts the frames that were taken from it."""

    def __init__(self, envelope: bytes) -> None:
        self.frame = pb.SubmitRequest(id=1, envelope=envelope).SerializeToString()
        self.sent = 0

    async def frames(self) -> AsyncIterator[bytes]:
        """One frame after the other."""
        while True:
            self.sent += 1
            yield self.frame
            await asyncio.sleep(0)


async def test_a_gateway_that_takes_no_answers_is_not_read_any_further() -> None:
    """What it sends and never reads costs a bounded number of answers; when it reads again, it goes on."""
    fake, endless = FakeNode(), Endless(b"")
    stream = submit_api._Stream(fake, frozenset(), 3)  # type: ignore[arg-type]
    reading = asyncio.create_task(stream.read(endless.frames()))
    for _ in range(50):
        await asyncio.sleep(0)
    assert endless.sent == 6, "three unanswered, three answers that nobody takes"
    assert await stream.next() is not None
    for _ in range(50):
        await asyncio.sleep(0)
    assert endless.sent == 7
    reading.cancel()


async def test_large_envelopes_of_a_stream_wait_outside() -> None:
    """Their bytes are bounded as well as their number, until they are answered."""
    fake, endless = FakeNode(), Endless(bytes(1 << 20))
    stream = submit_api._Stream(fake, frozenset(), 100)  # type: ignore[arg-type]
    reading = asyncio.create_task(stream.read(endless.frames()))
    for _ in range(50):
        await asyncio.sleep(0)
    assert endless.sent == 2
    (first,) = fake.desk.take(1)
    fake.desk.answer_one(first.ticket, DONE)
    for _ in range(50):
        await asyncio.sleep(0)
    assert endless.sent == 3
    assert await stream.next() is not None
    reading.cancel()


@pytest.mark.parametrize(
    ("outcome", "reply"),
    [
        (DONE, pb.SubmitReply(committed=pb.Committed(height=5, first_index=6, block_time_ms=7))),
        (
            Known((LeafStatus(LeafState.ON_CHAIN, 6, 5), LeafStatus(LeafState.REPEATED))),
            pb.SubmitReply(
                known=pb.Known(
                    leaves=[
                        pb.LeafStatus(state=pb.LEAF_STATE_ON_CHAIN, index=6, height=5),
                        pb.LeafStatus(state=pb.LEAF_STATE_REPEATED),
                    ]
                )
            ),
        ),
        (Refused("E_X", "words"), pb.SubmitReply(refused=pb.Refused(code="E_X", message="words"))),
        (NotLeader("market-1"), pb.SubmitReply(not_leader=pb.NotLeader(leader="market-1"))),
        (SlowDown(9), pb.SubmitReply(slow_down=pb.SlowDown(retry_after_ms=9))),
        (OutcomeUnknown(), pb.SubmitReply(outcome_unknown=pb.OutcomeUnknown())),
    ],
)
def test_every_outcome_has_its_spelling(outcome: Outcome, reply: pb.SubmitReply) -> None:
    """Nothing is left out, nothing is added."""
    reply.id = 3
    assert reply_from(3, outcome) == reply
