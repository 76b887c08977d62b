"""kill -9 of a real gateway process, again and again, under load and misbehaving nodes: nothing that was answered with 2xx
is lost, nothing is on the chain twice.
"""

import asyncio
import random
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from gateway_world import API_KEY, GatewayWorld, client_of, item, make_world, stop_nodes, until_ready

from ledger.receipt import verify_receipt
from ledger.trust import parse_trust

ROUNDS = 8
NODES = ("broker-1", "market-1")


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[GatewayWorld]:
    """A gateway's folder with two fake nodes over one chain."""
    world = await make_world(tmp_path, NODES, "[anchoring]\nreply_timeout_s = 1\n")
    yield world
    await stop_nodes(world)


class Load:
    """Callers that never give up: each repeats its request until it is answered with 2xx."""

    def __init__(self, made: GatewayWorld) -> None:
        self.made = made
        self.accepted: dict[str, str] = {}
        self.items: dict[str, dict[str, Any]] = {}
        self.next = 0
        self.stop = False

    def stopped(self) -> bool:
        """Whether the load has to end."""
        return self.stop

    async def caller(self, rng: random.Random) -> None:
        """Hand in singles and small batches, repeating what was not answered and sometimes what was."""
        while not self.stopped():
            count = rng.choice([1, 1, 5, 40])
            items = [item(number) for number in range(self.next, self.next + count)]
            self.next += count
            for one in items:
                self.items[one["ref"]] = one
            while True:
                entries = await self._post(items)
                if entries is None:
                    if self.stopped():
                        return
                    await asyncio.sleep(0.05)
                    continue
                for entry in entries:
                    assert self.accepted.setdefault(entry["ref"], entry["id"]) == entry["id"]
                if rng.random() > 0.3:  # else the same again, as a caller that lost the answer would
                    break

    async def _post(self, items: list[dict[str, Any]]) -> list[dict[str, str]] | None:
        try:
            async with (
                client_of(self.made) as client,
                client.post(
                    "/v1/commitments", json={"items": items}, timeout=aiohttp.ClientTimeout(5)
                ) as answer,
            ):
                if answer.status not in (200, 202):
                    return None
                body = await answer.json()
        except (aiohttp.ClientError, TimeoutError, ConnectionError):
            return None
        entries: list[dict[str, str]] = body["items"]
        return entries


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_killed_again_and_again_it_loses_and_doubles_nothing(made: GatewayWorld) -> None:
    """After the last restart every accepted reference is final at one place, with its own commitment."""
    rng = random.Random(20_251_125)
    load = Load(made)
    callers = [asyncio.create_task(load.caller(random.Random(seed))) for seed in range(4)]
    for _ in range(ROUNDS):
        process = made.spawn()
        await until_ready(made, timeout_s=30)
        for node in made.nodes:
            node.script.extend(
                rng.choices(["", "", "slow", "order-drop", "unknown", "order-unknown", "drop"], k=3)
            )
        await asyncio.sleep(rng.uniform(0.2, 1.2))
        process.send_signal(signal.SIGKILL)
        process.wait()
    load.stop = True
    process = made.spawn()
    await until_ready(made, timeout_s=30)
    await asyncio.gather(*callers)
    try:
        await _check_everything(made, load)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    _check_silence(made, load)


async def _check_everything(made: GatewayWorld, load: Load) -> None:
    """Every accepted record is final; the chain holds each leaf once; receipts verify."""
    assert len(load.accepted) > 100
    async with client_of(made) as client:
        records = await _final_records(client, len(load.accepted))
        by_ref = {record["ref"]: record for record in records}
        for ref, record_id in load.accepted.items():
            record = by_ref[ref]
            assert (record["id"], record["state"]) == (record_id, "final")
            assert record["commitment"] == load.items[ref]["commitment"]
        leaves = [leaf for leaf in made.chain.leaves if leaf[0] == 1]
        assert len(set(leaves)) == len(leaves)
        assert len({record["index"] for record in records}) == len(records) == len(leaves)
        trust = parse_trust(made.chain.policy())
        for record in records[:: max(1, len(records) // 20)]:
            async with client.get(record["receipt"]) as answer:
                verified = verify_receipt(await answer.read(), trust, bytes.fromhex(record["commitment"]))
            assert verified.index == record["index"]


async def _final_records(client: aiohttp.ClientSession, at_least: int) -> list[dict[str, Any]]:
    """Return all records once every one of them is settled."""
    deadline = time.monotonic() + 90
    while True:
        records: list[dict[str, Any]] = []
        params = {"limit": "200"}
        while True:
            async with client.get("/v1/records", params=params) as answer:
                page = await answer.json()
            records += page["items"]
            if page["next"] is None:
                break
            params["cursor"] = page["next"]
        if len(records) >= at_least and all(record["state"] == "final" for record in records):
            return records
        assert time.monotonic() < deadline, [r for r in records if r["state"] != "final"][:3]
        await asyncio.sleep(0.3)


def _check_silence(made: GatewayWorld, load: Load) -> None:
    """Neither references nor commitments nor keys are in what the gateway wrote about itself."""
    text = (made.folder / "gateway.log").read_text(encoding="utf-8")
    assert "gateway_started" in text
    assert API_KEY not in text
    for ref, one in load.items.items():
        assert ref not in text
        assert one["commitment"] not in text


@pytest.mark.slow
async def test_memory_stays_flat_under_endless_bodies(made: GatewayWorld) -> None:
    """Hundreds of megabytes of body, unasked for, cost neither memory nor the service."""
    process = made.spawn()
    await until_ready(made, timeout_s=30)

    def resident_mib() -> int:
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
        return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) // 1_024

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 1_048_576

    async def send(client: aiohttp.ClientSession) -> int | None:
        headers = {"Content-Type": "application/json"}
        try:
            async with client.post("/v1/commitments", data=endless(), headers=headers) as answer:
                return answer.status
        except (aiohttp.ClientError, ConnectionError):
            return None  # the gateway hung up while we were still sending

    async with client_of(made) as client:
        async with client.post("/v1/commitments", json=item(1)) as answer:
            assert answer.status == 202
        before = resident_mib()
        statuses = await asyncio.gather(*[send(client) for _ in range(8)])
        assert set(statuses) <= {413, None}
        assert resident_mib() - before < 48
        async with client.post("/v1/commitments", json=item(2)) as answer:
            assert answer.status == 202
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


@pytest.mark.slow
async def test_a_polite_stop_ends_quickly_and_with_zero(made: GatewayWorld) -> None:
    """SIGTERM closes the doors first, then everything else, and the database is let go."""
    process = made.spawn()
    await until_ready(made, timeout_s=30)
    async with client_of(made) as client, client.post("/v1/commitments", json=item(1)) as answer:
        assert answer.status == 202
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert time.monotonic() - started < 12
    log = (made.folder / "gateway.log").read_text(encoding="utf-8")
    assert "gateway_stopped" in log
    assert "Traceback" not in log
