"""Four real nodes make records final: three voters and the regulator's observer, policy 3 of 4."""

# ruff: noqa: ASYNC110 - nodes are asked over HTTP until they agree, as an operator would

import asyncio
import json
import urllib.error
import urllib.request
from hashlib import sha256
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from node_cluster import Cluster
from tile_client import Mirror

from ledger.algorithms import SIG_ED25519
from ledger.encoding import Value, pack
from ledger.governance_proposal import RotateKey, encode_proposal, sign_proposal
from ledger.note import cosign, format_note
from ledger.receipt import verify_receipt
from ledger.trust import parse_trust, verify_checkpoint
from node import convictions, notes
from node.attest_net import Attestor
from node.keys import Purpose, load_key, new_signing_key, save_key
from node.ports import Role
from protos import admin_pb2
from protos.admin_pb2_grpc import AdminStub
from scripts.network import NODES


def fetch(url: str) -> bytes:
    """What is at an address; to be run in a thread, since the nodes share the loop."""
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own node
        data: bytes = answer.read()
        return data


async def status(cluster: Cluster, node_id: str) -> dict[str, Any]:
    """What a node says of itself over HTTP."""
    url = f"{cluster.places[node_id].read_url}/v1/status"
    document: dict[str, Any] = json.loads(await asyncio.to_thread(fetch, url))
    return document


async def until_final(cluster: Cluster, height: int, *node_ids: str) -> None:
    """Wait until nodes (all running ones by default) know a final checkpoint at or above a height."""
    for node_id in node_ids or tuple(cluster.services):
        async with asyncio.timeout(15):
            while (await status(cluster, node_id))["final_height"] < height:
                await asyncio.sleep(0.02)


async def test_a_record_becomes_final_on_every_node(tmp_path: Path) -> None:
    """All four know it, with four institutions' cosignatures; the receipt verifies with the trust file
    alone.
    """
    async with Cluster(tmp_path, NODES) as cluster:
        await cluster.start()
        gateway = cluster.gateway(await cluster.leader())
        committed = (await gateway.submit(cluster.envelope(5))).committed
        await until_final(cluster, committed.height)
        trust = parse_trust(cluster.network.policy_file.read_bytes())
        for node_id, place in cluster.places.items():
            url = f"{place.read_url}/v1/receipt?index={committed.first_index + 2}&with=header"
            receipt = await asyncio.to_thread(fetch, url)
            verified = verify_receipt(receipt, trust, sha256((2).to_bytes(8, "big")).digest())
            assert verified.block is not None
            assert verified.block.height == committed.height
            assert len(verified.signatures) >= 3, node_id
        async with asyncio.timeout(10):
            while len((await status(cluster, "broker-1"))["cosigners"]) < 4:
                await asyncio.sleep(0.02)
        assert (await status(cluster, "regulator-1"))["role"] == "observer"
        assert cluster.deaths == []


async def test_an_independent_mirror_rebuilds_the_tree(tmp_path: Path) -> None:
    """From tiles and entry bundles of a voter and of the observer, with code that knows RFC 6962 and
    nothing of us.
    """
    async with Cluster(tmp_path, NODES) as cluster:
        await cluster.start()
        gateway = cluster.gateway(await cluster.leader())
        committed = (await gateway.submit(cluster.envelope(150))).committed
        for at in range(1, 6):
            committed = (await gateway.submit(cluster.envelope(150, first=150 * at))).committed
        await until_final(cluster, committed.height)
        mirrors = []
        for node_id in ("market-1", "regulator-1"):
            mirror = await asyncio.to_thread(Mirror, cluster.places[node_id].read_url)
            await asyncio.to_thread(mirror.check)
            assert mirror.size > 900
            assert mirror.origin == cluster.network.chain_id
            mirrors.append(mirror)
        small, large = sorted(mirrors, key=lambda mirror: mirror.size)
        rows = [await asyncio.to_thread(mirror.row) for mirror in (small, large)]
        assert rows[1][: small.size] == rows[0]


async def test_one_institution_down_stops_nothing(tmp_path: Path) -> None:
    """A voter is away: two voters and the regulator are three of four. It catches up when it comes back."""
    async with Cluster(tmp_path, NODES) as cluster:
        await cluster.start()
        await cluster.leader()
        await cluster.kill("auditor-1")
        gateway = cluster.gateway(await cluster.leader())
        committed = (await gateway.submit(cluster.envelope(3))).committed
        await until_final(cluster, committed.height)
        await cluster.start("auditor-1")
        await until_final(cluster, committed.height)
        again = (await gateway.submit(cluster.envelope(3, first=50))).committed
        await until_final(cluster, again.height)
        async with asyncio.timeout(10):
            while True:
                seen = {
                    row["node_id"]: row["size"] for row in (await status(cluster, "broker-1"))["cosigners"]
                }
                if seen.get("auditor-1", 0) > again.first_index:
                    break
                await asyncio.sleep(0.05)


async def test_the_regulator_serves_alone_and_takes_up_again(tmp_path: Path) -> None:
    """With every other node gone it answers reads; when they return it goes on, whoever it follows."""
    async with Cluster(tmp_path, NODES) as cluster:
        await cluster.start()
        gateway = cluster.gateway(await cluster.leader())
        committed = (await gateway.submit(cluster.envelope(3))).committed
        await until_final(cluster, committed.height)
        for node_id in ("broker-1", "market-1", "auditor-1"):
            await cluster.kill(node_id)
        place = cluster.places["regulator-1"]
        mirror = await asyncio.to_thread(Mirror, place.read_url)
        await asyncio.to_thread(mirror.check)
        assert (await status(cluster, "regulator-1"))["final_height"] >= committed.height
        ready = await asyncio.to_thread(_code, f"{place.ops_url}/readyz")
        assert ready in (200, 503)
        assert await asyncio.to_thread(_code, f"{place.ops_url}/livez") == 200
        await cluster.start("market-1", "auditor-1", "broker-1")
        gateway = cluster.gateway(await cluster.leader())
        again = (await gateway.submit(cluster.envelope(1, first=70))).committed
        await until_final(cluster, again.height)
        async with asyncio.timeout(10):
            while await asyncio.to_thread(_code, f"{place.ops_url}/readyz") != 200:
                await asyncio.sleep(0.05)


async def test_a_new_observer_catches_up_with_a_long_chain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was away for many blocks: it verifies all of them, piece by piece, and signs again."""
    monkeypatch.setattr("node.observer.COVER_BLOCKS", 16)
    monkeypatch.setattr("node.following.TAIL_BLOCKS_MAX", 40)
    async with Cluster(tmp_path, NODES) as cluster:
        await cluster.start("broker-1", "market-1", "auditor-1")
        gateway = cluster.gateway(await cluster.leader())
        committed = (await gateway.submit(cluster.envelope(1))).committed
        for at in range(1, 120):
            committed = (await gateway.submit(cluster.envelope(1, first=at))).committed
        await until_final(cluster, committed.height)
        await cluster.start("regulator-1")
        await until_final(cluster, committed.height, "regulator-1")
        await cluster.agreed(committed.height)
        view = cluster.services["regulator-1"].view
        await cluster.until(
            lambda: view.mark is not None and view.mark[0] >= committed.height, "the regulator's mark"
        )


async def test_a_rotated_cosigner_key_takes_over_at_the_end_of_the_era(tmp_path: Path) -> None:
    """The governance block is final with the old keys, the next block with the new one; the era's note is
    kept.
    """
    async with Cluster(tmp_path, NODES) as cluster:
        place = cluster.places["market-1"]
        key = new_signing_key(Purpose.COSIGNER, "market-1-cosigner-2")
        save_key(place.data_dir / "keys/cosigner-2.key", key)
        text = place.config_path.read_text("utf-8")
        files = ["keys/node.key", "keys/log.key", "keys/cosigner.key", "keys/cosigner-2.key"]
        place.config_path.write_text(f"{text}\n[keys]\nfiles = {json.dumps(files)}\n", "utf-8")
        await cluster.start()
        leader = await cluster.leader()
        action = RotateKey("market-1", "cosigner", key.key_id, SIG_ED25519, key.public)
        raw = encode_proposal(cluster.network.chain_id, 0, action)
        signed: list[Value] = []
        for institution in ("AUDITOR", "BROKER", "REGULATOR"):
            holder = load_key(tmp_path / f"governance-keys/{institution}.key")
            row = sign_proposal(raw, institution, holder.key_id, holder.seed)
            signed.append([row.institution, row.key_id, row.sig_alg, row.signature])
        socket = cluster.places[leader].data_dir / "admin.sock"
        async with grpc.aio.insecure_channel(f"unix:{socket}") as channel:
            reply = await AdminStub(channel).Propose(admin_pb2.ProposeRequest(content=pack([raw, signed])))
        gateway = cluster.gateway(leader)
        committed = (await gateway.submit(cluster.envelope(2))).committed
        await until_final(cluster, committed.height)
        async with asyncio.timeout(10):
            while True:
                final = (await asyncio.to_thread(Mirror, place.read_url)).note
                if b"MARKET/market-1" in final:
                    break
                await asyncio.sleep(0.02)
        parsed = notes.parse(final, cluster.network.chain_id)
        good = [line.name for line in parsed.lines if notes.cosigned_at(key.public, parsed.text, line)]
        assert good == ["MARKET/market-1"]
        for service in cluster.services.values():
            era = service.view.derived_store.note(f"era-{reply.height:015d}")
            assert era is not None
            trust = parse_trust(cluster.network.policy_file.read_bytes())
            assert verify_checkpoint(trust, era).checkpoint.size < parsed.size
        assert not any(service.view.halted for service in cluster.services.values())


async def test_a_double_signature_is_kept_as_evidence(tmp_path: Path) -> None:
    """auditor-1's key signs another tree of the same size: broker-1 keeps the proof and believes it no
    more.
    """
    async with Cluster(tmp_path, NODES) as cluster:
        await cluster.start()
        gateway = cluster.gateway(await cluster.leader())
        committed = (await gateway.submit(cluster.envelope(2))).committed
        await until_final(cluster, committed.height)
        view = cluster.services["broker-1"].view
        key = load_key(cluster.places["auditor-1"].data_dir / "keys/cosigner.key")
        text = notes.checkpoint_text(cluster.network.chain_id, view.size, bytes(32))
        forged = format_note(text, [cosign("AUDITOR/auditor-1", key.seed, text, 1_800_000_000)])
        _hub(cluster, "auditor-1").send("broker-1", forged)
        folder = cluster.places["broker-1"].data_dir / "evidence"
        await cluster.until(lambda: any(folder.glob("*.bin")), "the evidence file")
        (conviction,) = convictions.load(folder, cluster.network.chain_id)
        assert conviction.name == "AUDITOR/auditor-1"
        assert (await status(cluster, "broker-1"))["convicted"] == ["AUDITOR/auditor-1"]
        again = (await gateway.submit(cluster.envelope(1, first=60))).committed
        await until_final(cluster, again.height, "broker-1")
        assert cluster.services["broker-1"].view.raft_status().role is not Role.HALTED
        await cluster.kill("broker-1")
        await cluster.start("broker-1")
        assert (await status(cluster, "broker-1"))["convicted"] == ["AUDITOR/auditor-1"]


def _hub(cluster: Cluster, node_id: str) -> Any:
    """The attest channel of a running node."""
    for callback in cluster.services[node_id].view._callbacks:
        owner = getattr(callback, "__self__", None)
        if isinstance(owner, Attestor):
            return owner._channel
    raise AssertionError("no attestor")


def _code(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own node
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
