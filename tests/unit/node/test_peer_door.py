"""The peer door: who may open which stream, what ends one, and who replaces whom.

Whole conversations with lies and garbage are in tests/integration/node/test_refusals.py.
"""

import asyncio
import time
from collections.abc import AsyncIterator

import grpc
import grpc.aio
import pytest
from node_cluster import free_port_base

from consensus.messages import Message, TimeoutNow
from node.attest_stream import AttestHub
from node.config import Limits
from node.doors import channel_credentials, channel_options
from node.inbox import Inbox
from node.peer_book import PeerBook, make_hello
from node.peer_door import SERVICE, PeerDoor
from node.ports import NodeStats
from node.refusals import Refusals
from node.tls_certs import new_identity, pem_to_der
from node.wire import (
    decode_attest,
    encode_attest_hello,
    encode_control,
    encode_control_hello,
    encode_note,
)

NOW_S = int(time.time())
NAMES = ("a-1", "b-1", "watch-1")
IDENTITIES = {name: new_identity(None, name, NOW_S, 1) for name in NAMES}
PINS = {name: (pem_to_der(identity.cert_pem),) for name, identity in IDENTITIES.items()}
CHAIN = "test-00000000"
INSTANCE = bytes(16)
Call = grpc.aio.StreamUnaryCall[bytes, bytes]


def _book(own_id: str, *, without: str = "") -> PeerBook:
    pins = {name: pin for name, pin in PINS.items() if name != without}
    return PeerBook(CHAIN, own_id, frozenset({"a-1", "b-1"}) - {without}, pins)


class Door:
    """The door of node a-1, and ways to knock."""

    def __init__(self) -> None:
        self.book = _book("a-1")
        self.inbox: Inbox[Message] = Inbox(4, 1 << 20, lambda: None)
        self.hub = AttestHub()
        self.stats = NodeStats()
        self.door = PeerDoor(
            book=lambda: self.book,
            identity=IDENTITIES["a-1"],
            inbox=self.inbox,
            attest=self.hub,
            refusals=Refusals(self.stats, time.monotonic),
            limits=Limits(),
        )
        self.address = f"127.0.0.1:{free_port_base(1)}"
        self._channels: list[grpc.aio.Channel] = []

    def channel(self, who: str) -> grpc.aio.Channel:
        """A connection with the identity of a node."""
        made = grpc.aio.secure_channel(
            self.address,
            channel_credentials(PINS["a-1"], IDENTITIES[who]),
            options=channel_options(1 << 20, "a-1"),
        )
        self._channels.append(made)
        return made

    async def control(self, who: str, instance: bytes = INSTANCE) -> Call:
        """An open control stream, hello said."""
        call: Call = self.channel(who).stream_unary(f"/{SERVICE}/Control")()
        await call.write(encode_control_hello(make_hello(_book(who), "a-1", instance, bytes(16))))
        async with asyncio.timeout(5):
            await call.initial_metadata()
        return call

    async def close(self) -> None:
        """Everything."""
        for channel in self._channels:
            await channel.close()
        await self.door.stop()


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    """An open door."""
    made = Door()
    await made.door.start(made.address)
    yield made
    await made.close()


async def _taken(door: Door, count: int) -> list[Message]:
    got: list[Message] = []
    async with asyncio.timeout(5):
        while len(got) < count:
            got += door.inbox.take(10)
            await asyncio.sleep(0.005)
    return got


async def test_messages_carry_the_authenticated_sender(door: Door) -> None:
    """The frame says nothing of who sent it."""
    call = await door.control("b-1")
    await call.write(encode_control(TimeoutNow("forged", "forged", 7)))
    assert await _taken(door, 1) == [TimeoutNow("b-1", "a-1", 7)]


async def test_an_observer_takes_no_part_in_ordering(door: Door) -> None:
    """Its control stream is refused with a code; its attest stream is welcome."""
    call = await door.control("watch-1")
    assert await call.details() == "E_PEER_ROLE"
    assert door.stats.peer_refusals == {"E_PEER_ROLE": 1}
    session: grpc.aio.StreamStreamCall[bytes, bytes] = door.channel("watch-1").stream_stream(
        f"/{SERVICE}/Attest"
    )()
    hello = make_hello(_book("watch-1"), "a-1", INSTANCE, bytes(16))
    await session.write(encode_attest_hello(hello))
    await session.write(encode_note(b"theirs"))
    notes: list[tuple[str, bytes]] = []
    door.hub.on_note(lambda who, note: notes.append((who, note)))
    async with asyncio.timeout(5):
        await session.initial_metadata()
        while "watch-1" not in door.hub.peers():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        door.hub.send("watch-1", b"ours")
        frame = await session.read()
        while not notes:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    assert isinstance(frame, bytes)
    assert decode_attest(frame) == (False, b"ours")
    assert notes == [("watch-1", b"theirs")]


async def test_a_newer_stream_replaces_the_older(door: Door) -> None:
    """A peer that came back is not kept out by its own past."""
    older = await door.control("b-1")
    newer = await door.control("b-1")
    async with asyncio.timeout(5):
        assert await older.code() is not grpc.StatusCode.OK
    await newer.write(encode_control(TimeoutNow("b-1", "a-1", 8)))
    assert await _taken(door, 1) == [TimeoutNow("b-1", "a-1", 8)]


async def test_another_folder_under_the_same_id_is_refused(door: Door) -> None:
    """It has forgotten its promises: it must come back under a new id."""
    await door.control("b-1")
    stranger = await door.control("b-1", instance=b"\x01" * 16)
    assert await stranger.details() == "E_PEER_INSTANCE"


async def test_a_removed_node_loses_its_streams_at_once(door: Door) -> None:
    """Not at its next connection."""
    call = await door.control("b-1")
    door.book = _book("a-1", without="b-1")
    door.door.book_changed()
    async with asyncio.timeout(5):
        assert await call.code() is not grpc.StatusCode.OK


async def test_a_malformed_frame_ends_the_stream(door: Door) -> None:
    """With its code, counted."""
    call = await door.control("b-1")
    await call.write(b"\xff\xff")
    async with asyncio.timeout(5):
        assert await call.details() == "E_WIRE_FRAME"
    assert door.stats.peer_refusals == {"E_WIRE_FRAME": 1}


async def test_a_full_lane_is_not_read_any_further(door: Door) -> None:
    """Memory stays flat however much a peer sends; later everything is there, in order."""
    call = await door.control("b-1")
    for term in range(1, 40):
        await call.write(encode_control(TimeoutNow("b-1", "a-1", term)))
    await asyncio.sleep(0.1)
    assert len(door.inbox) <= 4
    assert [message.term for message in await _taken(door, 39)] == list(range(1, 40))
