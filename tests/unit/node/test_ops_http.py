"""The operator's listener, asked over a real socket."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from fake_node import VITALS, VOTER, voter

from node import telemetry
from node.http_door import HEADERS
from node.metrics import NodeMetrics
from node.ops_http import OpsHttp
from node.ports import NodeStats, Role
from node.standing import Standing


class Ops:
    """A running listener and what it shows."""

    def __init__(self) -> None:
        self.standing: Standing = VOTER
        metrics = NodeMetrics()
        metrics.show(lambda: self.standing, NodeStats, dict, {})
        self.door = OpsHttp(lambda: self.standing, lambda: VITALS, metrics).door("127.0.0.1:0")

    async def ask(self, path: str, method: str = "GET", **how: Any) -> tuple[int, str, dict[str, str]]:
        """Status, text and headers of one request."""
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"http://127.0.0.1:{self.door.port}{path}", **how) as answer,
        ):
            return answer.status, await answer.text(), dict(answer.headers)


@pytest.fixture
async def ops() -> AsyncIterator[Ops]:
    """A listener on a free port."""
    made = Ops()
    await made.door.start()
    yield made
    await made.door.stop()


async def test_a_healthy_node_is_alive_and_ready(ops: Ops) -> None:
    """Short by default, every check with ?verbose, one check by its path."""
    assert (await ops.ask("/livez"))[:2] == (200, "ok\n")
    assert (await ops.ask("/readyz"))[:2] == (200, "ok\n")
    status, text, headers = await ops.ask("/readyz?verbose")
    assert status == 200
    assert "[+] leader: the leader is broker-1" in text
    assert headers["Cache-Control"] == "no-store"
    assert (await ops.ask("/readyz/leader"))[0] == 200
    status, text, _ = await ops.ask("/readyz/nothing")
    assert (status, json.loads(text)["code"]) == (404, "E_HTTP_404")


async def test_an_unready_node_names_the_check(ops: Ops) -> None:
    """503, and the words without asking for them; other checks by path stay good."""
    ops.standing = voter(leader="")
    status, text, _ = await ops.ask("/readyz")
    assert status == 503
    assert "[-] leader: no leader is known" in text
    assert (await ops.ask("/readyz/leader"))[0] == 503
    assert (await ops.ask("/readyz/storage"))[0] == 200
    assert (await ops.ask("/livez"))[0] == 200


async def test_metrics_and_version(ops: Ops) -> None:
    """Exposition text of the right type; the version as JSON."""
    status, text, headers = await ops.ask("/metrics")
    assert status == 200
    assert "tiezheng_ledger_height 120.0" in text
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert "version" in json.loads((await ops.ask("/version"))[1])


async def test_the_status_document_has_every_key(ops: Ops) -> None:
    """For scripts: keys do not come and go with values."""
    ops.standing = voter(role=Role.HALTED, final_height=None, final_size=None, final_time_s=None)
    document = json.loads((await ops.ask("/status.json"))[1])
    assert document["schema"] == "tiezheng.node-status/1"
    assert document["role"] == "halted"
    assert document["final_size"] is None
    assert document["ready"] is False
    assert document["root"] == bytes(range(32)).hex()


async def test_the_telemetry_level_can_be_changed(ops: Ops) -> None:
    """GET tells, PUT sets, nonsense is refused with a code and changes nothing."""
    try:
        assert (await ops.ask("/telemetry", "PUT", json={"level": "debug"}))[0] == 200
        assert json.loads((await ops.ask("/telemetry"))[1]) == {"level": "debug"}
        for body in (
            b"",
            b"{}",
            b"[]",
            b'{"level": 5}',
            b'{"level": "loud"}',
            b'{"level": "info", "more": 1}',
            b'{"level": "info", "level": "info"}',
            b'[["level", "info"]]',
            b"[" * 1_024,
            b"\xff",
        ):
            status, text, _ = await ops.ask("/telemetry", "PUT", data=body)
            assert status == 400
            assert json.loads(text)["code"].startswith("E_")
        assert telemetry.level() == "debug"
        assert (await ops.ask("/telemetry", "PUT", data=b"x" * 5_000))[0] == 413
    finally:
        telemetry.set_level("info")


async def test_nothing_else_is_there(ops: Ops) -> None:
    """Unknown paths and methods are refused with a code; every answer has the hardening headers."""
    status, text, headers = await ops.ask("/")
    assert status == 404
    assert json.loads(text)["code"] == "E_HTTP_404"
    assert all(headers[name] == value for name, value in HEADERS.items())
    status, _, headers = await ops.ask("/livez", "POST")
    assert status == 405
    assert "GET" in headers["Allow"]
