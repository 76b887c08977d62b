"""Strangers, garbage and damage are refused with a stable code, and the node goes on."""

import asyncio
import shutil
import time
from pathlib import Path

import grpc
import grpc.aio
import pytest
from node_cluster import Cluster, leaves

from ledger.envelope import seal_envelope
from node.config import load_config
from node.doors import channel_credentials, channel_options
from node.keys import Purpose, TlsIdentity, load_tls, new_signing_key
from node.peer_book import PeerBook, make_hello
from node.peer_door import SERVICE
from node.ports import Role
from node.service import load
from node.tls_certs import new_authority, new_identity, pem_to_der
from node.wire import encode_control_hello, encode_data_hello

INSTANCE = bytes(16)


async def _code_of_stream(channel: grpc.aio.Channel, kind: str, *frames: bytes) -> str:
    """Open a peer stream, write frames, and return the details of its end."""
    call: grpc.aio.StreamUnaryCall[bytes, bytes] = channel.stream_unary(f"/{SERVICE}/{kind}")()
    try:
        for frame in frames:
            await call.write(frame)
        await call.done_writing()
    except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
        pass  # ended while we wrote; its code is asked for below
    return f"{(await call.code()).name} {await call.details()}"


def _peer_channel(cluster: Cluster, to: str, identity: TlsIdentity) -> grpc.aio.Channel:
    place = cluster.places[to]
    pin = pem_to_der((place.data_dir / "keys/tls.crt").read_bytes())
    return grpc.aio.secure_channel(
        place.peer_address, channel_credentials([pin], identity), options=channel_options(8 << 20, to)
    )


def _identity(cluster: Cluster, node_id: str) -> TlsIdentity:
    keys = cluster.places[node_id].data_dir / "keys"
    return load_tls(keys / "tls.key", keys / "tls.crt")


def _hello(cluster: Cluster, claim: str, to: str, *, chain_id: str = "") -> bytes:
    book = PeerBook(chain_id or cluster.network.chain_id, claim, frozenset(), {})
    return encode_control_hello(make_hello(book, to, INSTANCE, INSTANCE))


async def test_strangers_at_the_submission_door(tmp_path: Path) -> None:
    """A foreign authority's certificate, and none of ours: the handshake ends it. A node's certificate is no
    submitter's.
    """
    async with Cluster(tmp_path) as cluster:
        await cluster.start()
        leader = await cluster.leader()
        foreign = new_identity(
            new_authority("Somebody", int(time.time()), 1), "gateway-1", int(time.time()), 1
        )
        for identity in (foreign, _identity(cluster, "broker-1")):
            with pytest.raises((grpc.aio.AioRpcError, AssertionError)):
                await cluster.gateway(leader, identity).submit(cluster.envelope(1))
        assert (await cluster.order(cluster.envelope(1))).height


async def test_bad_envelopes_are_refused_one_by_one(tmp_path: Path) -> None:
    """Each has its own code, and the stream goes on."""
    async with Cluster(tmp_path) as cluster:
        await cluster.start()
        gateway = cluster.gateway(await cluster.leader())
        good = cluster.envelope(2)
        stranger = new_signing_key(Purpose.SUBMITTER, "gateway-1")
        chain_id = cluster.network.chain_id
        key = cluster.gateway_key
        cases = {
            "E_ENCODING_TRUNCATED": good[:-1],
            "E_ENCODING_TRAILING": good + b"\x00",
            "E_ENVELOPE_SIGNATURE": seal_envelope(
                chain_id, "BROKER", "gateway-1", leaves(1), stranger.seed
            ).raw,
            "E_ENVELOPE_OWNER": seal_envelope(
                chain_id, "MARKET", "gateway-1", leaves(1, institution="MARKET"), key.seed
            ).raw,
            "E_ENVELOPE_RECORDS": cluster.envelope(5_001),
            "E_ENCODING_SIZE": b"\xc6" + bytes(5_000_000),
        }
        for code, raw in cases.items():
            assert (await gateway.submit(raw)).refused.code == code
        other_chain = seal_envelope("other-00000000", "BROKER", key.key_id, leaves(1), key.seed).raw
        assert (await gateway.submit(other_chain)).refused.code == "E_ENVELOPE_SIGNATURE"
        assert (await gateway.submit(good)).committed.height, "the stream still works"


async def test_garbage_and_lies_at_the_peer_door(tmp_path: Path) -> None:
    """Every lie has its code, and none of them disturbs the voters."""
    async with Cluster(tmp_path) as cluster:
        await cluster.start()
        await cluster.leader()
        honest = _identity(cluster, "market-1")
        async with _peer_channel(cluster, "broker-1", honest) as channel:
            good = _hello(cluster, "market-1", "broker-1")
            cases = [
                ("Control", "PERMISSION_DENIED E_WIRE_FRAME", b""),
                ("Control", "PERMISSION_DENIED E_WIRE_FRAME", b"\xff" * 40),
                ("Control", "PERMISSION_DENIED E_PEER_HELLO", encode_control_hello(b"nonsense")),
                ("Data", "PERMISSION_DENIED E_PEER_HELLO", encode_data_hello(b"nonsense")),
                ("Control", "PERMISSION_DENIED E_PEER_NAME", _hello(cluster, "auditor-1", "broker-1")),
                ("Control", "PERMISSION_DENIED E_PEER_RECIPIENT", _hello(cluster, "market-1", "auditor-1")),
                (
                    "Control",
                    "PERMISSION_DENIED E_PEER_CHAIN",
                    _hello(cluster, "market-1", "broker-1", chain_id="other-00000000"),
                ),
                ("Control", "PERMISSION_DENIED E_PEER_INSTANCE", good),
            ]
            for kind, code, frame in cases:
                assert await _code_of_stream(channel, kind, frame) == code
        view = cluster.services["broker-1"].view
        for code in ("E_WIRE_FRAME", "E_PEER_HELLO", "E_PEER_NAME", "E_PEER_CHAIN", "E_PEER_INSTANCE"):
            assert view.stats().peer_refusals[code] >= 1
        assert (await cluster.order(cluster.envelope(1))).height


async def test_a_stranger_with_a_foreign_authority_cannot_open_the_peer_door(tmp_path: Path) -> None:
    """The handshake refuses him; a gateway's certificate, from our own authority, is refused as well."""
    async with Cluster(tmp_path) as cluster:
        await cluster.start()
        now = int(time.time())
        foreign = new_identity(new_authority("Somebody", now, 1), "market-1", now, 1)
        for identity in (foreign, cluster.gateway_identity):
            async with _peer_channel(cluster, "broker-1", identity) as channel:
                code = await _code_of_stream(channel, "Control", _hello(cluster, "market-1", "broker-1"))
                assert code.startswith("UNAVAILABLE")


async def test_an_oversized_message_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """GRPC's limit is ours: 6 MiB, and the node goes on."""
    async with Cluster(tmp_path) as cluster:
        await cluster.start()
        gateway = cluster.gateway(await cluster.leader())
        with pytest.raises((grpc.aio.AioRpcError, AssertionError)):
            await gateway.submit(bytes(7 << 20))
        assert (await cluster.order(cluster.envelope(1))).height


async def test_an_older_copy_of_the_folder_is_noticed_and_never_votes(tmp_path: Path) -> None:
    """Amnesia: the chain store is older than the head file says. The node says so and orders nothing; two go
    on.
    """
    async with Cluster(tmp_path) as cluster:
        await cluster.start()
        await cluster.order(cluster.envelope(1))
        await cluster.agreed(2)
        victim = "auditor-1"
        data = cluster.places[victim].data_dir
        await cluster.stop(victim)
        shutil.copytree(data / "chain", data / "chain.old")
        await cluster.start(victim)
        placed = await cluster.order(cluster.envelope(1, first=50))
        await cluster.agreed(placed.height)
        await cluster.stop(victim)
        shutil.rmtree(data / "chain")
        (data / "chain.old").rename(data / "chain")
        await cluster.start(victim)
        status = cluster.services[victim].view.raft_status()
        assert status.role is Role.HALTED
        assert "amnesia" in status.reason
        assert "new node" in status.reason, "the words name the way out"
        assert (await cluster.order(cluster.envelope(1, first=60))).height


async def test_a_start_without_a_head_file_promises_nothing(tmp_path: Path) -> None:
    """`init` makes the head file and a start never does."""
    async with Cluster(tmp_path) as cluster:
        (cluster.places["broker-1"].data_dir / "head").unlink()
        await cluster.start()
        assert cluster.services["broker-1"].view.raft_status().role is Role.HALTED
        assert await cluster.leader() != "broker-1"


def test_a_bit_flipped_in_a_body_is_caught_at_the_start(tmp_path: Path) -> None:
    """The newest entry no longer has the hash that was acknowledged: the node does not start."""
    cluster = Cluster(tmp_path)
    place = cluster.places["broker-1"]
    logs = sorted((place.data_dir / "chain").glob("*.log"))
    data = bytearray(logs[-1].read_bytes())
    data[len(data) // 2] ^= 1
    logs[-1].write_bytes(data)
    with pytest.raises(Exception, match="E_STORE_"):
        load(load_config(place.config_path))
