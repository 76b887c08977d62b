"""The read door over gRPC: status, checkpoints, proofs, receipts, blocks, and the chain as it grows.

Why streams without queues: a follower reads from the store at its own pace and is woken by a bell, so a
slow one costs a file handle and no memory; one that takes nothing for `SEND_MAX_S` is dropped.

Rules kept here
- Public data to whoever reaches the port; TLS on the server's side only; requests are small, streams are
  counted.
- Every answer comes from `reader`, which has checked it. Errors carry a stable code: ``E_CODE: words``.
- WatchFinal sends rising sizes only. Follow sends applied blocks in rising height; between them the newest
  checkpoint that a majority of voters has signed, again when it becomes final, and now and then while
  nothing else changes.

Source: protos/read.proto. Refuses: anything that changes the node.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, NoReturn, TypeVar

import grpc
import grpc.aio

from ledger.errors import LedgerError
from node import notes, telemetry
from node.bell import Bell
from node.config import Limits
from node.doors import plain_server_credentials, server_options
from node.errors import ReadError
from node.findings import Attested
from node.keys import TlsIdentity
from node.ports import LedgerView
from node.reader import Reader
from node.standing import Attestation, Standing
from protos import read_pb2 as pb
from protos.read_pb2_grpc import ReadServicer, add_ReadServicer_to_server

STREAMS_MAX: Final = 128
SEND_MAX_S: Final = 20.0
REPEAT_S: Final = 10.0
_REQUEST_MAX_BYTES: Final = 64 * 1024
_RANGES_AT_ONCE: Final = 16
_BATCH_BLOCKS: Final = 64
_BATCH_BYTES: Final = 1024 * 1024

_CODES: Final = {
    "E_READ_NOT_FOUND": grpc.StatusCode.NOT_FOUND,
    "E_READ_NOT_FINAL": grpc.StatusCode.FAILED_PRECONDITION,
    "E_READ_DAMAGED": grpc.StatusCode.DATA_LOSS,
    "E_READ_STREAMS": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "E_READ_SLOW": grpc.StatusCode.DEADLINE_EXCEEDED,
}

_log = telemetry.get("read_api")
_Context = grpc.aio.ServicerContext[Any, Any]
T = TypeVar("T")


class ReadApi(ReadServicer):
    """The handlers. `standing` is taken anew for each status; `bell` is rung when blocks or signatures are
    new.
    """

    def __init__(
        self,
        view: LedgerView,
        reader: Reader,
        attestation: Attestation,
        standing: Callable[[], Standing],
        bell: Bell,
    ) -> None:
        self._view = view
        self._reader = reader
        self._attestation = attestation
        self._standing = standing
        self._bell = bell
        self._streams = 0

    # --- single answers ------------------------------------------------------------------------------------

    async def Status(  # noqa: N802
        self,
        request: pb.StatusRequest,  # noqa: ARG002 - it has no fields
        context: _Context,  # noqa: ARG002 - it cannot fail
    ) -> pb.StatusReply:
        """How the node stands."""
        standing = self._standing()
        return pb.StatusReply(
            chain_id=standing.chain_id,
            node_id=standing.node_id,
            institution=standing.institution,
            role=str(standing.role),
            leader=standing.leader,
            term=standing.term,
            last_height=standing.last_height,
            commit_height=standing.commit_height,
            applied_height=standing.applied_height,
            tree_size=standing.size,
            root=standing.root,
            final_size=standing.final_size or 0,
            final_height=standing.final_height or 0,
            cosigners=[
                pb.CosignerStatus(
                    institution=row.institution, node_id=row.node_id, size=row.size, time_s=row.time_s
                )
                for row in standing.cosigners
            ],
            version=standing.version,
            reason=standing.reason,
        )

    async def Checkpoint(self, request: pb.CheckpointRequest, context: _Context) -> pb.CheckpointReply:  # noqa: N802
        """The newest final checkpoint, or the one that covers a height."""
        covering = request.covering_height if request.HasField("covering_height") else None
        return await self._answer(context, lambda: self._checkpoint(covering))

    async def Inclusion(self, request: pb.InclusionRequest, context: _Context) -> pb.InclusionReply:  # noqa: N802
        """A leaf and its path."""

        def answer() -> pb.InclusionReply:
            leaf, path = self._reader.inclusion(request.index, request.size)
            return pb.InclusionReply(leaf=leaf, path=path)

        return await self._answer(context, answer)

    async def Ranges(self, request: pb.RangesRequest, context: _Context) -> pb.RangesReply:  # noqa: N802
        """What surrounds ranges of leaves; other work gets its turn between a few of them."""
        wanted = [(one.start, one.count) for one in request.ranges]
        proofs: list[pb.RangeProof] = []
        try:
            self._reader.require_ranges(len(wanted))
            for start in range(0, len(wanted), _RANGES_AT_ONCE):
                part = self._reader.ranges(request.size, wanted[start : start + _RANGES_AT_ONCE])
                proofs += [pb.RangeProof(left=one.left, right=one.right) for one in part]
                await asyncio.sleep(0)
        except ReadError as error:
            await _abort(context, error)
        return pb.RangesReply(proofs=proofs)

    async def Consistency(self, request: pb.ConsistencyRequest, context: _Context) -> pb.ConsistencyReply:  # noqa: N802
        """That one tree extends another."""

        def answer() -> pb.ConsistencyReply:
            return pb.ConsistencyReply(path=self._reader.consistency(request.old_size, request.new_size))

        return await self._answer(context, answer)

    async def Receipt(self, request: pb.ReceiptRequest, context: _Context) -> pb.ReceiptReply:  # noqa: N802
        """A receipt file at the newest final checkpoint."""

        def answer() -> pb.ReceiptReply:
            index = request.index
            if request.WhichOneof("target") is None:
                raise ReadError("E_READ_TARGET", "an index or a commitment is needed")
            if request.WhichOneof("target") == "commitment":
                found = self._reader.find(request.commitment)
                if not found:
                    raise ReadError(
                        "E_READ_NOT_FOUND", "no record with this commitment is on this node's chain"
                    )
                index = found[0][1]
            final = self._attestation.final
            return pb.ReceiptReply(
                receipt=self._reader.receipt(final, index, with_header=request.with_header)
            )

        return await self._answer(context, answer)

    async def Find(self, request: pb.FindRequest, context: _Context) -> pb.FindReply:  # noqa: N802
        """Where a commitment stands."""

        def answer() -> pb.FindReply:
            found = self._reader.find(request.commitment)
            return pb.FindReply(positions=[pb.Position(height=h, index=index) for h, index in found])

        return await self._answer(context, answer)

    async def Block(self, request: pb.BlockRequest, context: _Context) -> pb.BlockReply:  # noqa: N802
        """One block."""

        def answer() -> pb.BlockReply:
            block = self._reader.block(request.height)
            return pb.BlockReply(
                height=block.height,
                term=block.term,
                body=block.body.raw,
                header_leaf=block.header_leaf,
                first_index=block.first_index,
            )

        return await self._answer(context, answer)

    # --- streams -------------------------------------------------------------------------------------------

    # Handlers that write, where the stub's types expect ones that yield: a write can be timed.

    async def WatchFinal(  # type: ignore[override]  # noqa: N802
        self,
        request: pb.WatchFinalRequest,  # noqa: ARG002 - it has no fields
        context: _Context,
    ) -> None:
        """Final checkpoints of rising size."""
        await self._stream(context, lambda: self._watch_final(context))

    async def Follow(  # type: ignore[override]  # noqa: N802
        self, request: pb.FollowRequest, context: _Context
    ) -> None:
        """Blocks from a height on, and checkpoints between them."""
        await self._stream(context, lambda: self._follow(context, request.from_height))

    async def _stream(self, context: _Context, work: Callable[[], Awaitable[None]]) -> None:
        """Count a stream, and turn what ends it into a status."""
        self._streams += 1
        try:
            if self._streams > STREAMS_MAX:
                raise ReadError(
                    "E_READ_STREAMS", f"this node serves {STREAMS_MAX} streams at once; come back later"
                )
            await work()
        except ReadError as error:
            if error.code != "E_READ_SLOW":
                await _abort(context, error)
            # An abort would wait behind what the reader does not take. So the handler ends, which gives its
            # place free; the status follows when the reader reads on, or keepalive ends the connection.
            context.set_code(_CODES[error.code])
            context.set_details(f"{error.code}: {error.message}")
        finally:
            self._streams -= 1

    async def _watch_final(self, context: _Context) -> None:
        sent = 0
        rings = self._bell.count
        while True:
            final = self._attestation.final
            if final is not None and final.point.size > sent:
                sent = final.point.size
                await _send(context, _reply(final))
            rings = await self._bell.wait(rings, REPEAT_S)

    async def _follow(self, context: _Context, height: int) -> None:
        if height > self._view.applied_height + 1:
            raise ReadError(
                "E_READ_NOT_FOUND", f"this node has applied height {self._view.applied_height} only"
            )
        told: Attested | None = None
        told_final = False
        told_at = 0.0
        loop = asyncio.get_running_loop()
        rings = self._bell.count
        while True:
            while height <= self._view.applied_height:
                for entry in self._entries(height):
                    block = pb.FollowBlock(height=entry.height, term=entry.term, body=entry.body_raw)
                    await _send(context, pb.FollowReply(block=block))
                    height = entry.height + 1
            newest = self._newest_covered()
            if newest is not None:
                final = newest is self._attestation.final
                rises = told is None or newest.point.size > told.point.size or (final and not told_final)
                if rises or (newest is not told and loop.time() - told_at >= REPEAT_S):
                    told, told_final, told_at = newest, final, loop.time()
                    await _send(context, pb.FollowReply(checkpoint=newest.note))
            rings = await self._bell.wait(rings, REPEAT_S)

    # --- inside --------------------------------------------------------------------------------------------

    def _entries(self, height: int) -> Any:
        """Checked entries from a height on, as many as a turn sends."""
        high = min(self._view.applied_height + 1, height + _BATCH_BLOCKS)
        try:
            return self._view.chain_store.entries(height, high, max_bytes=_BATCH_BYTES)
        except LedgerError as error:
            raise self._reader.damaged_chain(f"entries from {height}: {error}") from error

    def _newest_covered(self) -> Attested | None:
        """The newest checkpoint with a majority of voters; the final one where both are at one size."""
        final, covered = self._attestation.final, self._attestation.covered
        if final is None or (covered is not None and covered.point.size > final.point.size):
            return covered
        return final

    def _checkpoint(self, covering: int | None) -> pb.CheckpointReply:
        if covering is None:
            if self._attestation.final is None:
                raise ReadError("E_READ_NOT_FOUND", "no checkpoint is final yet")
            return _reply(self._attestation.final)
        closed = self._attestation.era_note(covering)
        if closed is not None:
            end, raw = closed
            if raw is None:
                raise ReadError(
                    "E_READ_NOT_FOUND", f"this node has not got the note of the era that ends at {end}"
                )
            size = notes.parse(raw, self._view.chain_id).size
            return pb.CheckpointReply(note=raw, height=end, size=size)
        newest = self._newest_covered()
        if newest is None or newest.point.height < covering:
            raise ReadError("E_READ_NOT_FOUND", f"no checkpoint covers height {covering} yet")
        return _reply(newest)

    async def _answer(self, context: _Context, answer: Callable[[], T]) -> T:
        try:
            return answer()
        except ReadError as error:
            await _abort(context, error)


class ReadDoor:
    """The listener of `ReadApi`. `port` is the bound one."""

    def __init__(self, api: ReadApi, identity: TlsIdentity, limits: Limits, address: str) -> None:
        """Nothing is opened yet."""
        self._api = api
        self._identity = identity
        self._limits = limits
        self._address = address
        self._server: grpc.aio.Server | None = None
        self.port = 0

    async def start(self) -> None:
        """Listen. Raises RuntimeError when the address cannot be bound."""
        received = "grpc.max_receive_message_length"
        options = [one for one in server_options(self._limits.message_max_bytes) if one[0] != received]
        server = grpc.aio.server(options=[*options, (received, _REQUEST_MAX_BYTES)])
        add_ReadServicer_to_server(self._api, server)
        self.port = server.add_secure_port(self._address, plain_server_credentials(self._identity))
        await server.start()
        self._server = server

    async def stop(self) -> None:
        """End all streams and stop listening."""
        if self._server is not None:
            await self._server.stop(0.2)


def _reply(attested: Attested) -> pb.CheckpointReply:
    return pb.CheckpointReply(note=attested.note, height=attested.point.height, size=attested.point.size)


async def _send(context: _Context, message: Any) -> None:
    """Send one message of a stream. Raises ReadError E_READ_SLOW for a reader that takes nothing."""
    try:
        async with asyncio.timeout(SEND_MAX_S):
            await context.write(message)
    except TimeoutError as error:
        raise ReadError("E_READ_SLOW", f"nothing was read for {SEND_MAX_S:g} s") from error


async def _abort(context: _Context, error: ReadError) -> NoReturn:
    status = _CODES.get(error.code, grpc.StatusCode.INVALID_ARGUMENT)
    await context.abort(status, f"{error.code}: {error.message}")
    raise AssertionError("abort raises")
