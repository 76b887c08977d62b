"""`tiezheng dev` on real processes: what its page promises, typed as a person or a script would type it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e_network import free_port_base, kill

from scripts import devfolder, devnet, processes
from scripts.devfolder import DevNetwork
from scripts.exit_codes import Exit

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("e2e")]

NAMES = ["broker-1", "market-1", "auditor-1", "regulator-1"]
_WAIT_S = 60


def call(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run `tiezheng` with the arguments in a process of its own."""
    argv = [sys.executable, "-m", "scripts.cli", *map(str, arguments)]
    return subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
    )


def dev(folder: Path, *arguments: object, expected: Exit = Exit.OK) -> dict[str, Any]:
    """Run `tiezheng dev … --json` on the folder; return its document."""
    done = call("dev", *arguments, "--data", folder, "--json")
    assert done.returncode == expected, done.stdout + done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def running(network: DevNetwork) -> set[str]:
    """The names of the processes that run."""
    return {n for n in devnet.names(network) if processes.running_pid(network.pid_file(n)) is not None}


@contextlib.contextmanager
def stopped_at_the_end(folder: Path) -> Iterator[None]:
    """Whatever a test does, nothing of the folder runs when it is over."""
    try:
        yield
    finally:
        if (folder / devfolder.INDEX_NAME).exists():
            network = devfolder.load(folder)
            devnet.stop_processes(network, reversed(devnet.names(network)))


class Foreground:
    """`tiezheng dev up` in the foreground, its notes read as they come."""

    def __init__(self, folder: Path) -> None:
        """Start it, as the only process of its session."""
        argv = [sys.executable, "-m", "scripts.cli", "dev", "up", "--empty", "--data", str(folder)]
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._said = b""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as pipe:
            while more := os.read(pipe.fileno(), 4096):
                self._said += more

    def wait_for(self, words: str) -> None:
        """Wait until it has said the words."""
        deadline = time.monotonic() + _WAIT_S
        while words.encode() not in self._said:
            assert self._reader.is_alive(), self._said.decode()
            assert time.monotonic() < deadline, self._said.decode()
            time.sleep(0.02)

    def end(self, number: signal.Signals) -> int:
        """Send the signal, wait for the end, return the exit code."""
        self._process.send_signal(number)
        try:
            return self._process.wait(_WAIT_S)
        finally:
            self._process.kill()
            self._process.wait(_WAIT_S)
            self._reader.join(_WAIT_S)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A network with samples, made and started by the command; each test leaves it running."""
    place = tmp_path_factory.mktemp("dev") / "net"
    with stopped_at_the_end(place):
        dev(place, "up", "--detach", "--port-base", free_port_base())
        yield place


def test_up_prints_where_everything_is(folder: Path) -> None:
    """The document has what a script needs: doors, files, roles; a second call changes nothing that runs."""
    document = dev(folder, "up", "--detach")
    assert document["schema"] == "tiezheng.dev/1"
    assert document["data"] == str(folder)
    base = devfolder.load(folder).port_base
    assert document["gateway"] == f"http://127.0.0.1:{base + 80}"
    assert Path(document["api_key_file"]).stat().st_mode & 0o777 == 0o600
    assert "quorum institutions" in Path(document["policy_file"]).read_text(encoding="utf-8")
    assert list(document["nodes"]) == NAMES
    for place, (name, node) in enumerate(document["nodes"].items()):
        assert node["read_url"] == f"http://127.0.0.1:{base + 10 * place + 3}"
        assert node["ops_url"] == f"http://127.0.0.1:{base + 10 * place + 4}"
        assert node["role"] == ("observer" if name == "regulator-1" else "voter")
    records = json.loads((folder / "samples/records.json").read_text(encoding="utf-8"))
    assert len(records) == 42
    assert dev(folder, "up", "--detach") == document, "the same processes go on running"


def test_up_starts_only_what_does_not_run(folder: Path) -> None:
    """After a crash of one process a second `up` starts that one, and the chain goes on where it was."""
    before = dev(folder, "up", "--detach")
    kill(devfolder.load(folder), "market-1")
    after = dev(folder, "up", "--detach")
    assert after["chain_id"] == before["chain_id"]
    assert after["gateway_pid"] == before["gateway_pid"]
    changed = [n for n in NAMES if after["nodes"][n]["pid"] != before["nodes"][n]["pid"]]
    assert changed == ["market-1"]


def test_stop_and_start_one_process(folder: Path) -> None:
    """By name; the rest goes on; saying it twice is no error; the exit code of `status` tells."""
    network = devfolder.load(folder)
    for name in ("auditor-1", "gateway"):
        assert dev(folder, "stop", name)["processes"] == {name: "stopped"}
        assert running(network) == {*NAMES, "gateway"} - {name}
        assert call("status", "--data", folder).returncode == Exit.DEGRADED
        assert dev(folder, "start", name)["processes"] == {name: "started"}
    assert dev(folder, "start", "gateway")["processes"] == {"gateway": "running already"}
    assert dev(folder, "stop", "gateway")["processes"] == {"gateway": "stopped"}
    assert dev(folder, "stop", "gateway")["processes"] == {"gateway": "not running"}
    devnet.start_processes(network, ["gateway"])
    devnet.wait_ready(network, ["gateway"])
    assert call("status", "--data", folder).returncode == Exit.OK


def test_a_second_network_on_the_same_ports_is_told_to_go_elsewhere(folder: Path, tmp_path: Path) -> None:
    """The port, who holds it and the way out are named; nothing was made and nothing was stopped."""
    network = devfolder.load(folder)
    other = tmp_path / "other"
    done = call("dev", "up", "--detach", "--port-base", network.port_base, "--data", other)
    assert done.returncode == Exit.CONFLICT
    holder = processes.running_pid(network.pid_file("broker-1"))
    assert f"port {network.port_base}, needed by a new network, is taken by process {holder}" in done.stderr
    assert "--port-base" in done.stderr
    assert not other.exists()
    assert running(network) == {*NAMES, "gateway"}


@pytest.mark.parametrize("drill", ["tamper", "outage", "fork"])
def test_a_drill_ends_well_and_leaves_the_network_as_it_was(folder: Path, drill: str) -> None:
    """Exit code 0, a verdict in words, and afterwards everybody runs and is healthy."""
    document = dev(folder, "demo", drill)
    assert (document["schema"], document["demo"]) == ("tiezheng.demo/1", drill)
    assert document["verdict"].endswith(".")
    assert running(devfolder.load(folder)) == {*NAMES, "gateway"}
    assert call("status", "--data", folder).returncode == Exit.OK
    assert not list(folder.parent.glob("*-fork-drill"))
    assert not list(folder.glob("nodes/*/chain.*"))


def test_a_life_with_interruptions(tmp_path: Path) -> None:
    """Ctrl+C while it starts and SIGTERM while it runs stop everything; a moved folder starts; reset removes it."""
    first, moved = tmp_path / "first", tmp_path / "moved"
    with stopped_at_the_end(first), stopped_at_the_end(moved):
        network = devnet.create(first, free_port_base())
        starting = Foreground(first)
        starting.wait_for("[3/7]")
        assert starting.end(signal.SIGINT) == Exit.INTERRUPTED
        assert running(network) == set()
        first.rename(moved)
        network = devfolder.load(moved)
        up = Foreground(moved)
        up.wait_for("Ctrl+C stops the network")
        assert running(network) == {*NAMES, "gateway"}
        refused = dev(moved, "reset", expected=Exit.USAGE)
        assert "--yes" in refused["hint"]
        assert up.end(signal.SIGTERM) == Exit.OK
        assert running(network) == set()
        assert dev(moved, "down")["processes"] == dict.fromkeys(["gateway", *reversed(NAMES)], "not running")
        assert dev(moved, "reset", "--yes")["removed"] == str(moved)
        assert not moved.exists()
