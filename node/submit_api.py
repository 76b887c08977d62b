"""The submission door: registered gateways hand in envelopes, one stream each, and get each answer when it is
known.

Why: an answer comes after commit and apply, milliseconds later or not at all, so requests and answers of a
stream are not in step: each answer names its request. What a gateway may hand in hangs on its certificate
*and* on the signature in each envelope; here the first is looked up, and what it owns goes along with every
envelope.

Rules kept here
- A stream from a certificate that no open submitter has is refused with a stable code. So is one too many.
- At most so many envelopes of a stream are unanswered; beyond it the answer is "slow down", and nothing is
  taken in.
- A stream is not read any further while its gateway does not take its answers, or while more than
  `OWED_MAX_BYTES` of envelopes and answers lie here for it: HTTP/2 then holds the sender, and memory stays
  flat.
- An envelope's bytes are handed on exactly as they came. A frame that is none ends the stream with a code.

Refuses: opening on an observer, reading envelopes, remembering answers.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, Final, NoReturn

import grpc
import grpc.aio

from node import telemetry
from node.config import Limits
from node.core_view import CoreView
from node.doors import mutual_server_credentials, parse, peer_address, peer_der, server_options
from node.effects import (
    Committed,
    Known,
    NotLeader,
    Outcome,
    OutcomeUnknown,
    Refused,
    SlowDown,
)
from node.errors import DoorError, NodeError, WireError
from node.keys import TlsIdentity
from node.refusals import Refusals
from node.runtime import Runtime
from protos import submit_pb2 as pb

SERVICE = "tiezheng.submit.v1.Submit"
OWED_MAX_BYTES: Final = 2 * 1024 * 1024
_WINDOW_BYTES: Final = 1024 * 1024
_SLOW_DOWN_MS = 100

_log = telemetry.get("submit_api")
Context = grpc.aio.ServicerContext[Any, Any]


class SubmitDoor:
    """The server side for gateways. Owned by the loop's thread."""

    def __init__(
        self, runtime: Runtime, view: CoreView, identity: TlsIdentity, refusals: Refusals, limits: Limits
    ) -> None:
        """Nothing is opened yet."""
        self._runtime = runtime
        self._view = view
        self._identity = identity
        self._refusals = refusals
        self._limits = limits
        self._server: grpc.aio.Server | None = None
        self._streams: dict[bytes, int] = {}  # certificate -> open streams

    async def start(self, address: str) -> None:
        """Listen on ``host:port``. Raises RuntimeError when the port is taken."""
        server = grpc.aio.server(options=server_options(self._limits.message_max_bytes, _WINDOW_BYTES))
        handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            "Submit": grpc.stream_stream_rpc_method_handler(self._submit)
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        credentials = mutual_server_credentials(self._identity, lambda: self._view.submitters.values())  # noqa: PLW0108 - replaced whole
        server.add_secure_port(address, credentials)
        await server.start()
        self._server = server

    async def stop(self, grace_s: float) -> None:
        """Take no new streams, give open ones `grace_s` seconds for their answers, close the port."""
        if self._server is not None:
            await self._server.stop(grace_s)
            self._server = None

    async def _submit(self, frames: AsyncIterator[bytes], context: Context) -> None:
        der = peer_der(context)
        try:
            allowed = self._owned(der)
        except DoorError as error:
            await self._refuse(context, error, grpc.StatusCode.PERMISSION_DENIED)
        assert der is not None, "somebody owns it"
        self._streams[der] = self._streams.get(der, 0) + 1
        stream = _Stream(self._runtime, allowed, self._limits.submit_waiting_max)
        reader = asyncio.create_task(stream.read(frames))
        try:
            while (reply := await stream.next()) is not None:
                await context.write(reply)
            await reader
        except WireError as error:
            await self._refuse(context, error, grpc.StatusCode.INVALID_ARGUMENT)
        finally:
            reader.cancel()
            self._streams[der] -= 1
            if not self._streams[der]:
                del self._streams[der]

    async def _refuse(self, context: Context, error: NodeError, status: grpc.StatusCode) -> NoReturn:
        self._refusals.note(error.code, peer_address(context), error.message)
        await context.abort(status, error.code)
        raise AssertionError("abort does not return")

    def _owned(self, der: bytes | None) -> frozenset[tuple[str, str]]:
        """The (institution, key id) that a certificate stands for. Raises DoorError."""
        owned = frozenset(key for key, pinned in self._view.submitters.items() if pinned == der)
        if der is None or not owned:
            raise DoorError("E_SUBMITTER_UNKNOWN", "no open submitter has that certificate")
        if self._streams.get(der, 0) >= self._limits.submit_streams_max:
            raise DoorError("E_SUBMIT_STREAMS", "too many streams of one submitter")
        return owned


class _Stream:
    """One open stream: what is unanswered, and the answers that wait to be written."""

    def __init__(self, runtime: Runtime, allowed: frozenset[tuple[str, str]], waiting_max: int) -> None:
        self._runtime = runtime
        self._allowed = allowed
        self._waiting_max = waiting_max
        self._unanswered = 0
        self._owed_bytes = 0  # of envelopes without answer, and of answers that were not taken
        self._ready: deque[bytes] = deque()
        self._ended = False  # no more requests come
        self._broken = False  # nor are those that came answered
        self._news = asyncio.Event()
        self._room = asyncio.Event()

    async def read(self, frames: AsyncIterator[bytes]) -> None:
        """Hand in what comes, until the gateway has no more. Raises WireError E_WIRE_FRAME."""
        try:
            async for frame in frames:
                self._take(parse(pb.SubmitRequest, frame))
                while len(self._ready) >= self._waiting_max or self._owed_bytes >= OWED_MAX_BYTES:
                    self._room.clear()
                    await self._room.wait()
        except WireError:
            self._broken = True
            raise
        finally:
            self._ended = True
            self._news.set()

    def _take(self, request: pb.SubmitRequest) -> None:
        if self._unanswered >= self._waiting_max:
            self._put(reply_from(request.id, SlowDown(_SLOW_DOWN_MS)))
            return
        self._unanswered += 1
        number, size = request.id, len(request.envelope)
        self._owed_bytes += size
        future = self._runtime.ordering.desk.hand_in(request.envelope, self._allowed)
        future.add_done_callback(lambda done: self._answered(number, size, done))
        self._runtime.wake()

    def _answered(self, number: int, size: int, done: "asyncio.Future[Outcome]") -> None:
        self._unanswered -= 1
        self._owed_bytes -= size
        self._room.set()
        if not done.cancelled():
            self._put(reply_from(number, done.result()))

    def _put(self, reply: pb.SubmitReply) -> None:
        data = reply.SerializeToString()
        self._ready.append(data)
        self._owed_bytes += len(data)
        self._news.set()

    async def next(self) -> bytes | None:
        """The next answer as soon as one is known; None once all are given and no more requests come, or when
        a frame was none.
        """
        while not self._ready:
            if self._ended and (self._broken or not self._unanswered):
                return None
            self._news.clear()
            await self._news.wait()
        data = self._ready.popleft()
        self._owed_bytes -= len(data)
        self._room.set()
        return data


def reply_from(number: int, outcome: Outcome) -> pb.SubmitReply:
    """The protobuf spelling of an outcome."""
    match outcome:
        case Committed(height, first_index, block_time_ms):
            committed = pb.Committed(height=height, first_index=first_index, block_time_ms=block_time_ms)
            return pb.SubmitReply(id=number, committed=committed)
        case Known(leaves):
            rows = [
                pb.LeafStatus(state=pb.LeafState.ValueType(leaf.state), index=leaf.index, height=leaf.height)
                for leaf in leaves
            ]
            return pb.SubmitReply(id=number, known=pb.Known(leaves=rows))
        case Refused(code, message):
            return pb.SubmitReply(id=number, refused=pb.Refused(code=code, message=message))
        case NotLeader(leader):
            return pb.SubmitReply(id=number, not_leader=pb.NotLeader(leader=leader))
        case SlowDown(retry_after_ms):
            return pb.SubmitReply(id=number, slow_down=pb.SlowDown(retry_after_ms=retry_after_ms))
        case OutcomeUnknown():
            return pb.SubmitReply(id=number, outcome_unknown=pb.OutcomeUnknown())
