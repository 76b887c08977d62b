"""A voter whose store was touched: it says so in plain words and takes part in nothing; the others go on."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from e2e_network import item, leader_of, post, running_network, start, stop

from scripts import devnet, processes
from scripts.demo_runs import _last_reason
from scripts.devfolder import DevNetwork, NodePlace
from scripts.exit_codes import CommandError
from scripts.web import request

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("e2e")]


def _largest(folder: Path) -> Path:
    files = [f for f in folder.iterdir() if f.suffix in {".log", ".ldb"}]
    return max(files, key=lambda f: f.stat().st_size)


def _flip(chain: Path, _older: Path) -> None:
    file = _largest(chain)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0x04
    file.write_bytes(data)


def _cut(chain: Path, _older: Path) -> None:
    file = _largest(chain)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _empty(chain: Path, _older: Path) -> None:
    shutil.rmtree(chain)
    chain.mkdir()


def _replace(chain: Path, older: Path) -> None:
    shutil.rmtree(chain)
    shutil.copytree(older, chain)


# name -> (what is done, words that the node's own explanation must have)
DAMAGE: dict[str, tuple[Callable[[Path, Path], None], str]] = {
    "one bit": (_flip, "E_STORE_DAMAGED"),
    "cut": (_cut, "E_STORE_DAMAGED"),
    "emptied": (_empty, "E_STORE_MISSING"),
    "older copy": (_replace, "amnesia"),
}


def _refusal(network: DevNetwork, victim: NodePlace) -> str:
    """Start a damaged node and return what it says; fails if it takes part."""
    devnet.start_processes(network, [victim.name])
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if processes.wait_gone(network.pid_file(victim.name), 0):
            return _last_reason(processes.tail(network.log_file(victim.name), 20))
        try:
            status = request(f"{victim.read_url}/v1/status", timeout_s=1).json()
        except CommandError:
            status = {}
        if status.get("role") == "halted":
            return str(status["reason"])
        time.sleep(0.1)
    raise AssertionError("the damaged node took part as if nothing were wrong")


def test_a_damaged_store_is_noticed_and_explained(tmp_path: Path) -> None:
    """One bit, a cut tail, an emptied folder, an older copy: four damages of one voter, one after the other."""
    with running_network(tmp_path / "net") as network:
        leader = leader_of(network)
        victim = next(n for n in network.nodes if n.role == "voter" and n.name != leader)
        chain, older, good = victim.data / "chain", tmp_path / "older", tmp_path / "good"
        for _ in range(5):
            post(network, [item() for _ in range(20)], wait_s=20)
        stop(network, victim.name)
        shutil.copytree(chain, older)
        start(network, victim.name)
        for _ in range(5):
            post(network, [item() for _ in range(20)], wait_s=20)
        stop(network, victim.name)
        shutil.copytree(victim.data, good)
        for name, (damage, expected) in DAMAGE.items():
            damage(chain, older)
            words = _refusal(network, victim)
            print(f"--- {name}:\n{words}")
            assert expected in words or "amnesia" in words, "it has to say why"
            answer = post(network, [item()], wait_s=20)
            assert answer.json()["items"][0]["state"] == "final", "the others go on"
            time.sleep(1)
            assert _has_not_signed(network, victim), "a node that lost its memory signs nothing"
            stop(network, victim.name)
            shutil.rmtree(victim.data)
            shutil.copytree(good, victim.data)
        start(network, victim.name)


def _has_not_signed(network: DevNetwork, victim: NodePlace) -> bool:
    """Whether no other node has seen a cosignature of the victim over the newest tree."""
    others = [n for n in network.nodes if n.name != victim.name]
    status = request(f"{others[0].read_url}/v1/status").json()
    seen = [int(c["size"]) for c in status["cosigners"] if c["node_id"] == victim.name]
    return all(size < int(status["tree_size"]) for size in seen)
