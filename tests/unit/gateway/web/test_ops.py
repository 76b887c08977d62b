"""The operators' listener."""

import json
from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import pytest
from aiohttp.test_utils import TestClient, TestServer

from gateway.metrics import Metrics
from gateway.web.ops import Check, ops_application

FOUND: list[Check] = []
Client: TypeAlias = "TestClient[Any, Any]"


@pytest.fixture
async def ops() -> AsyncIterator[Client]:
    """The ops application with checks of our choice."""
    FOUND[:] = [Check("storage", vital=True, words=""), Check("leader", vital=False, words="")]
    client = TestClient(TestServer(ops_application(Metrics("1.2.3"), "1.2.3", lambda: FOUND)))
    await client.start_server()
    yield client
    await client.close()


async def get(ops: Client, path: str) -> tuple[int, bytes]:
    """Return status and body."""
    async with ops.get(path) as answer:
        return answer.status, await answer.read()


async def test_alive_says_the_version(ops: Client) -> None:
    """The process turns."""
    status, body = await get(ops, "/livez")
    assert (status, json.loads(body)) == (200, {"alive": True, "version": "1.2.3"})


async def test_without_a_leader_the_gateway_is_degraded_but_ready(ops: Client) -> None:
    """It takes records into the outbox; only vital checks close it."""
    assert (await get(ops, "/readyz"))[0] == 200
    FOUND[1] = Check("leader", vital=False, words="no leader")
    status, body = await get(ops, "/readyz")
    document = json.loads(body)
    assert (status, document["ready"], document["degraded"]) == (200, True, True)
    assert document["checks"][1] == {"name": "leader", "ok": False, "vital": False, "words": "no leader"}
    FOUND[0] = Check("storage", vital=True, words="the database has failed")
    status, body = await get(ops, "/readyz")
    assert (status, json.loads(body)["ready"]) == (503, False)


async def test_figures_are_prometheus_text(ops: Client) -> None:
    """With the build's line."""
    status, body = await get(ops, "/metrics")
    assert status == 200
    assert b'tiezheng_build_info{role="gateway",version="1.2.3"} 1.0' in body


async def test_what_is_not_there_has_a_code(ops: Client) -> None:
    """As on the API."""
    status, body = await get(ops, "/records")
    assert (status, json.loads(body)["code"]) == (404, "E_ROUTE_UNKNOWN")
    async with ops.put("/livez") as answer:
        assert (answer.status, (await answer.json(content_type=None))["code"]) == (405, "E_METHOD")
