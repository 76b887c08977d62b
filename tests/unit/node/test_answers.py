"""Whoever asks and takes nothing holds nothing, and keeps nobody out."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest

from node import answers
from node.answers import Answers, Caller
from node.doors import channel_credentials, channel_options, plain_server_credentials, server_options
from node.errors import ReadError
from node.tls_certs import new_identity, pem_to_der
from protos import read_pb2 as pb

IDENTITY = new_identity(None, "broker-1", int(time.time()), 1)
LARGE = pb.BlockReply(body=bytes(300_000))
KB = 1024


class Door:
    """A door with one single answer (``One``) and one stream without end (``Many``), each of 300 KB."""

    def __init__(self) -> None:
        self.answers = Answers()
        self.made = 0

    async def start(self) -> None:
        """Listen."""
        self.server = grpc.aio.server(options=server_options(1 << 20))
        handlers = {
            "One": self.answers.single(pb.BlockRequest, self._one),
            "Many": self.answers.stream(pb.BlockRequest, self._many),
            "Wait": self.answers.stream(pb.BlockRequest, self._wait),
        }
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("t", handlers),))
        self.port = self.server.add_secure_port("127.0.0.1:0", plain_server_credentials(IDENTITY))
        await self.server.start()

    async def _one(self, _: pb.BlockRequest) -> pb.BlockReply:
        self.made += 1
        return LARGE

    async def _many(self, _: pb.BlockRequest, caller: Caller) -> None:
        while True:
            await self.answers.send(caller, LARGE)

    async def _wait(self, request: pb.BlockRequest, caller: Caller) -> None:
        await self.answers.send(caller, pb.BlockReply(height=request.height))
        await asyncio.sleep(60)

    def channel(self) -> grpc.aio.Channel:
        """A connection whose reader takes 64 KB and no more until it reads."""
        fixed = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 64 * KB)]
        return grpc.aio.secure_channel(
            f"127.0.0.1:{self.port}",
            channel_credentials([pem_to_der(IDENTITY.cert_pem)], None),
            options=[*channel_options(1 << 20, "broker-1"), *fixed],
        )


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    """An open door."""
    made = Door()
    await made.start()
    yield made
    await made.server.stop(None)


def call(channel: grpc.aio.Channel, method: str, question: bytes = b"") -> Any:
    """Ask, and read when the test does."""
    made: Any = channel.unary_stream(f"/t/{method}")
    return made(question)


async def until(true: Any) -> None:
    """Wait for something that the server does on its own time."""
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110 - it has no event to wait for
            await asyncio.sleep(0.01)


async def drained(of: Any) -> None:
    """Read a call to its end."""
    async with asyncio.timeout(5):
        while await of.read() is not grpc.aio.EOF:
            pass


async def refusal(of: Any) -> str:
    """Name and details of the status that ends a call."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await drained(of)
    return f"{caught.value.code().name} {caught.value.details()}"


async def test_an_answer_is_a_single_message_on_the_wire(door: Door) -> None:
    """Callers with the stubs of the protocol file see a method with one answer."""
    async with door.channel() as channel:
        one: Any = channel.unary_unary("/t/One")
        assert await one(b"") == LARGE.SerializeToString()
        assert door.answers._untaken == {}


async def test_what_is_not_taken_is_bounded(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """One host may leave half of the room untaken; beyond it nothing is kept, until something was taken."""
    monkeypatch.setattr(answers, "UNTAKEN_MAX_BYTES", 1_300_000)
    monkeypatch.setattr(answers, "USUAL_BYTES", 1)
    async with door.channel() as channel:
        waiting = [call(channel, "One") for _ in range(2)]
        await until(lambda: door.answers._untaken.total() > 600_000)
        words = "RESOURCE_EXHAUSTED E_READ_BUSY: too many answers wait to be taken; come back in a moment"
        assert await refusal(call(channel, "One")) == words
        for one in waiting:
            assert await one.read() == LARGE.SerializeToString()
        await until(lambda: not door.answers._untaken)
        assert await call(channel, "One").read() == LARGE.SerializeToString()


async def test_no_answer_is_made_for_whom_there_is_no_room(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refusing costs less than answering."""
    monkeypatch.setattr(answers, "UNTAKEN_MAX_BYTES", 4 << 20)
    async with door.channel() as channel:
        waiting = [call(channel, "One") for _ in range(4)]
        await until(lambda: door.made == 4)
        assert (await refusal(call(channel, "One"))).startswith("RESOURCE_EXHAUSTED E_READ_BUSY")
        assert (await refusal(call(channel, "Wait"))).startswith("RESOURCE_EXHAUSTED E_READ_BUSY")
        assert door.made == 4
        assert door.answers.streams == 0
        assert await waiting[0].read() == LARGE.SerializeToString()


async def test_the_room_of_all_hosts_together_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that has its share left is refused when the others have taken the rest."""
    monkeypatch.setattr(answers, "UNTAKEN_MAX_BYTES", 700_000)
    made = Answers()
    made._untaken.update({"10.0.0.1": 300_000, "10.0.0.2": 300_000})
    caller = Caller(None, "ipv4:10.0.0.3:5", "10.0.0.3")  # type: ignore[arg-type]
    with pytest.raises(ReadError, match="E_READ_BUSY"):
        await made.send(caller, LARGE)


async def test_who_takes_nothing_loses_his_connection(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Single answers and streams alike; what waited is let go, another connection is served."""
    monkeypatch.setattr(answers, "SEND_MAX_S", 0.2)
    async with door.channel() as channel, door.channel() as other:
        single, stream = call(channel, "One"), call(channel, "Many")
        await until(lambda: door.answers.streams == 1)
        await until(lambda: door.answers.streams == 0)
        await until(lambda: not door.answers._untaken)
        assert (await refusal(single)).startswith("UNAVAILABLE")
        assert (await refusal(stream)).startswith("UNAVAILABLE")
        assert await call(other, "One").read() == LARGE.SerializeToString()


async def test_who_asks_nothing_is_not_waited_for(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call without a question, and one that does not come."""
    monkeypatch.setattr(answers, "QUESTION_MAX_S", 0.1)
    async with door.channel() as channel:
        method: Any = channel.stream_stream("/t/One")
        silent, empty = method(), method()
        await empty.done_writing()
        assert await refusal(silent) == "INVALID_ARGUMENT E_READ_QUESTION: no question in time"
        assert await refusal(empty) == "INVALID_ARGUMENT E_READ_QUESTION: a call without a question"


async def test_a_newcomer_gets_the_oldest_place(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sits on all places keeps nobody out; whoever loses his is told, blocked or not."""
    monkeypatch.setattr(answers, "STREAMS_MAX", 2)
    async with door.channel() as channel, door.channel() as other:
        first = call(other, "Many")
        await until(lambda: door.answers.streams == 1)
        second = call(channel, "Wait")
        await second.read()
        third = call(channel, "Wait")
        await third.read()
        assert (await refusal(first)).startswith("UNAVAILABLE"), "it was blocked: its connection is cut"
        fourth = call(channel, "Wait")
        await fourth.read()
        words = "RESOURCE_EXHAUSTED E_READ_STREAMS: this node serves 2 streams at once"
        assert await refusal(second) == words
        assert door.answers.streams == 2
        third.cancel()
        await until(lambda: door.answers.streams == 1)


def test_the_place_is_taken_from_the_host_that_has_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the others have been there."""
    monkeypatch.setattr(answers, "STREAMS_MAX", 4)
    made = Answers()
    made._places = [Caller(None, "", host) for host in ("quiet", "greedy", "greedy", "greedy")]  # type: ignore[arg-type]
    kept = made._places[0], made._places[2], made._places[3]
    lost = made._places[1]
    made._make_place()
    assert (made._places, lost.ended.is_set()) == ([*kept], True)
