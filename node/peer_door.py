"""The peer door: takes in the streams of other nodes, after making sure who they are.

Why: everything that consensus believes about a message is who sent it. So the certificate is compared with
the pins of this moment when a stream begins, the hello must agree with it, and a node that governance has
removed loses its streams at once, not at its next connection.

Rules kept here
- Order of a stream: TLS with a pinned certificate; hello; role (control and data are for voters); accepted
  (initial metadata is sent); frames. Whatever fails ends the stream with a stable code.
- A full lane is not read any further. A malformed frame ends the stream: no honest node sends one.
- One stream of a kind per peer: a newer one ends the older. A peer whose folder's instance changed is
  refused: a node that lost its folder comes back under a new id.

Refuses: consensus (the loop's), notes (the cosigner's), strangers.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, NoReturn

import grpc
import grpc.aio

from consensus.messages import Message
from node import telemetry
from node.attest_stream import AttestHub
from node.config import Limits
from node.doors import mutual_server_credentials, peer_address, peer_der, server_options
from node.errors import NodeError, PeerRefusedError, WireError
from node.inbox import Inbox
from node.keys import TlsIdentity
from node.outbox import Outbox
from node.peer_book import PeerBook, check_hello
from node.refusals import Refusals
from node.wire import decode_append, decode_attest, decode_control

SERVICE = "tiezheng.peer.v1.Peer"
_HELLO_WAIT_S = 5.0

_log = telemetry.get("peer_door")
Context = grpc.aio.ServicerContext[Any, Any]
Frames = AsyncIterator[bytes]
Decode = Callable[[bytes, str], Message | bytes]  # frame, sender


class PeerDoor:
    """The server side between nodes. `book` returns the book of this moment."""

    def __init__(
        self,
        *,
        book: Callable[[], PeerBook],
        identity: TlsIdentity,
        inbox: Inbox[Message],
        attest: AttestHub,
        refusals: Refusals,
        limits: Limits,
    ) -> None:
        """Nothing is opened yet."""
        self._book = book
        self._identity = identity
        self._inbox = inbox
        self._attest = attest
        self._refusals = refusals
        self._limits = limits
        self._server: grpc.aio.Server | None = None
        self._streams: dict[tuple[str, str], asyncio.Event] = {}  # set: this stream must end
        self._instances: dict[str, bytes] = {}

    async def start(self, address: str) -> None:
        """Listen on ``host:port``. Raises RuntimeError when the port is taken."""
        server = grpc.aio.server(options=server_options(self._limits.message_max_bytes))
        handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            "Control": grpc.stream_unary_rpc_method_handler(self._control),
            "Data": grpc.stream_unary_rpc_method_handler(self._data),
            "Attest": grpc.stream_stream_rpc_method_handler(self._notes),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        credentials = mutual_server_credentials(self._identity, lambda: self._book().all_pins())
        server.add_secure_port(address, credentials)
        await server.start()
        self._server = server

    async def stop(self) -> None:
        """End all streams and close the port."""
        if self._server is not None:
            await self._server.stop(grace=None)
            self._server = None

    def book_changed(self) -> None:
        """End the streams of whoever may not have them any more."""
        book = self._book()
        for (peer, kind), ended in self._streams.items():
            if peer not in book.pins or (kind != "Attest" and not _both_vote(book, peer)):
                ended.set()

    async def _control(self, frames: Frames, context: Context) -> bytes:
        own_id = self._book().own_id
        return await self._messages("Control", frames, context, lambda f, p: decode_control(f, p, own_id))

    async def _data(self, frames: Frames, context: Context) -> bytes:
        own_id = self._book().own_id
        return await self._messages("Data", frames, context, lambda f, p: decode_append(f, p, own_id))

    async def _messages(self, kind: str, frames: Frames, context: Context, decode: Decode) -> bytes:
        """A stream of consensus: every message goes into a lane of its own until the stream ends."""
        peer = await self._begin(kind, frames, context)
        lane = self._inbox.open_lane(urgent=kind == "Control")

        async def take() -> None:
            async for frame in frames:
                message = decode(frame, peer)
                if isinstance(message, bytes):
                    raise WireError("E_WIRE_HELLO", "a second hello")
                await lane.put(message, len(frame))

        try:
            await self._serve(peer, kind, context, take())
        finally:
            self._inbox.close_lane(lane)
        return b""

    async def _notes(self, frames: Frames, context: Context) -> None:
        """An Attest stream that a peer has opened: its notes in, ours out."""
        peer = await self._begin("Attest", frames, context)
        box = self._attest.new_outbox()

        async def take() -> None:
            async for frame in frames:
                hello, note = decode_attest(frame)
                if hello:
                    raise WireError("E_WIRE_HELLO", "a second hello")
                self._attest.received(peer, note)

        self._attest.opened(peer, box)
        writer = asyncio.create_task(_write_all(box, context))
        try:
            await self._serve(peer, "Attest", context, take())
        finally:
            self._attest.closed(peer, box)
            writer.cancel()

    async def _begin(self, kind: str, frames: Frames, context: Context) -> str:
        """Everything that happens before a stream counts; returns who it is, or ends the stream."""
        try:
            peer = await self._identify(kind, frames, context)
        except NodeError as error:
            await self._refuse(context, error, peer_address(context))
        await context.send_initial_metadata(())
        _log.info("peer_stream_accepted", peer=peer, kind=kind.lower())
        return peer

    async def _serve(
        self, peer: str, kind: str, context: Context, work: Coroutine[object, object, None]
    ) -> None:
        """Let an accepted stream work until it ends by itself, is at fault, or is ended from here.

        A handler's task that is cancelled leaves its caller waiting, so ending is an event and an answer.
        """
        ended = asyncio.Event()
        older = self._streams.get((peer, kind))
        if older is not None:
            older.set()
        self._streams[peer, kind] = ended
        doing, waiting = asyncio.create_task(work), asyncio.create_task(ended.wait())
        try:
            await asyncio.wait({doing, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if not doing.done():
                await context.abort(grpc.StatusCode.UNAVAILABLE, "E_PEER_REPLACED")
            doing.result()
        except WireError as error:
            await self._refuse(context, error, peer)
        finally:
            doing.cancel()
            waiting.cancel()
            if self._streams.get((peer, kind)) is ended:
                del self._streams[peer, kind]

    async def _identify(self, kind: str, frames: Frames, context: Context) -> str:
        """Who has opened this stream. Raises PeerRefusedError and WireError.

        The hello is read before anything is refused: a refusal that crosses it on the wire would lose its
        code.
        """
        try:
            async with asyncio.timeout(_HELLO_WAIT_S):
                first = await anext(frames, b"")
        except TimeoutError as error:
            raise PeerRefusedError("E_PEER_HELLO", "no hello in time") from error
        book = self._book()
        peer = book.owner_of(peer_der(context))
        if peer is None or peer == book.own_id:
            raise PeerRefusedError("E_PEER_UNKNOWN", "no node of this chain has that certificate")
        if kind != "Attest" and not _both_vote(book, peer):
            raise PeerRefusedError("E_PEER_ROLE", f"{peer} takes no part in ordering")
        instance = check_hello(_hello_in(kind, first, peer, book.own_id), book, peer)
        if self._instances.setdefault(peer, instance) != instance:
            raise PeerRefusedError("E_PEER_INSTANCE", f"{peer} came with another data folder than before")
        return peer

    async def _refuse(self, context: Context, error: NodeError, who: str) -> NoReturn:
        self._refusals.note(error.code, who, error.message)
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, error.code)
        raise AssertionError("abort does not return")


def _both_vote(book: PeerBook, peer: str) -> bool:
    return peer in book.voters and book.own_id in book.voters


def _hello_in(kind: str, first: bytes, peer: str, own_id: str) -> bytes:
    """The hello in a stream's first frame. Raises WireError."""
    if kind == "Attest":
        is_hello, value = decode_attest(first)
        found: Message | bytes | None = value if is_hello else None
    elif kind == "Control":
        found = decode_control(first, peer, own_id)
    else:
        found = decode_append(first, peer, own_id)
    if not isinstance(found, bytes):
        raise WireError("E_WIRE_HELLO", "a stream that does not begin with a hello")
    return found


async def _write_all(box: Outbox, context: Context) -> None:
    """Write what is in the box until the session is over."""
    while (frame := await box.next()) is not None:
        await context.write(frame)
