"""Killed processes: what was answered with 2xx is on the chain exactly once, whoever died in between."""

import contextlib
import time
from pathlib import Path

import pytest
from e2e_network import (
    Submitter,
    get,
    item,
    kill,
    leader_of,
    post,
    running_network,
    start,
    wait_states,
)

from scripts.devfolder import DevNetwork
from scripts.web import request

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("e2e")]


def _positions(network: DevNetwork, commitment: str) -> list[dict[str, int]]:
    answer = request(f"{network.nodes[-1].read_url}/v1/find?commitment={commitment}")
    assert answer.status == 200, answer.body
    found: list[dict[str, int]] = answer.json()["positions"]
    return found


def test_nothing_answered_is_lost_or_doubled(tmp_path: Path) -> None:
    """Gateway, leader, follower and observer are killed under load; every answered record becomes final, once."""
    with running_network(tmp_path / "net") as network:
        with Submitter(network) as submitter:
            time.sleep(1)
            for victim in ("gateway", "leader", "gateway", "follower", "regulator-1", "leader"):
                leader = leader_of(network)
                followers = [n.name for n in network.nodes if n.role == "voter" and n.name != leader]
                name = {"leader": leader, "follower": followers[0]}.get(victim, victim)
                kill(network, name)
                time.sleep(1)
                start(network, name)
                time.sleep(0.5)
        answered = submitter.answered
        assert len(answered) > 100, "the load was too small to mean anything"
        wait_states(network, [record for record, _ in answered.values()], "final", 60)
        for _, commitment in answered.values():
            assert len(_positions(network, commitment)) == 1
        ref, (record, commitment) = next(iter(answered.items()))
        again = post(network, [item(ref, commitment=commitment)])
        assert again.status in {200, 202}
        assert again.json()["items"][0]["id"] == record
        print(f"{len(answered)} answered and final once, {submitter.failures} requests refused or cut off")


def test_submissions_go_on_soon_after_the_leader_dies(tmp_path: Path) -> None:
    """The bound is 3 s; the test fails only far beyond it, and prints what it saw."""
    with running_network(tmp_path / "net") as network:
        assert post(network, [item()], wait_s=20).json()["items"][0]["state"] == "final"
        kill(network, leader_of(network))
        since = time.monotonic()
        answer = post(network, [item()], wait_s=30, timeout_s=40)
        took_s = time.monotonic() - since
        assert answer.json()["items"][0]["state"] == "final"
        print(f"final again {took_s:.2f} s after the leader was killed")
        assert took_s < 30


def test_without_a_quorum_records_wait_and_then_become_final(tmp_path: Path) -> None:
    """Two of three voters down: accepted, pending, never final; back again: final. The regulator reads on alone."""
    with running_network(tmp_path / "net") as network:
        first = post(network, [item()], wait_s=20).json()["items"][0]
        assert first["state"] == "final"
        voters = [n.name for n in network.nodes if n.role == "voter"]
        for name in voters[1:]:
            kill(network, name)
        answer = post(network, [item()])
        assert answer.status == 202
        record = answer.json()["items"][0]["id"]
        time.sleep(2)
        assert get(network, f"/v1/records/{record}").json()["state"] in {"received", "pending"}
        kill(network, voters[0])
        regulator = network.nodes[-1].read_url
        assert request(f"{regulator}/checkpoint").status == 200
        status = request(f"{regulator}/v1/status").json()
        assert status["role"] == "observer"
        assert status["applied_height"] > 0
        start(network, *voters)
        wait_states(network, [record], "final", 60)


def test_all_killed_at_once_come_back(tmp_path: Path) -> None:
    """A power cut of the whole house loses nothing that was answered."""
    with running_network(tmp_path / "net") as network:
        with Submitter(network) as submitter:
            time.sleep(2)
            for name in [n.name for n in network.nodes]:
                kill(network, name)
            kill(network, "gateway")
        assert submitter.answered
        with contextlib.suppress(AssertionError):
            start(network, *[n.name for n in network.nodes])
        start(network, "gateway")
        wait_states(network, [record for record, _ in submitter.answered.values()], "final", 60)
