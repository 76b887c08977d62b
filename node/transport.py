"""Outgoing streams to the other nodes, and the one object through which the loop speaks to them.

Why: consensus hands over messages and forgets them. Here each becomes a frame in the box of one peer's
control or data stream, which are different connections, so that a vote never waits behind a block. What
cannot be sent is dropped: consensus repeats it, and repeating beats a queue that grows.

Rules kept here
- A peer is dialled when governance knows its certificate and the configuration its address. It must show
  exactly a pinned certificate; when pins or roles change, the connection is made anew.
- Control and data go from voter to voter. Attest sessions are dialled by observers to voters, and between
  voters by the one whose id sorts first.
- A connection that fails is tried again after 50 ms, doubling to 1 s, with jitter; a silent one is ended by
  keepalive.
- Tasks belong to one group with strong references; whatever kills one kills the node.

Refuses: answers (they come in through the peer door), ordering across streams, delivery guarantees.
"""

import asyncio
import random
import secrets
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import TypeAlias

import grpc
import grpc.aio

from consensus.messages import AppendEntries, Message
from ledger.votes import NONCE_BYTES
from node import telemetry, wire
from node.attest_stream import AttestHub
from node.config import Limits
from node.doors import channel_credentials, channel_options
from node.errors import WireError
from node.keys import TlsIdentity
from node.outbox import Outbox
from node.peer_book import PeerBook, make_hello
from node.peer_door import SERVICE
from node.ports import NodeStats, PeerLink
from node.refusals import Refusals, code_in

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 1.0
_ACCEPT_WAIT_S = 5.0

_KINDS = ("Control", "Data", "Attest")

_log = telemetry.get("transport")
_Call: TypeAlias = "grpc.aio.StreamUnaryCall[bytes, bytes] | grpc.aio.StreamStreamCall[bytes, bytes]"


@dataclass(slots=True)
class _Link:
    """Our side of one peer: boxes for both kinds of messages, and how the connections fare."""

    node_id: str
    address: str
    control: Outbox
    data: Outbox
    errors: dict[str, str] = field(default_factory=lambda: dict.fromkeys(_KINDS, "E_PEER_NOT_YET"))  # by kind


class Transport:
    """All outgoing streams. Used on the loop's thread only."""

    def __init__(
        self,
        *,
        book: Callable[[], PeerBook],
        addresses: dict[str, str],
        identity: TlsIdentity,
        instance: bytes,
        attest: AttestHub,
        refusals: Refusals,
        limits: Limits,
        stats: NodeStats,
        on_down: Callable[[str], None],
    ) -> None:
        """Nothing is dialled yet; `run` does that. `on_down` hears whose data stream has ended."""
        self._on_down = on_down
        self._book = book
        self._identity = identity
        self._instance = instance
        self._nonce = secrets.token_bytes(NONCE_BYTES)
        self._attest = attest
        self._refusals = refusals
        self._limits = limits
        self._stats = stats
        self._encoder = wire.AppendEncoder()
        self._changed = asyncio.Event()
        caps = (limits.peer_queue_max_messages, limits.peer_queue_max_bytes)
        self._links = {
            node_id: _Link(node_id, address, Outbox(*caps), Outbox(*caps))
            for node_id, address in addresses.items()
            if address
        }

    def send(self, message: Message) -> None:
        """Queue one message for its recipient; dropped when the recipient is not connected."""
        link = self._links.get(message.recipient)
        if link is None:
            return
        if isinstance(message, AppendEntries):
            if link.data.is_open:
                link.data.put(self._encoder.encode(message))
        elif link.control.is_open:
            link.control.put(wire.encode_control(message))
        dropped = link.data.dropped + link.control.dropped
        if dropped:
            self._stats.peer_messages_dropped[link.node_id] = dropped

    def links(self) -> list[PeerLink]:
        """How the connections fare, by node id."""
        return [
            PeerLink(
                link.node_id,
                link.address,
                connected=not link.errors,
                last_error=next(iter(link.errors.values()), ""),
            )
            for link in self._links.values()
        ]

    def book_changed(self) -> None:
        """Pins or roles changed: whoever waits or is connected looks at the book again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Keep all connections up until cancelled."""
        async with asyncio.TaskGroup() as group:
            for link in self._links.values():
                for kind in _KINDS:
                    group.create_task(self._keep(link, kind), name=f"{kind}:{link.node_id}")
            await asyncio.Event().wait()  # a node without peers has an idle transport, not a dead one

    async def _keep(self, link: _Link, kind: str) -> None:
        """Keep one stream to one peer up for as long as the book wants it."""
        pause = _FIRST_PAUSE_S
        while True:
            book, changed = self._book(), self._changed
            if not _wanted(book, link.node_id, kind):
                link.errors.pop(kind, None)
                await changed.wait()
                continue
            loop = asyncio.get_running_loop()
            started = loop.time()
            try:
                code = await self._session(link, kind, book, changed)
            except grpc.aio.AioRpcError as error:
                code = _code_of(error)
            except (TimeoutError, asyncio.InvalidStateError):
                code = "E_PEER_UNREACHABLE"
            if code is None:
                continue  # the book changed
            if link.errors.get(kind) != code:
                _log.info("peer_link_down", peer=link.node_id, kind=kind.lower(), code=code)
            link.errors[kind] = code
            pause = _FIRST_PAUSE_S if loop.time() - started > _ACCEPT_WAIT_S else pause
            await asyncio.sleep(pause * (0.75 + random.random() / 2))  # noqa: S311 - spreads reconnects
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    async def _session(self, link: _Link, kind: str, book: PeerBook, changed: asyncio.Event) -> str | None:
        """One connection's life: returns None when the book changed, a code when the peer ended it."""
        hello = make_hello(book, link.node_id, self._instance, self._nonce)
        options = channel_options(self._limits.message_max_bytes, link.node_id)
        credentials = channel_credentials(book.pins[link.node_id], self._identity)
        async with grpc.aio.secure_channel(link.address, credentials, options=options) as channel:
            if kind == "Attest":
                return await self._attest_session(link, channel, hello, changed)
            box = link.control if kind == "Control" else link.data
            encode = wire.encode_control_hello if kind == "Control" else wire.encode_data_hello
            call: _Call = channel.stream_unary(f"/{SERVICE}/{kind}")()
            call.add_done_callback(lambda _: box.end())
            await self._greet(call, encode(hello))
            box.open()
            self._accepted(link, kind)
            try:
                return await _until(changed, _send_all(box, call))
            finally:
                box.close()
                call.cancel()
                if kind == "Data":
                    self._on_down(link.node_id)

    async def _attest_session(
        self, link: _Link, channel: grpc.aio.Channel, hello: bytes, changed: asyncio.Event
    ) -> str | None:
        call: grpc.aio.StreamStreamCall[bytes, bytes] = channel.stream_stream(f"/{SERVICE}/Attest")()
        box = self._attest.new_outbox()
        call.add_done_callback(lambda _: box.end())
        await self._greet(call, wire.encode_attest_hello(hello))
        self._attest.opened(link.node_id, box)
        self._accepted(link, "Attest")
        reader = asyncio.create_task(self._read_notes(link.node_id, call))
        try:
            return await _until(changed, _send_all(box, call))
        finally:
            self._attest.closed(link.node_id, box)
            call.cancel()
            reader.cancel()

    async def _read_notes(self, node_id: str, call: grpc.aio.StreamStreamCall[bytes, bytes]) -> None:
        """Hand over what a peer sends back on a session that we dialled."""
        try:
            async for frame in call:
                is_hello, note = wire.decode_attest(frame)
                if not is_hello:
                    self._attest.received(node_id, note)
        except WireError as error:
            self._refusals.note(error.code, node_id, error.message)
            call.cancel()
        except grpc.aio.AioRpcError:
            return  # the writing side of the session reports it

    async def _greet(
        self,
        call: _Call,
        hello: bytes,
    ) -> None:
        """Send the hello and wait until it is accepted."""
        async with asyncio.timeout(_ACCEPT_WAIT_S):
            await call.write(hello)
            await call.initial_metadata()
        if call.done():
            await _raise_status(call)

    def _accepted(self, link: _Link, kind: str) -> None:
        link.errors.pop(kind, None)
        _log.info("peer_link_up", peer=link.node_id, kind=kind.lower())


async def _send_all(box: Outbox, call: _Call) -> str:
    """Write frames until the call ends; returns the code of its end."""
    while (frame := await box.next()) is not None:
        await call.write(frame)
    await _raise_status(call)
    return "E_PEER_ENDED"


async def _raise_status(
    call: _Call,
) -> None:
    """Raise AioRpcError if the call ended badly."""
    status = await call.code()
    if status is not grpc.StatusCode.OK:
        details = await call.details()
        raise grpc.aio.AioRpcError(status, grpc.aio.Metadata(), grpc.aio.Metadata(), details)


async def _until(changed: asyncio.Event, work: Coroutine[object, object, str]) -> str | None:
    """The result of `work`, or None as soon as `changed` is set."""
    doing = asyncio.ensure_future(work)
    waiting = asyncio.ensure_future(changed.wait())
    try:
        await asyncio.wait({doing, waiting}, return_when=asyncio.FIRST_COMPLETED)
        return doing.result() if doing.done() else None
    finally:
        doing.cancel()
        waiting.cancel()


def _wanted(book: PeerBook, node_id: str, kind: str) -> bool:
    """Whether this node dials that one for this kind of stream."""
    if not book.pins.get(node_id) or book.own_id not in book.pins or node_id not in book.voters:
        return False
    if kind != "Attest":
        return book.own_id in book.voters
    return book.own_id not in book.voters or book.own_id < node_id


def _code_of(error: grpc.aio.AioRpcError) -> str:
    """The stable code of a connection that failed."""
    details = error.details() or ""
    if error.code() is grpc.StatusCode.UNAVAILABLE:
        if details.startswith("E_"):
            return code_in(details, "E_PEER_ENDED")
        tls = any(word in details.lower() for word in ("ssl", "tls", "certificate", "handshake"))
        return "E_PEER_TLS" if tls else "E_PEER_UNREACHABLE"
    return code_in(details, "E_PEER_ENDED")
