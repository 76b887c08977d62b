"""The way to the chain: envelopes over one submission stream to whichever node leads, found by trying and by hints.

Why a stream: a unary call costs more than the work it carries; on a stream two envelopes are on their way at once and
their answers come back in any order, by id.

Rules kept here:
- An envelope that was not answered, because the stream broke, the node was silent, or leadership moved, is `Unknown` or
  is simply handed in again: repeating is safe, a known leaf is answered with its position.
- A node that says NotLeader has taken nothing in, so the same envelope goes to the next node at once.
- No answer is trusted beyond its shape; an answer of a wrong shape breaks the stream.
- A try that reaches no leader is no failure: `submit` waits for one as long as it takes.

Refuses: judging answers (see `domain.anchoring`), deciding what to send (see `usecases.anchor`).
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import grpc
import grpc.aio

from gateway.adapters.node_channel import NodeAddress, open_channel
from gateway.adapters.secret_files import TlsIdentity
from gateway.domain.anchoring import (
    Committed,
    Known,
    LeafState,
    LeafStatus,
    Outcome,
    Refused,
    SlowDown,
    Unknown,
)
from gateway.domain.routing import Route
from gateway.errors import UntrustedAnswerError
from gateway.ports import Clock, Telemetry
from protos import submit_pb2, submit_pb2_grpc

CONNECT_TIMEOUT_S: Final = 2.0
SLOW_DOWN_MAX_S: Final = 60.0
_CODE_MAX: Final = 64
_MESSAGE_MAX: Final = 256


class NotLeaderError(Exception):
    """The node answered that it does not lead; `leader` names who does, "" if nobody is known."""

    def __init__(self, leader: str) -> None:
        """Keep the hint."""
        super().__init__(leader)
        self.leader = leader


class StreamLostError(Exception):
    """The stream broke, or the node was silent too long; what it had taken in is unknown."""


def outcome_of(reply: submit_pb2.SubmitReply) -> Outcome:
    """Return what a reply says.

    Raises NotLeaderError, and UntrustedAnswerError E_NODE_ANSWER for a reply of no known kind.
    """
    kind = reply.WhichOneof("outcome")
    if kind == "committed":
        return Committed(reply.committed.height, reply.committed.first_index, reply.committed.block_time_ms)
    if kind == "known":
        return Known(tuple(_leaf_status(leaf) for leaf in reply.known.leaves))
    if kind == "refused":
        return Refused(_code(reply.refused.code), reply.refused.message[:_MESSAGE_MAX])
    if kind == "slow_down":
        return SlowDown(min(SLOW_DOWN_MAX_S, reply.slow_down.retry_after_ms / 1_000))
    if kind == "outcome_unknown":
        return Unknown()
    if kind == "not_leader":
        raise NotLeaderError(reply.not_leader.leader)
    raise UntrustedAnswerError("E_NODE_ANSWER", "a node's answer is of no known kind")


def _leaf_status(leaf: submit_pb2.LeafStatus) -> LeafStatus:
    try:
        return LeafStatus(LeafState(leaf.state), leaf.index, leaf.height)
    except ValueError as error:
        raise UntrustedAnswerError(
            "E_NODE_ANSWER", "a node gives a leaf a state that is not known"
        ) from error


def _code(text: str) -> str:
    """Return a node's refusal code if it looks like one; it is stored and shown to callers."""
    good = (
        len(text) <= _CODE_MAX
        and text.startswith("E_")
        and text.replace("_", "A").isalnum()
        and text.isupper()
    )
    return text if good and text.isascii() else "E_REFUSED"


class SubmitStream:
    """One open stream to one node. `closed` is set once it can carry nothing more. Owner: LeaderClient."""

    def __init__(self, node: NodeAddress, identity: TlsIdentity, reply_timeout_s: float) -> None:
        """Keep what `start` needs."""
        self._node = node
        self._channel = open_channel(node, node.submit, identity)
        self._reply_timeout_s = reply_timeout_s
        self._next_id = 1
        self._waiting: dict[int, asyncio.Future[submit_pb2.SubmitReply]] = {}
        self._call: grpc.aio.StreamStreamCall[submit_pb2.SubmitRequest, submit_pb2.SubmitReply] | None = None
        self._reader: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()
        self.closed = False

    async def start(self) -> None:
        """Connect. Raises StreamLostError."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self._until_ready()
        except TimeoutError as error:
            raise StreamLostError("no connection in time") from error
        self._call = submit_pb2_grpc.SubmitStub(self._channel).Submit()
        self._reader = asyncio.create_task(self._read(), name=f"submit-replies-{self._node.node_id}")

    async def _until_ready(self) -> None:
        """Wait for the connection; a refused one is told at once, not after the timeout. Raises StreamLostError."""
        state = self._channel.get_state(try_to_connect=True)
        while state is not grpc.ChannelConnectivity.READY:
            if state in (grpc.ChannelConnectivity.TRANSIENT_FAILURE, grpc.ChannelConnectivity.SHUTDOWN):
                raise StreamLostError("no connection")
            await self._channel.wait_for_state_change(state)
            state = self._channel.get_state(try_to_connect=True)

    async def submit(self, envelope: bytes) -> Outcome:
        """Send an envelope and return its outcome. Raises NotLeaderError, StreamLostError, UntrustedAnswerError."""
        if self.closed or self._call is None:
            raise StreamLostError("the stream is closed")
        number = self._next_id
        self._next_id += 1
        answer: asyncio.Future[submit_pb2.SubmitReply] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            async with asyncio.timeout(self._reply_timeout_s):
                # gRPC carries one write at a time per stream; a second one before its end breaks the stream.
                async with self._writing:
                    await self._call.write(submit_pb2.SubmitRequest(id=number, envelope=envelope))
                return outcome_of(await answer)
        except TimeoutError as error:
            raise StreamLostError("no answer in time") from error
        except (grpc.RpcError, grpc.aio.BaseError, asyncio.InvalidStateError) as error:
            raise StreamLostError("the stream broke") from error
        finally:
            self._waiting.pop(number, None)

    async def _read(self) -> None:
        """Hand replies to whoever waits; at the end nobody is left waiting."""
        assert self._call is not None
        try:
            async for reply in self._call:
                waiting = self._waiting.get(reply.id)
                if waiting is not None and not waiting.done():
                    waiting.set_result(reply)
        except (grpc.RpcError, grpc.aio.BaseError, asyncio.InvalidStateError):
            pass
        finally:
            self.closed = True
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(StreamLostError("the stream ended"))

    async def close(self) -> None:
        """Give up the stream; what was not answered stays unknown."""
        self.closed = True
        if self._call is not None:
            self._call.cancel()
        if self._reader is not None:
            self._reader.cancel()
            with suppress(asyncio.CancelledError):
                await self._reader
        await self._channel.close()


class LeaderClient:
    """Envelopes to the leader (`ports.Ledger`). Used by the anchoring loop; `close` ends the stream."""

    def __init__(
        self,
        nodes: Sequence[NodeAddress],
        identity: TlsIdentity,
        *,
        clock: Clock,
        telemetry: Telemetry,
        reply_timeout_s: float,
        new_stream: Callable[[NodeAddress, TlsIdentity, float], SubmitStream] = SubmitStream,
    ) -> None:
        """`nodes` are those with a submission door, at least one; `new_stream` is replaced by tests."""
        self._nodes = {node.node_id: node for node in nodes if node.submit}
        self._identity = identity
        self._clock = clock
        self._telemetry = telemetry
        self._reply_timeout_s = reply_timeout_s
        self._new_stream = new_stream
        self._route = Route(tuple(self._nodes))
        self._stream: SubmitStream | None = None
        self._stream_node = ""
        self._connecting = asyncio.Lock()
        self._leader = ""

    @property
    def leader(self) -> str:
        """The node that answered as the leader last, over a stream that is still open; "" when there is none."""
        return self._leader if self._stream is not None and not self._stream.closed else ""

    async def submit(self, envelope: bytes) -> Outcome:
        """See ports.Ledger."""
        while True:
            node_id, pause_s = self._route.target(self._clock.monotonic_s())
            if pause_s:
                await asyncio.sleep(pause_s)
                continue
            sent = False
            try:
                stream = await self._stream_to(node_id)
                sent = True
                outcome = await stream.submit(envelope)
            except NotLeaderError as error:
                self._route.redirected(node_id, error.leader, self._clock.monotonic_s())
                self._leader = ""
            except (StreamLostError, UntrustedAnswerError) as error:
                await self._lost(node_id, error)
                if sent:
                    return Unknown()
            else:
                if not isinstance(outcome, Unknown):
                    self._route.succeeded(node_id)
                    self._leader = node_id
                return outcome

    async def _stream_to(self, node_id: str) -> SubmitStream:
        """Return the open stream to a node, leaving another node's. Raises StreamLostError."""
        async with self._connecting:
            if self._stream is not None and (self._stream_node != node_id or self._stream.closed):
                old, self._stream = self._stream, None
                await old.close()
            if self._stream is None:
                stream = self._new_stream(self._nodes[node_id], self._identity, self._reply_timeout_s)
                try:
                    await stream.start()
                except BaseException:
                    await stream.close()
                    raise
                self._stream, self._stream_node = stream, node_id
            return self._stream

    async def _lost(self, node_id: str, error: Exception) -> None:
        self._route.failed(node_id, self._clock.monotonic_s())
        self._leader = ""
        self._telemetry.warning("submission_stream_lost", node=node_id, reason=str(error))
        async with self._connecting:
            if self._stream is not None and self._stream_node == node_id:
                old, self._stream = self._stream, None
                await old.close()

    async def close(self) -> None:
        """End the stream."""
        async with self._connecting:
            if self._stream is not None:
                await self._stream.close()
                self._stream = None
