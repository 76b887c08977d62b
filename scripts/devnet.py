"""The development network: making its folder, starting and stopping its processes, waiting until they are useful.

Why: `tiezheng dev …`, the demos and the whole-system tests all need the same network, with the same files and the same
command lines that production uses. Everything here works on real processes through their doors.

Refuses: ports that somebody else holds (it names the process), a folder of another program, production use: keys are
made without ceremony and every door listens on loopback only.
"""

import json
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from gateway.app import init_gateway
from scripts import processes
from scripts.devfolder import DevNetwork, NodePlace, load, save
from scripts.exit_codes import CommandError, Exit
from scripts.network import NODES, build_network
from scripts.output import note
from scripts.sample_records import write_samples
from scripts.web import expect, read_key_file, request

GATEWAY = "gateway"
_READY_TIMEOUT_S = 45.0
_SAMPLES_TIMEOUT_S = 60.0
# Doors per node and of the gateway, as offsets from the node's base port.
_NODE_DOORS = 5
_GATEWAY_OFFSETS = (80, 84)
_PORT_MAX = 65_400
_WORDS_MAX = 400


def create(folder: Path, port_base: int) -> DevNetwork:
    """Make keys, genesis, trust file and configurations below `folder` and return the network (nothing runs yet).

    Raises CommandError (CONFLICT) when the folder holds something else or a port is taken; then nothing was made.
    """
    if not 1024 <= port_base <= _PORT_MAX:
        raise CommandError(Exit.USAGE, f"--port-base must be between 1024 and {_PORT_MAX}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CommandError(
            Exit.CONFLICT,
            f"{folder} is no empty folder and holds no development network",
            hint="name another folder with --data, or remove it yourself if it is a leftover",
        )
    _check_ports(_all_ports(port_base), "a new network")
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    built = build_network(folder, port_base)
    init_gateway(built.gateway.config_path)
    network = DevNetwork(
        folder=folder,
        chain_id=built.chain_id,
        port_base=port_base,
        gateway_url=built.gateway.url,
        gateway_ops_url=built.gateway.ops_url,
        gateway_config=built.gateway.config_path,
        api_key_file=built.gateway.api_key_file,
        policy_file=built.policy_file,
        nodes=tuple(
            NodePlace(n.node_id, n.institution, n.role, n.config_path, n.data_dir, n.read_url, n.ops_url)
            for n in built.nodes
        ),
    )
    _write_commands(network)
    save(network)  # last: its presence says that the folder is whole
    return network


def process_of(network: DevNetwork, name: str) -> processes.Managed:
    """Return how the process called `name` (a node, or "gateway") is run: the production command line."""
    tail = (
        (GATEWAY, "run", "--config", str(network.gateway_config))
        if name == GATEWAY
        else ("node", "run", "--config", str(network.node(name).config))
    )
    argv = (sys.executable, "-m", "scripts.cli", *tail)
    return processes.Managed(name, argv, network.pid_file(name), network.log_file(name))


def names(network: DevNetwork) -> list[str]:
    """Return all process names, in start order."""
    return [*(n.name for n in network.nodes), GATEWAY]


def start_processes(network: DevNetwork, wanted: Iterable[str]) -> list[str]:
    """Start those of `wanted` that are not running; return the names of the started ones.

    Raises CommandError (CONFLICT) when a port is taken, naming the process that holds it.
    """
    started = []
    for name in wanted:
        if processes.running_pid(network.pid_file(name)) is not None:
            continue
        _check_ports(_ports_of(network, name), name)
        processes.start(process_of(network, name))
        started.append(name)
    return started


def check_ports(network: DevNetwork) -> None:
    """Raise CommandError (CONFLICT) when a port of a process that does not run yet is taken: before any is started."""
    for name in names(network):
        if processes.running_pid(network.pid_file(name)) is None:
            _check_ports(_ports_of(network, name), name)


def _ports_of(network: DevNetwork, name: str) -> list[int]:
    place = None if name == GATEWAY else [n.name for n in network.nodes].index(name)
    return _ports(network.port_base, place)


def free_port_base(first: int) -> int:
    """Return the first port base from `first` on that a new network can use; `first` itself when none of twenty is free."""
    for base in range(first, first + 2000, 100):
        if all(processes.port_owner(port) is None for port in _all_ports(base)):
            return base
    return first


def _all_ports(port_base: int) -> list[int]:
    return [port for place in (*range(len(NODES)), None) for port in _ports(port_base, place)]


def _ports(port_base: int, place: int | None) -> list[int]:
    """Return the ports of the node at `place` in the order of the nodes, of the gateway when `place` is None."""
    if place is None:
        return [port_base + offset for offset in _GATEWAY_OFFSETS]
    first = port_base + 10 * place
    return list(range(first, first + _NODE_DOORS))


def _check_ports(ports: Iterable[int], name: str) -> None:
    for port in ports:
        owner = processes.port_owner(port)
        if owner is not None:
            who = f"process {owner}" if owner else "another user's process"
            raise CommandError(
                Exit.CONFLICT,
                f"port {port}, needed by {name}, is taken by {who}",
                hint="choose other ports for a new network with --port-base (and --data), or stop that process",
            )


def wait_ready(network: DevNetwork, wanted: Iterable[str], timeout_s: float = _READY_TIMEOUT_S) -> None:
    """Wait until every process of `wanted` says at its ops door that it is useful.

    Raises CommandError (NODE_HALTED) with the end of its telemetry when one has ended, (OUTCOME_UNKNOWN) when time runs out.
    """
    deadline = time.monotonic() + timeout_s
    for name in wanted:
        url = network.gateway_ops_url if name == GATEWAY else network.node(name).ops_url
        while (missing := _not_ready(url)) is not None:
            if processes.wait_gone(network.pid_file(name), 0):
                raise CommandError(
                    Exit.NODE_HALTED,
                    f"{name} ended while it was starting; the end of its telemetry:\n"
                    + processes.tail(network.log_file(name)),
                    hint=f"the whole telemetry is in {network.log_file(name)}",
                )
            if time.monotonic() > deadline:
                raise CommandError(
                    Exit.OUTCOME_UNKNOWN,
                    f"{name} runs but is not ready after {timeout_s:g} s: {missing}",
                    hint="a node is useful only while a majority runs: `tiezheng status` shows who does, "
                    f"`tiezheng dev up` starts the rest; its telemetry is in {network.log_file(name)}",
                )
            time.sleep(0.05)


def _not_ready(ops_url: str) -> str | None:
    """Return None when the process is useful, else what its ops door says is missing, in one line."""
    try:
        answer = request(f"{ops_url}/readyz", timeout_s=2.0)
    except CommandError as error:
        return error.message
    words = answer.body.decode("utf-8", errors="replace")
    return None if answer.status == 200 else "; ".join(words.splitlines())[:_WORDS_MAX]


def stop_processes(network: DevNetwork, wanted: Iterable[str]) -> dict[str, str]:
    """Stop the named processes, all told at once in the given order; return name -> what happened."""
    told = {name: processes.send(network.pid_file(name), signal.SIGTERM) for name in wanted}
    result = {name: processes.stop(network.pid_file(name)) for name in told}
    return {name: "stopped" if told[name] and how == "not running" else how for name, how in result.items()}


def submit_samples(network: DevNetwork, progress: Callable[[str], None] = note) -> int:
    """Submit the shipped samples (again is harmless) and wait until all are final; return how many.

    Raises CommandError (OUTCOME_UNKNOWN) when they are not final in time: they stay in the outbox.
    """
    samples = write_samples(network.folder / "samples")
    key = read_key_file(network.api_key_file)
    body = {"items": [s.item for s in samples]}
    answer = expect(
        request(f"{network.gateway_url}/v1/commitments", method="POST", document=body, api_key=key), 200, 202
    )
    results = answer.json()["items"]
    refused = [r for r in results if "id" not in r]
    if refused:
        raise CommandError(
            Exit.FAILURE, f"{len(refused)} samples were refused", code=str(refused[0].get("code"))
        )
    index = {s.item["ref"]: str(s.file.relative_to(network.folder)) for s in samples}
    records = [{"id": r["id"], "ref": r["ref"], "file": index[r["ref"]]} for r in results]
    (network.folder / "samples" / "records.json").write_text(
        json.dumps(records, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )
    deadline = time.monotonic() + _SAMPLES_TIMEOUT_S
    waiting = [r["id"] for r in results]
    while waiting:
        url = f"{network.gateway_url}/v1/records/{waiting[-1]}"
        if expect(request(url, api_key=key), 200).json()["state"] == "final":
            waiting.pop()
            continue
        if time.monotonic() > deadline:
            raise CommandError(
                Exit.OUTCOME_UNKNOWN,
                f"{len(waiting)} samples are not final after {_SAMPLES_TIMEOUT_S:g} s",
                hint="they stay in the outbox; `tiezheng status` shows whether a quorum co-signs",
            )
        progress(f"      {len(results) - len(waiting)} of {len(results)} final")
        time.sleep(0.1)
    return len(results)


def open_or_create(folder: Path, port_base: int | None) -> tuple[DevNetwork, bool]:
    """Return (network, whether it is new): the one in `folder`, or a fresh one."""
    if (folder / "network.json").exists():
        network = load(folder)
        if port_base is not None and port_base != network.port_base:
            raise CommandError(
                Exit.CONFLICT,
                f"the network in {folder} uses ports from {network.port_base} on",
                hint="leave --port-base out, or name another folder with --data",
            )
        return network, False
    return create(folder, 7600 if port_base is None else port_base), True


def summary(network: DevNetwork) -> dict[str, Any]:
    """Return the document that `dev up --json` prints (without its schema)."""
    return {
        "data": str(network.folder),
        "chain_id": network.chain_id,
        "gateway": network.gateway_url,
        "gateway_ops": network.gateway_ops_url,
        "api_key_file": str(network.api_key_file),
        "policy_file": str(network.policy_file),
        "samples": str(network.folder / "samples"),
        "nodes": {
            n.name: {
                "institution": n.institution,
                "role": n.role,
                "read_url": n.read_url,
                "ops_url": n.ops_url,
                "config": str(n.config),
                "data": str(n.data),
                "pid": processes.running_pid(network.pid_file(n.name)),
            }
            for n in network.nodes
        },
        "gateway_pid": processes.running_pid(network.pid_file(GATEWAY)),
    }


def _write_commands(network: DevNetwork) -> None:
    lines = ["# The command lines of this network's processes: the same ones production uses."]
    for name in names(network):
        process = process_of(network, name)
        lines.append(shlex.join(["tiezheng", *process.argv[3:]]))
    (network.folder / "commands.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (network.folder / "commands.txt").chmod(0o600)
