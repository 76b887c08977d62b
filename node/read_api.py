"""The read door over gRPC: status, checkpoints, proofs, receipts, blocks, and the chain as it grows.

Why streams without queues: a follower reads from the store at its own pace and is woken by a bell, so a
slow one costs a file handle and one answer; `answers` bounds those and drops who takes nothing.

Rules kept here
- Public data to whoever reaches the port; TLS on the server's side only; requests are small, calls and
  connections are counted.
- Every answer comes from `reader`, which has checked it. Errors carry a stable code: ``E_CODE: words``.
- WatchFinal sends rising sizes only. Follow sends applied blocks in rising height; between them the newest
  checkpoint that a majority of voters has signed, again when it becomes final, and now and then while
  nothing else changes.

Source: protos/read.proto. Refuses: anything that changes the node.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

import grpc
import grpc.aio

from ledger.errors import LedgerError
from ledger.store_chain import StoredEntry
from node import notes
from node.answers import Answers, Caller
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

SERVICE: Final = "tiezheng.read.v1.Read"
CALLS_MAX: Final = 512
REPEAT_S: Final = 10.0
_REQUEST_MAX_BYTES: Final = 64 * 1024
_IDLE_MS: Final = 600_000
_RANGES_AT_ONCE: Final = 16
_BATCH_BLOCKS: Final = 64
_BATCH_BYTES: Final = 64 * 1024


class ReadApi:
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
        self._answers = Answers()

    @property
    def streams(self) -> int:
        """Long streams that are open."""
        return self._answers.streams

    def handlers(self) -> "dict[str, grpc.RpcMethodHandler[bytes, bytes]]":
        """Every method of the service by its name."""
        single, stream = self._answers.single, self._answers.stream
        return {
            "Status": single(pb.StatusRequest, self._status),
            "Checkpoint": single(pb.CheckpointRequest, self._checkpoint),
            "Inclusion": single(pb.InclusionRequest, self._inclusion),
            "Ranges": single(pb.RangesRequest, self._ranges),
            "Consistency": single(pb.ConsistencyRequest, self._consistency),
            "Receipt": single(pb.ReceiptRequest, self._receipt),
            "Find": single(pb.FindRequest, self._find),
            "Block": single(pb.BlockRequest, self._block),
            "WatchFinal": stream(pb.WatchFinalRequest, self._watch_final),
            "Follow": stream(pb.FollowRequest, self._follow),
        }

    # --- single answers ------------------------------------------------------------------------------------

    async def _status(self, _: pb.StatusRequest) -> pb.StatusReply:
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

    async def _checkpoint(self, request: pb.CheckpointRequest) -> pb.CheckpointReply:
        """The newest final checkpoint, or the one that covers a height."""
        if request.HasField("covering_height"):
            return self._covering(request.covering_height)
        if self._attestation.final is None:
            raise ReadError("E_READ_NOT_FOUND", "no checkpoint is final yet")
        return _reply(self._attestation.final)

    async def _inclusion(self, request: pb.InclusionRequest) -> pb.InclusionReply:
        """A leaf and its path."""
        leaf, path = self._reader.inclusion(request.index, request.size)
        return pb.InclusionReply(leaf=leaf, path=path)

    async def _ranges(self, request: pb.RangesRequest) -> pb.RangesReply:
        """What surrounds ranges of leaves; other work gets its turn between a few of them."""
        wanted = [(one.start, one.count) for one in request.ranges]
        proofs: list[pb.RangeProof] = []
        self._reader.require_ranges(len(wanted))
        for start in range(0, len(wanted), _RANGES_AT_ONCE):
            part = self._reader.ranges(request.size, wanted[start : start + _RANGES_AT_ONCE])
            proofs += [pb.RangeProof(left=one.left, right=one.right) for one in part]
            await self._answers.turn()
        return pb.RangesReply(proofs=proofs)

    async def _consistency(self, request: pb.ConsistencyRequest) -> pb.ConsistencyReply:
        """That one tree extends another."""
        return pb.ConsistencyReply(path=self._reader.consistency(request.old_size, request.new_size))

    async def _receipt(self, request: pb.ReceiptRequest) -> pb.ReceiptReply:
        """A receipt file at the newest final checkpoint."""
        index = request.index
        if request.WhichOneof("target") is None:
            raise ReadError("E_READ_TARGET", "an index or a commitment is needed")
        if request.WhichOneof("target") == "commitment":
            found = self._reader.find(request.commitment)
            if not found:
                raise ReadError("E_READ_NOT_FOUND", "no record with this commitment is on this node's chain")
            index = found[0][1]
        receipt = self._reader.receipt(self._attestation.final, index, with_header=request.with_header)
        return pb.ReceiptReply(receipt=receipt)

    async def _find(self, request: pb.FindRequest) -> pb.FindReply:
        """Where a commitment stands."""
        found = self._reader.find(request.commitment)
        return pb.FindReply(positions=[pb.Position(height=h, index=index) for h, index in found])

    async def _block(self, request: pb.BlockRequest) -> pb.BlockReply:
        block = self._reader.block(request.height)
        return pb.BlockReply(
            height=block.height,
            term=block.term,
            body=block.body.raw,
            header_leaf=block.header_leaf,
            first_index=block.first_index,
        )

    # --- streams -------------------------------------------------------------------------------------------

    async def _watch_final(self, _: pb.WatchFinalRequest, caller: Caller) -> None:
        """Final checkpoints of rising size."""
        sent = 0
        rings = self._bell.count
        while True:
            final = self._attestation.final
            if final is not None and final.point.size > sent:
                sent = final.point.size
                await self._answers.send(caller, _reply(final))
            rings = await self._bell.wait(rings, REPEAT_S)

    async def _follow(self, request: pb.FollowRequest, caller: Caller) -> None:
        """Blocks from a height on, and checkpoints between them."""
        height = request.from_height
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
            height = await self._send_blocks(caller, height)
            newest = self._newest_covered()
            if newest is not None:
                final = newest is self._attestation.final
                rises = told is None or newest.point.size > told.point.size or (final and not told_final)
                if rises or (newest is not told and loop.time() - told_at >= REPEAT_S):
                    told, told_final, told_at = newest, final, loop.time()
                    await self._answers.send(caller, pb.FollowReply(checkpoint=newest.note))
            rings = await self._bell.wait(rings, REPEAT_S)

    async def _send_blocks(self, caller: Caller, height: int) -> int:
        """Send all blocks from a height on that are applied; returns the height behind them."""
        while height <= self._view.applied_height:
            await self._answers.turn()
            waiting = deque(self._entries(height))
            height += len(waiting)
            while waiting:
                await self._answers.send(caller, _block_reply(waiting.popleft()))
        return height

    # --- inside --------------------------------------------------------------------------------------------

    def _entries(self, height: int) -> list[StoredEntry]:
        """Checked entries from a height on, as many as are held while they are sent."""
        high = min(self._view.applied_height + 1, height + _BATCH_BLOCKS)
        try:
            return list(self._view.chain_store.entries(height, high, max_bytes=_BATCH_BYTES))
        except LedgerError as error:
            raise self._reader.damaged_chain(f"entries from {height}: {error}") from error

    def _newest_covered(self) -> Attested | None:
        """The newest checkpoint with a majority of voters; the final one where both are at one size."""
        final, covered = self._attestation.final, self._attestation.covered
        if final is None or (covered is not None and covered.point.size > final.point.size):
            return covered
        return final

    def _covering(self, covering: int) -> pb.CheckpointReply:
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
        sending = ("grpc.max_send_message_length", self._limits.message_max_bytes)
        options = [
            one for one in server_options(_REQUEST_MAX_BYTES, _REQUEST_MAX_BYTES) if one[0] != sending[0]
        ]
        options += [sending, ("grpc.max_connection_idle_ms", _IDLE_MS)]
        server = grpc.aio.server(options=options, maximum_concurrent_rpcs=CALLS_MAX)
        handlers = self._api.handlers()
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        self.port = server.add_secure_port(self._address, plain_server_credentials(self._identity))
        await server.start()
        self._server = server

    async def stop(self) -> None:
        """End all streams and stop listening."""
        if self._server is not None:
            await self._server.stop(0.2)


def _reply(attested: Attested) -> pb.CheckpointReply:
    return pb.CheckpointReply(note=attested.note, height=attested.point.height, size=attested.point.size)


def _block_reply(entry: StoredEntry) -> pb.FollowReply:
    block = pb.FollowBlock(height=entry.height, term=entry.term, body=entry.body_raw)
    return pb.FollowReply(block=block)
