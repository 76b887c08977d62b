"""Every answer that a node can give, and several nodes, over real gRPC, SQL and HTTP: each record ends final, once."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from gateway_world import SMS_KEY, GatewayWorld, client_of, item, make_world, running, stop_nodes

from ledger.record import decode_leaf


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[GatewayWorld]:
    """A gateway's folder with three fake nodes over one chain."""
    world = await make_world(
        tmp_path, ("broker-1", "market-1", "auditor-1"), "[anchoring]\nreply_timeout_s = 1\n"
    )
    yield world
    await stop_nodes(world)


async def post(client: aiohttp.ClientSession, numbers: range, wait_s: int = 30) -> list[dict[str, str]]:
    """Hand items in, wait until they are final, and return the answers."""
    items = [item(number) for number in numbers]
    async with client.post(
        "/v1/commitments", json={"items": items}, headers={"Prefer": f"wait={wait_s}"}
    ) as answer:
        body = await answer.json()
        assert answer.status == 200, body
    assert {entry["state"] for entry in body["items"]} == {"final"}
    entries: list[dict[str, str]] = body["items"]
    return entries


def sequence_numbers(made: GatewayWorld) -> list[int]:
    """Return the source sequence numbers of all record leaves on the chain, in its order."""
    found = [decode_leaf(leaf).source_seq for leaf in made.chain.leaves if leaf[0] == 1]
    return [number for number in found if number is not None]


@pytest.mark.parametrize(
    "behaviour",
    ["drop", "order-drop", "unknown", "order-unknown", "slow", "silent", "garbage", "short", "in-flight"],
)
async def test_whatever_a_node_answers_records_become_final_once(made: GatewayWorld, behaviour: str) -> None:
    """Every answer but a refusal costs time only; the chain holds each record once and in order."""
    async with running(made) as client:
        for node in made.nodes:
            node.script.extend([behaviour, behaviour])
        await post(client, range(3))
        await post(client, range(3, 6))
    assert sequence_numbers(made) == list(range(6))


async def test_a_refusal_fails_its_records_only(made: GatewayWorld) -> None:
    """They say why; what comes after them is anchored."""
    async with running(made) as client:
        made.nodes[0].script.append("refuse")
        items = [item(number) for number in range(2)]
        async with client.post(
            "/v1/commitments", json={"items": items}, headers={"Prefer": "wait=20"}
        ) as answer:
            body = await answer.json()
            assert answer.status == 200
        assert [entry["state"] for entry in body["items"]] == ["failed", "failed"]
        async with client.get("/v1/records/r1") as answer:
            assert (await answer.json())["code"] == "E_TEST_REFUSED"
        await post(client, range(5, 6))


async def test_leadership_moves(made: GatewayWorld) -> None:
    """Hints are followed, a dead leader is left, an election is waited for."""
    first, second, third = made.nodes
    second.leader = third.leader = False
    second.hint = third.hint = "broker-1"
    async with running(made) as client:
        await post(client, range(2))
        await first.stop()
        second.leader, third.hint = True, "market-1"
        started = asyncio.get_running_loop().time()
        await post(client, range(2, 4))
        assert asyncio.get_running_loop().time() - started < 3
        second.leader, second.hint, third.hint = False, "", ""
        late = asyncio.create_task(post(client, range(4, 6)))
        await asyncio.sleep(0.5)
        assert not late.done()
        third.leader = True
        await late
    assert sequence_numbers(made) == list(range(6))


async def test_without_any_node_records_are_taken_in_and_become_final_later(made: GatewayWorld) -> None:
    """Intake does not depend on the chain; the ops door says degraded, and still ready."""
    async with running(made) as client:
        await post(client, range(1))
        for node in made.nodes:
            await node.stop()
        items = [item(number) for number in range(1, 4)]
        async with client.post("/v1/commitments", json={"items": items}) as answer:
            assert answer.status == 202
        await asyncio.sleep(0.5)
        async with aiohttp.ClientSession() as ops, ops.get(f"{made.ops_url}/readyz") as answer:
            ready = await answer.json()
            assert answer.status == 200
        assert ready["degraded"] is True
        async with client.get("/v1/records/r2/receipt") as answer:
            assert answer.status == 202
        for node in made.nodes:
            await node.start()
        await post(client, range(1, 4))
    assert sequence_numbers(made) == list(range(4))


async def test_the_same_leaf_under_two_references_has_one_position(made: GatewayWorld) -> None:
    """In one request, and later again: the chain holds it once, and every reference shows that place."""
    twin = {**item(7), "ref": "TWIN-A"}
    later = {**item(7), "ref": "TWIN-B"}
    async with running(made) as client:
        for items in ([item(7), twin], [later, item(8)]):
            async with client.post(
                "/v1/commitments", json={"items": items}, headers={"Prefer": "wait=20"}
            ) as answer:
                assert answer.status == 200
        places = []
        for ref in (item(7)["ref"], "TWIN-A", "TWIN-B"):
            async with client.get("/v1/records", params={"ref": ref}) as answer:
                (record,) = (await answer.json())["items"]
            places.append(record["index"])
            async with client.get(record["receipt"]) as answer:
                assert answer.status == 200
    assert places[0] is not None
    assert len(set(places)) == 1
    assert sequence_numbers(made) == [7, 8]


async def test_a_key_bound_to_a_source_sees_and_sends_only_that(made: GatewayWorld) -> None:
    """The keys file is in force."""
    async with running(made) as client, client_of(made, SMS_KEY) as sms:
        await post(client, range(2))
        async with client.post("/v1/commitments", json=item(3, source="CRM")) as answer:
            record_id = (await answer.json())["id"]
        async with sms.post("/v1/commitments", json=item(4, source="CRM")) as answer:
            assert answer.status == 403
        async with sms.get(f"/v1/records/{record_id}") as answer:
            assert answer.status == 404
        async with sms.post("/v1/commitments", json=item(5)) as answer:
            assert answer.status == 202


async def test_a_forked_chain_halts_anchoring_and_says_so(made: GatewayWorld) -> None:
    """Intake goes on, nothing is anchored, the alarm is up, and a restart does not forget."""
    async with running(made) as client:
        await post(client, range(1))
        chain = made.chain
        assert chain.final is not None
        chain.final = (chain.note(root=b"\x11" * 32), chain.final[1], chain.final[2])
        for listener in list(chain.listeners):
            listener()
        async with aiohttp.ClientSession() as ops, asyncio.timeout(10):
            while True:
                async with ops.get(f"{made.ops_url}/metrics") as answer:
                    if "tiezheng_fork_detected 1.0" in await answer.text():
                        break
                await asyncio.sleep(0.05)
        async with client.post("/v1/commitments", json=item(5)) as answer:
            assert answer.status == 202
        await asyncio.sleep(0.3)
    assert sequence_numbers(made) == [0]
    async with running(made), aiohttp.ClientSession() as ops:
        async with ops.get(f"{made.ops_url}/readyz") as answer:
            checks = {check["name"]: check["words"] for check in (await answer.json())["checks"]}
        assert "forked" in checks["anchoring"]
        await asyncio.sleep(0.3)
    assert sequence_numbers(made) == [0]
