"""One table of all nodes, and an exit code that an alarm can act on."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from e2e_network import free_port_base
from little_http import Answer, little_server

from scripts import devnet
from scripts.cli import tiezheng
from scripts.cmd_status import gather, render


def _status(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    made: dict[str, Any] = {
        "chain_id": "tz-00000000",
        "node_id": "broker-1",
        "institution": "BROKER",
        "role": "leader",
        "leader": "broker-1",
        "term": 3,
        "last_height": 10,
        "commit_height": 10,
        "applied_height": 10,
        "tree_size": 40,
        "root": "00" * 32,
        "final_size": 40,
        "final_height": 10,
        "cosigners": [{"institution": "BROKER", "node_id": "broker-1", "size": 40, "time_s": now}],
        "version": "0.1.0",
        "reason": "",
    }
    return made | changes


def _asked(status: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    def answer(_method: str, path: str, _body: bytes) -> Answer | None:
        return (200, status) if path == "/v1/status" else None

    with little_server(answer) as server:
        result = CliRunner().invoke(tiezheng, ["status", "--read-url", server.url, "--json"])
        return result.exit_code, json.loads(result.stdout)


def test_a_healthy_node_is_exit_code_0() -> None:
    """Leader there, everything final, a fresh cosignature."""
    code, view = _asked(_status())
    assert (code, view["healthy"], view["leader"], view["height"]) == (0, True, "broker-1", 10)
    assert view["nodes"][0]["lag"] == 0


def test_a_halted_node_is_exit_code_7_and_says_why() -> None:
    """The reason stands in the document and under the table."""
    code, view = _asked(_status(role="halted", reason="the store lost its tail"))
    assert code == 7
    assert "the store lost its tail" in render(view)


def test_an_old_cosignature_is_not_healthy() -> None:
    """An institution that stopped signing is noticed here first."""
    old = [{"institution": "BROKER", "node_id": "broker-1", "size": 40, "time_s": int(time.time()) - 600}]
    code, view = _asked(_status(cosigners=old))
    assert code == 7
    assert view["nodes"][0]["cosignature_age_s"] >= 600


def test_nobody_there_is_exit_code_3() -> None:
    """A node that does not answer is a row, not a traceback."""
    result = CliRunner().invoke(tiezheng, ["status", "--read-url", "http://127.0.0.1:9"])
    assert result.exit_code == 3
    assert "down" in result.stdout


def test_a_door_that_answers_nonsense_is_a_node_that_is_down() -> None:
    """Another program on that port is not mistaken for a node."""

    def answer(_method: str, _path: str, _body: bytes) -> Answer:
        return 200, b"hello"

    with little_server(answer) as server:
        view = gather([("x", server.url)])
    assert view["nodes"][0]["reachable"] is False
    assert view["healthy"] is False


def test_every_key_is_always_there() -> None:
    """Scripts never have to ask whether a key exists."""
    _, up = _asked(_status())
    down = gather([("x", "http://127.0.0.1:9")])
    assert set(up) - {"schema"} == set(down)
    assert set(up["nodes"][0]) == set(down["nodes"][0])


def test_a_follower_knows_the_leader() -> None:
    """Asking one institution's own node is enough to see a healthy chain."""
    code, view = _asked(_status(node_id="broker-1", role="follower", leader="market-1"))
    assert (code, view["leader"]) == (0, "market-1")
    code, view = _asked(_status(role="follower", leader=""))
    assert (code, view["leader"]) == (7, "")


def test_an_observer_alone_is_judged_by_what_it_promises() -> None:
    """It knows no leader and needs none."""
    code, _ = _asked(_status(role="observer", leader=""))
    assert code == 0


def test_a_gateway_that_is_down_is_not_healthy(tmp_path: Path) -> None:
    """Five processes make the development network; an alarm on the exit code must see all of them."""
    network = devnet.create(tmp_path / "net", free_port_base())

    def answer(_method: str, path: str, _body: bytes) -> Answer | None:
        return (200, _status()) if path == "/v1/status" else (200, b"ok") if path == "/readyz" else None

    with little_server(answer) as server:
        up = gather([("broker-1", server.url)], replace(network, gateway_ops_url=server.url))
        down = gather([("broker-1", server.url)], network)
    assert (up["healthy"], down["healthy"]) == (True, False)
    assert "way out" not in render(up)
    assert "tiezheng dev up" in render(down)
