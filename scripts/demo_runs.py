"""The drills of `tiezheng dev demo`: what happens when somebody tampers, when nodes are down, when a key signs twice.

Why: people believe what they have seen refused. Each drill does the bad thing for real, to real files and real
processes, shows how it is noticed and by whom, and leaves the network as it found it.

Refuses: claiming success that was not observed; a drill whose expectation fails ends with an error and says what it saw.
"""

import json
import secrets
import shutil
import time
from pathlib import Path
from typing import Any

from scripts import devnet, processes
from scripts.cmd_evidence import wait_for_state
from scripts.devfolder import DevNetwork, NodePlace
from scripts.exit_codes import CommandError, Exit
from scripts.fork_drill import forge_and_observe
from scripts.output import note
from scripts.web import expect, read_key_file, request

_FINAL_TIMEOUT_S = 20.0
_FORK_PORTS_FROM = 7800
_REFUSAL_TIMEOUT_S = 20.0


def submit_one(network: DevNetwork, label: str) -> str:
    """Submit one random commitment and return the record's id."""
    item = {
        "ref": f"demo-{label}-{secrets.token_hex(6)}",
        "commitment": secrets.token_hex(32),
        "source": "DEMO",
        "source_seq": None,
        "template": "CLI-FILE-01",
        "template_version": 1,
    }
    answer = request(
        f"{network.gateway_url}/v1/commitments",
        method="POST",
        document={"items": [item]},
        api_key=read_key_file(network.api_key_file),
    )
    return str(expect(answer, 200, 202).json()["items"][0]["id"])


def wait_final(network: DevNetwork, record_id: str) -> float:
    """Wait until a record is final and return how long it took in seconds."""
    since = time.monotonic()
    wait_for_state(
        network.gateway_url, read_key_file(network.api_key_file), record_id, {"final"}, _FINAL_TIMEOUT_S
    )
    return time.monotonic() - since


def _voters(network: DevNetwork) -> list[NodePlace]:
    return [n for n in network.nodes if n.role == "voter"]


def _leader(network: DevNetwork) -> str:
    for place in network.nodes:
        try:
            return str(request(f"{place.read_url}/v1/status", timeout_s=2.0).json()["leader"])
        except CommandError:
            continue
    raise CommandError(
        Exit.UNREACHABLE, "no node answers", hint="start the network: tiezheng dev up --detach"
    )


def _require_running(network: DevNetwork) -> None:
    missing = [n for n in devnet.names(network) if processes.running_pid(network.pid_file(n)) is None]
    if missing:
        raise CommandError(
            Exit.DEGRADED, f"not running: {', '.join(missing)}", hint="start them: tiezheng dev up --detach"
        )


def demo_tamper(network: DevNetwork) -> dict[str, str]:
    """Run the tampering drill; returns what was seen, with a `verdict` for people."""
    _require_running(network)
    leader = _leader(network)
    victim = next(n for n in reversed(_voters(network)) if n.name != leader)
    chain, saved = victim.data / "chain", victim.data / "chain.before-demo"
    if saved.exists():
        raise CommandError(
            Exit.CONFLICT,
            f"{saved} is left over from a drill that was killed",
            hint=f"{victim.name} runs without it and its copy is old by now: remove it",
        )
    note(f"1. {victim.name} is stopped, as if for maintenance; its store is copied aside.")
    devnet.stop_processes(network, [victim.name])
    shutil.copytree(chain, saved)
    try:
        where = _flip_one_bit(chain)
        note(f"2. Somebody flips one bit in {where} and starts the node again.")
        said = _start_expecting_refusal(network, victim)
        note(f"3. {victim.name} refuses to take part. In its own words:\n     {said}")
        took_s = wait_final(network, submit_one(network, "tamper"))
        note(f"4. The others go on: a record submitted now is final after {took_s * 1000:.0f} ms.")
    finally:
        devnet.stop_processes(network, [victim.name])
        shutil.rmtree(chain, ignore_errors=True)
        saved.rename(chain)
        # A node that halted stays halted until its operator has understood why; here that is us.
        (victim.data / "halted.txt").unlink(missing_ok=True)
    devnet.start_processes(network, [victim.name])
    devnet.wait_ready(network, [victim.name])
    note(f"5. The untouched copy is put back: {victim.name} takes part again.")
    verdict = "One flipped bit was noticed by the node itself; it neither voted nor signed, and nobody waited for it."
    return {"demo": "tamper", "node": victim.name, "file": where, "reason": said, "verdict": verdict}


def _flip_one_bit(chain: Path) -> str:
    """Flip a bit in the middle of the largest data file of a LevelDB folder; return the file's name and offset."""
    files = [f for f in chain.rglob("*") if f.suffix in {".ldb", ".log"} and f.stat().st_size > 0]
    target = max(files, key=lambda f: f.stat().st_size)
    offset = target.stat().st_size // 2
    with target.open("r+b") as data:
        data.seek(offset)
        byte = data.read(1)[0]
        data.seek(offset)
        data.write(bytes([byte ^ 0x10]))
    return f"{target.name} at byte {offset}"


def _start_expecting_refusal(network: DevNetwork, victim: NodePlace) -> str:
    """Start a damaged node and return its explanation; CommandError when it takes part as if nothing were wrong."""
    devnet.start_processes(network, [victim.name])
    deadline = time.monotonic() + _REFUSAL_TIMEOUT_S
    while time.monotonic() < deadline:
        if processes.wait_gone(network.pid_file(victim.name), 0):
            return _last_reason(processes.tail(network.log_file(victim.name), 30))
        try:
            status: dict[str, Any] = request(f"{victim.read_url}/v1/status", timeout_s=1.0).json()
        except CommandError:
            status = {}
        if status.get("role") == "halted":
            return str(status["reason"])
        time.sleep(0.1)
    raise CommandError(
        Exit.FAILURE,
        f"{victim.name} did not notice the flipped bit within {_REFUSAL_TIMEOUT_S:g} s",
        hint="the bit may lie in dead bytes of the file; run `tiezheng chain fsck` on the stopped node",
    )


def _last_reason(telemetry: str) -> str:
    """Return the newest reason that a process gave in its telemetry, else its last words."""
    lines = [line for line in telemetry.splitlines() if line.strip()]
    for line in reversed(lines):
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if isinstance(document, dict) and document.get("reason"):
            return f"{document['reason']} [{document.get('code', '')}]"
    return lines[-1] if lines else "(nothing was written)"


def demo_outage(network: DevNetwork) -> dict[str, str]:
    """Run the outage drill: two of three voters down; returns what was seen, with a `verdict` for people."""
    _require_running(network)
    down = [n.name for n in _voters(network)[1:]]
    key = read_key_file(network.api_key_file)
    note(f"1. Two of three voters are stopped: {', '.join(down)}.")
    devnet.stop_processes(network, down)
    try:
        record = submit_one(network, "outage")
        time.sleep(2.0)
        state = str(
            expect(request(f"{network.gateway_url}/v1/records/{record}", api_key=key), 200).json()["state"]
        )
        if state not in {"received", "pending"}:
            raise CommandError(Exit.FAILURE, f"the record is {state} without a quorum: that must not be")
        note(f"2. A record submitted now is accepted and waits in the outbox: {record} is {state} after 2 s.")
    finally:
        devnet.start_processes(network, down)
    devnet.wait_ready(network, down)
    took_s = wait_final(network, record)
    note(f"3. The voters are back: the record is final {took_s:.1f} s after they are ready.")
    verdict = "Without a quorum nothing became final and nothing was lost; with it, the waiting record did."
    return {"demo": "outage", "stopped": " ".join(down), "record": record, "verdict": verdict}


def demo_fork(folder: Path) -> dict[str, str]:
    """Run the fork drill in a throw-away network below `folder`, since it ends a key's life.

    Returns what was seen, with a `verdict` for people.
    """
    place = folder.with_name(folder.name + "-fork-drill")
    if place.exists():
        raise CommandError(
            Exit.CONFLICT,
            f"{place} is left over from an earlier run",
            hint=f"stop and remove it: tiezheng dev reset --data {place}",
        )
    note("1. A throw-away network of five processes is made: the drill convicts a key for good.")
    network = devnet.create(place, devnet.free_port_base(_FORK_PORTS_FROM))
    try:
        devnet.start_processes(network, devnet.names(network))
        devnet.wait_ready(network, devnet.names(network))
        wait_final(network, submit_one(network, "fork"))
        return forge_and_observe(network)
    finally:
        devnet.stop_processes(network, reversed(devnet.names(network)))
        shutil.rmtree(place, ignore_errors=True)
