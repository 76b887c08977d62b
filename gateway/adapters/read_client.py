"""A node's read door, as the gateway asks it: checkpoints, proofs and receipts, none of which is believed here.

Rules kept here: every call has a deadline; answers have the shape and the size asked for, or they are refused; whatever
gRPC raises becomes LedgerUnreachableError, so that the caller tries the next node.

Refuses: verification (see `usecases.finality`, `adapters.trust_file`), retries.
"""

from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Final, TypeVar

import grpc
import grpc.aio

from gateway.adapters.node_channel import NodeAddress, open_channel
from gateway.errors import LedgerUnreachableError, UntrustedAnswerError
from ledger.proof import CONSISTENCY_MAX, PATH_MAX, RangeProof
from protos import read_pb2, read_pb2_grpc

T = TypeVar("T")

CALL_TIMEOUT_S: Final = 5.0


class GrpcReadDoor:
    """The read door of one node (`ports.ReadDoor`). Connects when first used; `close` ends it."""

    def __init__(self, node: NodeAddress) -> None:
        """Open a channel; nothing is sent yet."""
        self._node = node
        self._channel = open_channel(node, node.read, None)
        self._stub = read_pb2_grpc.ReadStub(self._channel)

    @property
    def name(self) -> str:
        """See ports.ReadDoor."""
        return self._node.node_id

    async def watch(self) -> AsyncIterator[bytes]:
        """See ports.ReadDoor. The stream has no deadline; keepalive ends it when the node is gone."""
        call = self._stub.WatchFinal(read_pb2.WatchFinalRequest(), wait_for_ready=False)
        try:
            async for reply in call:
                yield reply.note
        except grpc.RpcError as error:
            raise self._unreachable(error) from error
        finally:
            call.cancel()

    async def consistency(self, old_size: int, new_size: int) -> tuple[bytes, ...]:
        """See ports.ReadDoor."""
        request = read_pb2.ConsistencyRequest(old_size=old_size, new_size=new_size)
        reply = await self._answer(self._stub.Consistency(request, timeout=CALL_TIMEOUT_S))
        if len(reply.path) > CONSISTENCY_MAX:
            raise UntrustedAnswerError("E_NODE_ANSWER", "a consistency proof is longer than any can be")
        return tuple(reply.path)

    async def ranges(self, size: int, ranges: Sequence[tuple[int, int]]) -> list[RangeProof]:
        """See ports.ReadDoor."""
        wanted = [read_pb2.LeafRange(start=start, count=count) for start, count in ranges]
        request = read_pb2.RangesRequest(size=size, ranges=wanted)
        reply = await self._answer(self._stub.Ranges(request, timeout=CALL_TIMEOUT_S))
        if len(reply.proofs) != len(ranges):
            raise UntrustedAnswerError("E_NODE_ANSWER", "another number of proofs than was asked for")
        if any(max(len(proof.left), len(proof.right)) > PATH_MAX + 1 for proof in reply.proofs):
            raise UntrustedAnswerError("E_NODE_ANSWER", "a range proof is longer than any can be")
        return [RangeProof(tuple(proof.left), tuple(proof.right)) for proof in reply.proofs]

    async def receipt(self, index: int, *, with_header: bool) -> bytes:
        """See ports.ReadDoor."""
        request = read_pb2.ReceiptRequest(index=index, with_header=with_header)
        reply = await self._answer(self._stub.Receipt(request, timeout=CALL_TIMEOUT_S))
        return reply.receipt

    async def _answer(self, call: Awaitable[T]) -> T:
        try:
            return await call
        except grpc.RpcError as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: grpc.RpcError) -> LedgerUnreachableError:
        status = error.code().name if isinstance(error, grpc.aio.AioRpcError) else "UNKNOWN"
        return LedgerUnreachableError(
            "E_NODE_UNREACHABLE", f"node {self._node.node_id} does not answer ({status})"
        )

    async def close(self) -> None:
        """End every call and the channel."""
        await self._channel.close()
