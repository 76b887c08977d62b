"""Whole networks of real processes for the end-to-end tests: made, started, killed, asked, always stopped.

Why: what matters to users is seen only on real processes with real disks and real TLS. These helpers call the same
functions as `tiezheng dev`, so a test network is a development network.

Every wait has a limit; every process that is started here is stopped here, by its pid file.
"""

import contextlib
import json
import secrets
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from scripts import devnet, processes
from scripts.devfolder import DevNetwork
from scripts.exit_codes import CommandError
from scripts.web import Answer, read_key_file, request

_SPAN = 100  # ports of one network


def free_port_base() -> int:
    """Return the first port of a span in which nobody listens."""
    for _ in range(200):
        base = 12_000 + secrets.randbelow(200) * _SPAN  # below the kernel's range for outgoing connections
        if all(_is_free(base + offset) for offset in (*range(45), 80, 84)):
            return base
    raise AssertionError("no free span of ports was found")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@contextlib.contextmanager
def running_network(folder: Path) -> Iterator[DevNetwork]:
    """Make a network below `folder`, start all of it, and stop all of it at the end."""
    network = devnet.create(folder, free_port_base())
    try:
        devnet.start_processes(network, devnet.names(network))
        devnet.wait_ready(network, devnet.names(network))
        yield network
    finally:
        devnet.stop_processes(network, reversed(devnet.names(network)))


def kill(network: DevNetwork, name: str) -> None:
    """End a process as a power cut would, and wait until it is gone."""
    assert processes.send(network.pid_file(name), signal.SIGKILL), f"{name} was not running"
    assert processes.wait_gone(network.pid_file(name), 10)


def start(network: DevNetwork, *names: str) -> None:
    """Start processes and wait until they are useful."""
    devnet.start_processes(network, names)
    devnet.wait_ready(network, names)


def stop(network: DevNetwork, *names: str) -> None:
    """Stop processes politely."""
    devnet.stop_processes(network, names)


def leader_of(network: DevNetwork) -> str:
    """Return the leader's name as soon as a node names one."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for place in network.nodes:
            with contextlib.suppress(CommandError):
                status = request(f"{place.read_url}/v1/status", timeout_s=2).json()
                if status["role"] == "leader":
                    return str(status["node_id"])
        time.sleep(0.05)
    raise AssertionError("no leader within 20 s")


def item(ref: str | None = None, **changes: Any) -> dict[str, Any]:
    """Return an item of `POST /v1/commitments` with a random commitment."""
    made: dict[str, Any] = {
        "ref": ref or f"e2e-{secrets.token_hex(8)}",
        "commitment": secrets.token_hex(32),
        "source": "E2E",
        "source_seq": None,
        "template": "E2E-01",
        "template_version": 1,
    }
    return made | changes


def post(
    network: DevNetwork, items: list[dict[str, Any]], *, wait_s: int = 0, timeout_s: float = 30
) -> Answer:
    """Submit items; the answer comes back whatever its status."""
    headers = {"Prefer": f"wait={wait_s}"} if wait_s else {}
    return request(
        f"{network.gateway_url}/v1/commitments",
        method="POST",
        document={"items": items},
        api_key=read_key_file(network.api_key_file),
        headers=headers,
        timeout_s=timeout_s,
    )


def get(network: DevNetwork, path: str) -> Answer:
    """Ask the gateway with the demonstration key."""
    return request(f"{network.gateway_url}{path}", api_key=read_key_file(network.api_key_file), timeout_s=30)


def wait_states(network: DevNetwork, ids: list[str], wanted: str, timeout_s: float) -> None:
    """Wait until every record is in state `wanted`."""
    deadline = time.monotonic() + timeout_s
    waiting = list(ids)
    state = ""
    while waiting:
        with contextlib.suppress(CommandError):
            state = get(network, f"/v1/records/{waiting[-1]}").json().get("state", "")
            if state == wanted:
                waiting.pop()
                continue
        assert time.monotonic() < deadline, (
            f"{len(waiting)} records are not {wanted}; the next one is {state!r}"
        )
        time.sleep(0.05)


class Submitter:
    """Submits small batches from a thread without a pause, whatever is killed meanwhile, and remembers each 2xx."""

    def __init__(self, network: DevNetwork, batch: int = 5) -> None:
        """Name the network; `with` runs it."""
        self._network = network
        self._batch = batch
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.answered: dict[str, tuple[str, str]] = {}  # ref -> (id, commitment)
        self.failures = 0

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End, and wait for the last request."""
        self._stop.set()
        self._thread.join(60)

    def _run(self) -> None:
        while not self._stop.is_set():
            items = [item() for _ in range(self._batch)]
            try:
                answer = post(self._network, items, timeout_s=10)
            except CommandError:
                self.failures += 1
                time.sleep(0.05)
                continue
            if answer.status not in {200, 202}:
                self.failures += 1
                time.sleep(0.05)
                continue
            for sent, result in zip(items, json.loads(answer.body)["items"], strict=True):
                self.answered[sent["ref"]] = (result["id"], sent["commitment"])
