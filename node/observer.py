"""The observer: follows the chain of whichever node it can reach, and believes none of them.

Why so: a regulator's node must not depend on any one institution, nor trust one. It reads blocks from a
read door, folds them itself, and takes in only what a majority of voters has cosigned (`following`); then
it signs like everybody else. If a source lies, lags or dies, it goes to the next; with all of them gone it
goes on serving what it has.

Rules kept here
- Only a node whose role is observer follows; any other waits until it is one.
- A source is dialled with the certificate that governance pins. If that fails, the certificate it shows is
  taken for this attempt: the chain is public and verified anyway, and a node that slept through a rotation
  must catch up.
- Blocks that nobody covers are bounded; while catching up, coverage is proven by consistency with a
  checkpoint of the era (read door: covering checkpoint), before the tail is full.
- A source that sends nothing although others sign larger sizes is left after `STALL_S`.
- Waits between attempts grow to `WAIT_MAX_S` and fall back on progress.

Source: protos/read.proto. Refuses: write calls of any kind, peers' opinions about headers.
"""

import asyncio
import ssl
from typing import Any, Final

import grpc
import grpc.aio

from node import telemetry
from node.attest_net import Attestor
from node.config import Peer
from node.doors import channel_credentials, channel_options
from node.errors import FollowError, HaltedError
from node.following import Tail
from node.metrics import NodeMetrics
from node.ports import ObservedEntry, Parts, Role
from node.standing import Following
from node.tls_certs import der_to_pem
from protos import read_pb2 as pb
from protos.read_pb2_grpc import ReadStub

STALL_S: Final = 15.0
READ_S: Final = 2.0
CALL_S: Final = 10.0
CONNECT_S: Final = 5.0
WAIT_MIN_S: Final = 0.1
WAIT_MAX_S: Final = 5.0
COVER_BLOCKS: Final = 128
"""While catching up, coverage is asked for whenever so many blocks wait."""

INGEST_BLOCKS: Final = 64

_log = telemetry.get("observer")


class Observer:
    """Implements `ports.Companion`. Everything runs on the loop's thread; one source at a time."""

    def __init__(self, parts: Parts, attestor: Attestor, metrics: NodeMetrics) -> None:
        """Nothing is dialled yet."""
        self._core = parts.core
        self._peers = {node_id: peer for node_id, peer in parts.config.peers.items() if peer.read}
        self._message_max_bytes = parts.config.limits.message_max_bytes
        self._attestor = attestor
        self._metrics = metrics
        self._now = Following("", connected=False, tip_height=0, tail_blocks=0, failures=0, last_error="")
        self._wait_s = WAIT_MIN_S
        self._progress_at = 0.0

    def following(self) -> Following | None:
        """How it follows; None when this node is no observer."""
        return self._now if self._core.raft_status().role is Role.OBSERVER else None

    async def start(self) -> None:
        """Nothing to open: sources are dialled while running."""

    async def stop(self) -> None:
        """Nothing to close: connections end with `run`."""

    async def run(self) -> None:
        """Follow one source after another until cancelled."""
        turn = 0
        while True:
            sources = self._sources()
            if not sources:
                await asyncio.sleep(1.0)
                continue
            source = sources[turn % len(sources)]
            turn += 1
            try:
                await self._follow(source)
            except FollowError as error:
                self._failed(source, error.code, error.message)
                self._metrics.verify_failed(error.code)
            except grpc.aio.AioRpcError as error:
                self._failed(source, "E_FOLLOW_UNREACHABLE", f"{error.code().name}: {error.details() or ''}")
            except HaltedError as error:
                self._failed(source, error.code, error.message)
            await asyncio.sleep(self._wait_s)
            self._wait_s = min(WAIT_MAX_S, 2 * self._wait_s)

    # --- one source ----------------------------------------------------------------------------------------

    async def _follow(self, source: str) -> None:
        """Follow one node until this one is no observer any more. Raises FollowError, AioRpcError."""
        async with await self._dial(source) as channel:
            stub = ReadStub(channel)
            status = await stub.Status(pb.StatusRequest(), timeout=CALL_S)
            if status.chain_id != self._core.chain_id:
                raise FollowError("E_FOLLOW_CHAIN", f"{source} keeps another chain")
            tail = Tail(self._core.point)
            self._show(source, tail, status.applied_height)
            self._progress_at = asyncio.get_running_loop().time()
            call = stub.Follow(pb.FollowRequest(from_height=tail.height + 1))
            try:
                while self._core.raft_status().role is Role.OBSERVER:
                    reply = await self._read(call, source, tail)
                    entries = self._take(source, tail, reply)
                    if not entries and tail.blocks and (tail.full or tail.blocks % COVER_BLOCKS == 0):
                        entries = await self._cover(stub, source, tail)
                    tail = await self._ingest(entries, tail)
                    self._show(source, tail, self._now.tip_height)
            finally:
                call.cancel()

    def _take(self, source: str, tail: Tail, reply: pb.FollowReply) -> list[ObservedEntry]:
        """Put one message of the stream into the tail; return what it covers."""
        if reply.WhichOneof("item") == "block":
            return tail.add(reply.block.height, reply.block.term, reply.block.body)
        if reply.WhichOneof("item") == "checkpoint":
            self._attestor.hear(source, reply.checkpoint)
            return tail.note(reply.checkpoint)
        raise FollowError("E_FOLLOW_MESSAGE", f"{source} sent a message that is neither block nor checkpoint")

    async def _read(self, call: Any, source: str, tail: Tail) -> pb.FollowReply:
        """Return the next message. Raises FollowError E_FOLLOW_ENDED, E_FOLLOW_STALLED."""
        loop = asyncio.get_running_loop()
        reading = asyncio.ensure_future(call.read())  # cancelling a read would end the call, so it is kept
        try:
            while not reading.done():
                await asyncio.wait({reading}, timeout=READ_S)
                stalled = loop.time() - self._progress_at >= STALL_S
                if not reading.done() and stalled and (tail.blocks or self._attestor.ahead() > tail.size):
                    raise FollowError("E_FOLLOW_STALLED", f"{source} has stopped although others sign more")
        finally:
            if not reading.done():
                reading.cancel()
        reply = reading.result()
        if not isinstance(reply, pb.FollowReply):
            raise FollowError("E_FOLLOW_ENDED", f"{source} has ended the stream")
        return reply

    async def _cover(self, stub: Any, source: str, tail: Tail) -> list[ObservedEntry]:
        """Ask for what covers the tail. Raises FollowError E_FOLLOW_UNCOVERED when it is full and nothing
        does.
        """
        first = self._core.applied_height + 1
        try:
            request = pb.CheckpointRequest(covering_height=first)
            reply = await stub.Checkpoint(request, timeout=CALL_S)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
        else:
            self._attestor.hear(source, reply.note)
            entries = tail.note(reply.note)
            if entries:
                return entries
        if tail.ahead_size is not None:
            wanted = pb.ConsistencyRequest(old_size=tail.size, new_size=tail.ahead_size)
            proof = await stub.Consistency(wanted, timeout=CALL_S)
            return tail.consistent(tuple(proof.path))
        if tail.full:
            raise FollowError(
                "E_FOLLOW_UNCOVERED", f"{source} sent {tail.blocks} blocks that no majority has signed"
            )
        return []

    async def _ingest(self, entries: list[ObservedEntry], tail: Tail) -> Tail:
        """Store and apply what is covered, in groups; return the tail to go on with."""
        for start in range(0, len(entries), INGEST_BLOCKS):
            await self._core.ingest(entries[start : start + INGEST_BLOCKS])
        if entries:
            self._progress_at = asyncio.get_running_loop().time()
            self._wait_s = WAIT_MIN_S
        if (
            not tail.blocks
            and tail.state is not self._core.governance
            and tail.height == self._core.applied_height
        ):
            return Tail(self._core.point)  # one state for both folds, so that nothing is verified twice
        return tail

    # --- dialling ------------------------------------------------------------------------------------------

    def _sources(self) -> list[str]:
        """Nodes that can be followed now, voters first; none unless this node is an observer."""
        if self._core.raft_status().role is not Role.OBSERVER:
            return []
        voters = set(self._core.governance.voters())
        return sorted(
            (node_id for node_id in self._peers), key=lambda node_id: (node_id not in voters, node_id)
        )

    async def _dial(self, source: str) -> grpc.aio.Channel:
        """Return a connected channel. Raises FollowError E_FOLLOW_UNREACHABLE."""
        peer = self._peers[source]
        pins = tuple(filter(_is_certificate, self._core.governance.node_tls_pins().get(source, ())))
        if pins:
            channel = self._channel(source, peer, pins)
            if await _connected(channel):
                return channel
            await channel.close()
        shown = await _shown_certificate(peer.read)
        if shown is None or shown in pins:
            raise FollowError("E_FOLLOW_UNREACHABLE", f"{source} does not answer at its read address")
        _log.warning(
            "followed_unpinned", source=source, hint="its certificate is not the one in governance (yet)"
        )
        channel = self._channel(source, peer, (shown,))
        if not await _connected(channel):
            await channel.close()
            raise FollowError("E_FOLLOW_UNREACHABLE", f"{source} does not answer at its read address")
        return channel

    def _channel(self, source: str, peer: Peer, pins: tuple[bytes, ...]) -> grpc.aio.Channel:
        options = channel_options(self._message_max_bytes, source)
        return grpc.aio.secure_channel(peer.read, channel_credentials(pins, None), options=options)

    # --- telling -------------------------------------------------------------------------------------------

    def _show(self, source: str, tail: Tail, tip_height: int) -> None:
        tip = max(tip_height, tail.height)
        self._now = Following(source, True, tip, tail.blocks, self._now.failures, "")

    def _failed(self, source: str, code: str, words: str) -> None:
        failures = self._now.failures + 1
        self._now = Following(source, False, self._now.tip_height, 0, failures, code)
        _log.warning("source_left", source=source, code=code, reason=words)


async def _connected(channel: grpc.aio.Channel) -> bool:
    """Wait until a channel is ready; False if it is not within `CONNECT_S`, or fails."""
    try:
        async with asyncio.timeout(CONNECT_S):
            state = channel.get_state(try_to_connect=True)
            while state is not grpc.ChannelConnectivity.READY:
                if state in (grpc.ChannelConnectivity.TRANSIENT_FAILURE, grpc.ChannelConnectivity.SHUTDOWN):
                    return False
                await channel.wait_for_state_change(state)
                state = channel.get_state(try_to_connect=True)
    except TimeoutError:
        return False
    return True


def _is_certificate(der: bytes) -> bool:
    """Governance checks a pin's outline only; what is no certificate cannot be dialled with."""
    try:
        der_to_pem(der)
    except ValueError:
        return False
    return True


async def _shown_certificate(address: str) -> bytes | None:
    """Return the certificate (DER) that whoever listens at an address shows, unverified; None if nobody
    does.
    """
    host, port = address.rsplit(":", 1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        async with asyncio.timeout(CONNECT_S):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port), ssl=context)
            shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            writer.close()
    except (OSError, TimeoutError):
        return None
    return bytes(shown) if shown else None
