"""Fake nodes for tests of the gateway: real gRPC over TLS, a `MemoryChain` behind it, and a script of misbehaviour.

`FakeNode.script` holds what to do with the next submissions, in order; when it is empty the node behaves:

===================== ==============================================================
"drop"                end the stream without having ordered anything
"order-drop"          order, then end the stream without an answer
"unknown"             answer OutcomeUnknown without having ordered
"order-unknown"       order, then answer OutcomeUnknown
"slow"                answer SlowDown
"refuse"              answer Refused E_TEST_REFUSED
"silent"              never answer
"garbage"             answer without an outcome
"short"               answer Known with one leaf too few
"in-flight"           answer Known, every leaf in flight
===================== ==============================================================
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
from gateway_chain import MemoryChain

from ledger.envelope import parse_envelope
from node.keys import TlsIdentity
from node.tls_certs import new_identity
from protos import read_pb2, read_pb2_grpc, submit_pb2, submit_pb2_grpc

NOW_S = 1_764_000_000
DAYS = 3_650


def identity(name: str) -> TlsIdentity:
    """Return a fresh self-issued TLS identity."""
    return new_identity(None, name, NOW_S, DAYS)


class FakeNode:
    """One node's submission and read doors. `leader` False makes it answer NotLeader(`hint`)."""

    def __init__(self, node_id: str, chain: MemoryChain, client_cert_pem: bytes) -> None:
        self.node_id = node_id
        self.chain = chain
        self.tls = identity(node_id)
        self.client_cert_pem = client_cert_pem
        self.leader = True
        self.hint = ""
        self.auto_final = True
        self.script: deque[str] = deque()
        self.lies: set[str] = set()
        self.submissions: list[tuple[str, bytes]] = []
        self.delay_s = 0.0
        self.submit_port = 0
        self.read_port = 0
        self.server: grpc.aio.Server | None = None

    async def start(self) -> None:
        """Listen, on the ports of before when there were any."""
        server = grpc.aio.server(
            options=(("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 8 << 20))
        )
        submit_pb2_grpc.add_SubmitServicer_to_server(_Submit(self), server)
        read_pb2_grpc.add_ReadServicer_to_server(_Read(self), server)  # type: ignore[abstract]  # what is asked
        pair = [(self.tls.key_pem, self.tls.cert_pem)]
        mutual = grpc.ssl_server_credentials(pair, self.client_cert_pem, require_client_auth=True)
        plain = grpc.ssl_server_credentials(pair)
        self.submit_port = server.add_secure_port(f"127.0.0.1:{self.submit_port}", mutual)
        self.read_port = server.add_secure_port(f"127.0.0.1:{self.read_port}", plain)
        await server.start()
        self.server = server

    async def stop(self) -> None:
        """Vanish, connections and all."""
        if self.server is not None:
            server, self.server = self.server, None
            await server.stop(None)

    def toml(self, cert_path: str) -> str:
        """Return the node's table for gateway.toml."""
        return (
            f'[nodes.{self.node_id}]\nsubmit = "127.0.0.1:{self.submit_port}"\n'
            f'read = "127.0.0.1:{self.read_port}"\ntls_cert = "{cert_path}"\n'
        )

    def answer(self, raw: bytes, behaviour: str) -> submit_pb2.SubmitReply | None:
        """Return the reply to an envelope, None when the stream ends instead."""
        self.submissions.append((behaviour or "order", raw))
        reply = submit_pb2.SubmitReply()
        if behaviour == "drop":
            return None
        if behaviour in ("order-drop", "order-unknown"):
            self._order(raw, submit_pb2.SubmitReply())
            reply.outcome_unknown.SetInParent()
            return None if behaviour == "order-drop" else reply
        if behaviour == "unknown":
            reply.outcome_unknown.SetInParent()
        elif behaviour == "slow":
            reply.slow_down.retry_after_ms = 30
        elif behaviour == "refuse":
            reply.refused.code, reply.refused.message = "E_TEST_REFUSED", "scripted"
        elif behaviour in ("short", "in-flight"):
            count = parse_envelope(raw).count - (behaviour == "short")
            reply.known.leaves.extend([submit_pb2.LeafStatus(state=submit_pb2.LEAF_STATE_IN_FLIGHT)] * count)
            reply.known.SetInParent()
        elif behaviour == "garbage":
            pass
        elif not self.leader:
            reply.not_leader.leader = self.hint
        else:
            self._order(raw, reply)
        return reply

    def _order(self, raw: bytes, reply: submit_pb2.SubmitReply) -> None:
        statuses = self.chain.statuses(raw)
        if statuses is not None:
            reply.known.leaves.extend(
                submit_pb2.LeafStatus(state=state, index=index, height=height)  # type: ignore[arg-type]
                for state, index, height in statuses
            )
            return
        block = self.chain.order([raw])
        reply.committed.height = block.height
        reply.committed.first_index = block.first_index + (7 if "position" in self.lies else 0)
        reply.committed.block_time_ms = block.header.timestamp_ms
        if self.auto_final:
            self.chain.finalise()


class _Submit(submit_pb2_grpc.SubmitServicer):
    def __init__(self, node: FakeNode) -> None:
        self.node = node

    async def Submit(self, request_iterator: Any, context: Any) -> AsyncIterator[submit_pb2.SubmitReply]:  # noqa: N802
        async for request in request_iterator:
            if self.node.delay_s:
                await asyncio.sleep(self.node.delay_s)
            behaviour = self.node.script.popleft() if self.node.script else ""
            if behaviour == "silent":
                self.node.submissions.append((behaviour, request.envelope))
                continue
            reply = self.node.answer(request.envelope, behaviour)
            if reply is None:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "scripted")
                return
            reply.id = request.id
            yield reply


class _Read(read_pb2_grpc.ReadServicer):
    def __init__(self, node: FakeNode) -> None:
        self.node = node
        self.chain = node.chain

    async def WatchFinal(self, request: Any, context: Any) -> AsyncIterator[read_pb2.CheckpointReply]:  # noqa: N802
        news = asyncio.Event()
        news.set()
        listener = news.set
        self.chain.listeners.append(listener)
        sent, shown = 0, b""
        try:
            while True:
                await news.wait()
                news.clear()
                if self.chain.final is not None and "mute" not in self.node.lies:
                    signed, height, size = self.chain.final
                    if "unsigned" in self.node.lies:
                        signed = self.chain.note(signers=2)
                    if size >= sent and signed != shown:
                        sent, shown = size, signed
                        yield read_pb2.CheckpointReply(note=signed, height=height, size=size)
        finally:
            self.chain.listeners.remove(listener)

    async def Consistency(self, request: Any, context: Any) -> read_pb2.ConsistencyReply:  # noqa: N802
        path = list(self.chain.consistency(request.old_size, request.new_size))
        if "consistency" in self.node.lies:
            path = [bytes(32) for _ in path]
        return read_pb2.ConsistencyReply(path=path)

    async def Ranges(self, request: Any, context: Any) -> read_pb2.RangesReply:  # noqa: N802
        reply = read_pb2.RangesReply()
        for one in request.ranges:
            proof = self.chain.range(one.start, one.count, request.size)
            left = [bytes(32) for _ in proof.left] if "ranges" in self.node.lies else list(proof.left)
            reply.proofs.add(left=left, right=list(proof.right))
        return reply

    async def Receipt(self, request: Any, context: Any) -> read_pb2.ReceiptReply:  # noqa: N802
        index = request.index + (1 if "receipt" in self.node.lies else 0)
        return read_pb2.ReceiptReply(receipt=self.chain.receipt(index, with_header=request.with_header))
