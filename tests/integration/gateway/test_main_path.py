"""The main path over real HTTP, SQL and gRPC: a commitment goes in and comes back as a verified receipt."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from gateway_world import GatewayWorld, item, make_world, running, stop_nodes

from ledger.receipt import verify_receipt
from ledger.trust import parse_trust


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[GatewayWorld]:
    """A gateway's folder with one fake node running."""
    world = await make_world(tmp_path)
    yield world
    await stop_nodes(world)


async def test_a_commitment_becomes_a_receipt(made: GatewayWorld) -> None:
    """A batch is accepted, becomes final, and each record's receipt verifies with the trust file alone."""
    async with running(made) as client:
        items = [item(number) for number in range(5)]
        async with client.post(
            "/v1/commitments", json={"items": items}, headers={"Prefer": "wait=10"}
        ) as answer:
            body = await answer.json()
            assert answer.status == 200, body
            assert answer.headers["Preference-Applied"] == "wait=10"
        assert [entry["state"] for entry in body["items"]] == ["final"] * 5
        assert [entry["ref"] for entry in body["items"]] == [one["ref"] for one in items]
        trust = parse_trust(made.chain.policy())
        for entry, one in zip(body["items"], items, strict=True):
            async with client.get(f"/v1/records/{entry['id']}/receipt?with=header") as answer:
                assert answer.status == 200
                assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
                verified = verify_receipt(await answer.read(), trust, bytes.fromhex(str(one["commitment"])))
            assert verified.record.source_seq == one["source_seq"]
            assert verified.block is not None
