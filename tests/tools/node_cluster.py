"""A whole network of real nodes in one event loop, on loopback with real TLS and real stores, for integration
tests.

A test builds a network in a temporary folder, starts and stops its nodes, and hands in envelopes as a gateway
does. Nothing is faked but time's length: elections are quick.
"""

import asyncio
import os
import secrets
import socket
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc.aio

from ledger.envelope import seal_envelope
from ledger.record import encode_leaves
from node.config import load_config
from node.doors import channel_credentials, channel_options
from node.keys import SigningKey, TlsIdentity, load_key, load_tls
from node.ports import Role
from node.service import NodeService, load
from node.tls_certs import pem_to_der
from protos import submit_pb2 as pb
from protos.submit_pb2_grpc import SubmitStub
from scripts.network import INSTITUTIONS, NODES, BuiltNetwork, BuiltNode, NodeSpec, build_network

WAIT_S = 20.0


def free_port_base(nodes: int = 4) -> int:
    """A base such that the ports of so many nodes are free now; spread over processes that run tests side by
    side.
    """
    for _ in range(400):
        # Below the range from which the kernel takes ports for outgoing connections (32768 and above).
        base = 15_000 + (os.getpid() * 97 + secrets.randbelow(2_000) * 100) % 17_000
        if all(_is_free(base + 10 * node + door) for node in range(nodes) for door in range(5)):
            return base
    raise AssertionError("no free ports")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def leaves(count: int, *, institution: str = "BROKER", first: int = 0) -> bytes:
    """`count` distinct prefixed leaves of made-up records; the same arguments give the same bytes."""
    numbers = range(first, first + count)
    return encode_leaves(
        institution,
        commitments=[sha256(number.to_bytes(8, "big")).digest() for number in numbers],
        sources=["TEST.SOURCE"] * count,
        source_seqs=list(numbers),
        templates=["TEST-TEMPLATE"] * count,
        template_versions=[1] * count,
    )


class Gateway:
    """The submitting side: one open stream to one node."""

    def __init__(self, cluster: "Cluster", place: BuiltNode, identity: TlsIdentity | None = None) -> None:
        """A stream to `place`, with the network's own gateway certificate or another one."""
        pin = pem_to_der((place.data_dir / "keys/tls.crt").read_bytes())
        self._channel = grpc.aio.secure_channel(
            place.submit_address,
            channel_credentials([pin], identity or cluster.gateway_identity),
            options=channel_options(8 << 20, place.node_id),
        )
        self._call = SubmitStub(self._channel).Submit()
        self._next = 0

    async def send(self, envelope: bytes) -> int:
        """Hand in an envelope without waiting; returns its id in the stream."""
        self._next += 1
        await self._call.write(pb.SubmitRequest(id=self._next, envelope=envelope))
        return self._next

    async def receive(self) -> pb.SubmitReply:
        """The next answer, whichever it is."""
        async with asyncio.timeout(WAIT_S):
            reply = await self._call.read()
        assert isinstance(reply, pb.SubmitReply), "the stream has ended"
        return reply

    async def submit(self, envelope: bytes) -> pb.SubmitReply:
        """Hand in an envelope and wait for its answer."""
        number = await self.send(envelope)
        reply = await self.receive()
        assert reply.id == number
        return reply

    async def close(self) -> None:
        """End the stream and the connection."""
        self._call.cancel()
        await self._channel.close()


class Cluster:
    """An async context: every node that was started is stopped at its end."""

    def __init__(
        self, folder: Path, specs: Sequence[NodeSpec] = NODES[:3], *, quorum: int = 3, f: int = 1
    ) -> None:
        """Make the network; nothing runs yet. Three voters by default."""
        owners = {spec.institution for spec in specs}
        self.network: BuiltNetwork = build_network(
            folder,
            free_port_base(),
            institutions=[row for row in INSTITUTIONS if row.institution in owners],
            nodes=specs,
            quorum=quorum,
            f=f,
        )
        keys = folder / "gateway/keys"
        self.gateway_key: SigningKey = load_key(keys / "submitter.key")
        self.gateway_identity = load_tls(keys / "tls.key", keys / "tls.crt")
        self.places = {place.node_id: place for place in self.network.nodes}
        self.services: dict[str, NodeService] = {}
        self.deaths: list[BaseException] = []
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._gateways: list[Gateway] = []
        for place in self.network.nodes:
            text = place.config_path.read_text("utf-8")
            quick = "\n[raft]\nheartbeat_ms = 50\nelection_timeout_ms = 500\n"
            place.config_path.write_text(text + quick, "utf-8")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for gateway in self._gateways:
            await gateway.close()
        for node_id in list(self.services):
            await self.kill(node_id)

    async def start(self, *node_ids: str) -> None:
        """Start nodes (all by default) and wait until their doors are open."""
        for node_id in node_ids or tuple(self.places):
            keys, opened = load(load_config(self.places[node_id].config_path))
            service = NodeService(
                load_config(self.places[node_id].config_path), keys, opened, self.deaths.append
            )
            self.services[node_id] = service
            self._tasks[node_id] = asyncio.create_task(service.run(), name=node_id)
            async with asyncio.timeout(WAIT_S):
                await service.started.wait()

    async def stop(self, node_id: str) -> None:
        """Stop a node the polite way."""
        service, task = self.services.pop(node_id), self._tasks.pop(node_id)
        service.ask_to_stop()
        async with asyncio.timeout(WAIT_S):
            await task

    async def kill(self, node_id: str) -> None:
        """Stop a node without hand-over or farewell."""
        self.services.pop(node_id)
        task = self._tasks.pop(node_id)
        task.cancel()
        await asyncio.wait({task})

    async def until(self, true: Callable[[], bool], what: str) -> None:
        """Wait until something is true."""
        try:
            async with asyncio.timeout(WAIT_S):
                while not true():  # noqa: ASYNC110 - many things change, none of them tells
                    await asyncio.sleep(0.01)
        except TimeoutError as error:
            states = {name: service.view.raft_status() for name, service in self.services.items()}
            raise AssertionError(f"not in {WAIT_S} s: {what}; {states}") from error

    async def leader(self) -> str:
        """Wait for a leader that takes envelopes; returns its node id."""
        await self.until(lambda: self._leading() is not None, "a leader")
        found = self._leading()
        assert found is not None
        return found

    def _leading(self) -> str | None:
        for name, service in self.services.items():
            status = service.view.raft_status()
            raft = service.view._raft
            if status.role is Role.LEADER and raft is not None:
                r = raft.replica
                if 0 < r.term_start <= r.applied:
                    return name
        return None

    async def order(self, envelope: bytes) -> pb.Committed:
        """Hand in an envelope as a patient gateway does: to whoever leads, again after every answer that says
        to come again. Under load leadership may move at any moment, so tests of other things use this.
        """
        async with asyncio.timeout(WAIT_S):
            while True:
                gateway = self.gateway(await self.leader())
                try:
                    reply = await gateway.submit(envelope)
                except (grpc.aio.AioRpcError, AssertionError, asyncio.InvalidStateError):
                    reply = pb.SubmitReply()
                await gateway.close()
                self._gateways.remove(gateway)
                if reply.HasField("committed"):
                    return reply.committed
                if reply.HasField("known"):  # an earlier try did get through
                    first = reply.known.leaves[0]
                    return pb.Committed(height=first.height, first_index=first.index)
                assert not reply.HasField("refused"), reply
                await asyncio.sleep(0.02)

    async def agreed(self, height: int) -> None:
        """Wait until all running nodes have applied at least `height`, and hold the same tree."""
        await self.until(
            lambda: all(s.view.applied_height >= height for s in self.services.values()), f"height {height}"
        )
        views = [service.view for service in self.services.values()]
        lowest = min(view.applied_height for view in views)
        leaves_at = {view.derived_store.header_leaf(lowest) for view in views}
        assert len(leaves_at) == 1, "all nodes derive the same header"

    def envelope(self, count: int, *, first: int = 0) -> bytes:
        """A signed envelope of distinct records."""
        key = self.gateway_key
        return seal_envelope(
            self.network.chain_id, "BROKER", key.key_id, leaves(count, first=first), key.seed
        ).raw

    def gateway(self, node_id: str, identity: TlsIdentity | None = None) -> Gateway:
        """Open a submission stream to a node."""
        made = Gateway(self, self.places[node_id], identity)
        self._gateways.append(made)
        return made
