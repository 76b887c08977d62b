"""`tiezheng dev`: a whole network on this machine, for a first look, for developers and for drills.

Why: three institutions that vote, a regulator that watches and co-signs, and a gateway: five processes with the
production programs, files and doors, in one command. What is learnt here is true there.

Refuses: addresses other than loopback; removing anything outside the folder it made itself.
"""

import shutil
import signal
import time
from pathlib import Path

import click

from scripts import devnet, processes
from scripts.demo_runs import demo_fork, demo_outage, demo_tamper
from scripts.devfolder import DEFAULT_FOLDER, DevNetwork, load
from scripts.exit_codes import CommandError, Exit
from scripts.output import command_errors, emit_json, json_option, note, say

_data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, readable=False),  # what may not be read is told in our own words
    default=DEFAULT_FOLDER,
    show_default=True,
    help="The network's folder.",
)


@click.group()
def dev() -> None:
    """A development network: three voters, a regulator's observer, a gateway. Never for real records."""


class _Steps:
    """Numbers the steps of `dev up` and says how long each took."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._number = 0
        self._since = time.monotonic()

    def done(self, name: str, what: str) -> None:
        """Print one finished step."""
        self._number += 1
        note(f" [{self._number}/{self._total}] {name:<9} {what:<58} {time.monotonic() - self._since:5.1f} s")


@dev.command()
@_data_option
@click.option("--port-base", type=int, help="First port of a new network.  [default: 7600]")
@click.option("--empty", is_flag=True, help="Without sample records.")
@click.option("--detach", is_flag=True, help="Return when all is ready and leave the processes running.")
@json_option
@command_errors
def up(data: Path, port_base: int | None, empty: bool, detach: bool, as_json: bool) -> None:
    """Start the network, making it first where there is none.

    Example: tiezheng dev up --detach
    """
    folder = data.absolute()
    note(
        "tiezheng dev: development network. Keys without ceremony, loopback only. Never use it for real records."
    )
    if not detach:
        _end_like_ctrl_c()
    steps = _Steps(7)
    network, new = devnet.open_or_create(folder, port_base)
    started: list[str] = []
    try:
        _start(network, steps, started, new=new, empty=empty)
    except (CommandError, KeyboardInterrupt):
        if not detach or new:
            devnet.stop_processes(network, reversed(started))
        raise
    if as_json:
        emit_json("tiezheng.dev/1", devnet.summary(network))
    else:
        _say_what_next(network)
    if not detach:
        _watch(network)


def _end_like_ctrl_c() -> None:
    """Let SIGTERM and a closed terminal stop the network as Ctrl+C does; `nohup` still keeps it."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def _start(network: DevNetwork, steps: _Steps, started: list[str], *, new: bool, empty: bool) -> None:
    voters = [n.name for n in network.nodes if n.role == "voter"]
    observers = [n.name for n in network.nodes if n.role != "voter"]
    institutions = len({n.institution for n in network.nodes})
    steps.done("folder", f"{network.folder}  {'new' if new else 'reused'}")
    steps.done("keys", f"{institutions} institutions, TLS certificates pinned" if new else "reused")
    steps.done("genesis", f"chain {network.chain_id}, policy {_policy_words(network)}")
    devnet.check_ports(network)
    started += devnet.start_processes(network, [*voters, *observers])
    devnet.wait_ready(network, voters)
    steps.done("nodes", f"{' '.join(voters)} (voting)")
    devnet.wait_ready(network, observers)
    steps.done("witness", f"{' '.join(observers)} (read-only observer, re-verifies and co-signs)")
    started += devnet.start_processes(network, [devnet.GATEWAY])
    devnet.wait_ready(network, [devnet.GATEWAY])
    steps.done("gateway", "outbox (SQLite), hash-only door")
    if empty:
        steps.done("samples", "none (--empty)")
    else:
        count = devnet.submit_samples(network)
        steps.done("samples", f"{count} made-up records, all final")


def _policy_words(network: DevNetwork) -> str:
    for line in network.policy_file.read_text(encoding="utf-8").splitlines():
        parts = line.split()
        if parts[:2] == ["group", "institutions"]:
            return f"{parts[2]} of {len(parts) - 3} institutions"
    return "of its own making"


def _say_what_next(network: DevNetwork) -> None:
    regulator = network.nodes[-1]
    say(f" Read   {regulator.read_url}/   the chain as the regulator's node shows it")
    say(f" API    {network.gateway_url}/v1/commitments   key in {network.api_key_file}")
    say(
        f" Ops    {' '.join(n.ops_url for n in network.nodes)} {network.gateway_ops_url}   telemetry in {network.folder}/log"
    )
    say(f" Trust  {network.policy_file}   what `tiezheng verify --policy` takes")
    data = "" if network.folder == DEFAULT_FOLDER.absolute() else f" --data {network.folder}"
    say(f" Try    tiezheng status{data} | tiezheng submit README.md{data} | tiezheng dev demo tamper{data}")
    say(f" Stop   tiezheng dev down{data}   (data stays; `tiezheng dev reset{data}` removes it)")


def _watch(network: DevNetwork) -> None:
    """Stay in the foreground until Ctrl+C; say so when a process ends by itself."""
    note("Ctrl+C stops the network (data stays).")
    alive = set(devnet.names(network))
    try:
        while alive:
            for name in sorted(alive):
                if processes.wait_gone(network.pid_file(name), 0):
                    alive.discard(name)
                    note(f"{name} ended; the end of its telemetry:\n{processes.tail(network.log_file(name))}")
            time.sleep(0.5)
    except KeyboardInterrupt:
        note("stopping ...")
        devnet.stop_processes(network, reversed(devnet.names(network)))
        return
    raise CommandError(Exit.FAILURE, "all processes have ended")


@dev.command()
@_data_option
@json_option
@command_errors
def down(data: Path, as_json: bool) -> None:
    """Stop all processes of the network; its data stays."""
    network = load(data)
    result = devnet.stop_processes(network, reversed(devnet.names(network)))
    _report(result, as_json=as_json)


@dev.command()
@click.argument("name")
@_data_option
@json_option
@command_errors
def stop(name: str, data: Path, as_json: bool) -> None:
    """Stop one process: a node's name, or `gateway`."""
    network = load(data)
    _check_name(network, name)
    _report(devnet.stop_processes(network, [name]), as_json=as_json)


@dev.command()
@click.argument("name")
@_data_option
@json_option
@command_errors
def start(name: str, data: Path, as_json: bool) -> None:
    """Start one process and wait until it is ready."""
    network = load(data)
    _check_name(network, name)
    started = devnet.start_processes(network, [name])
    devnet.wait_ready(network, [name])
    _report({name: "started" if started else "running already"}, as_json=as_json)


def _check_name(network: DevNetwork, name: str) -> None:
    if name != devnet.GATEWAY:
        network.node(name)


def _report(result: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        emit_json("tiezheng.processes/1", {"processes": result})
        return
    for name, what in result.items():
        say(f"{name}: {what}")


@dev.command()
@_data_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@command_errors
def reset(data: Path, yes: bool, as_json: bool) -> None:
    """Stop the network and remove its folder, keys and chain included."""
    network = load(data)  # refuses a folder that holds no network of ours
    if not yes:
        _ask_to_remove(network.folder, as_json=as_json)
    devnet.stop_processes(network, reversed(devnet.names(network)))
    shutil.rmtree(network.folder)
    if as_json:
        emit_json("tiezheng.reset/1", {"removed": str(network.folder)})
    else:
        say(f"removed {network.folder}")


def _ask_to_remove(folder: Path, *, as_json: bool) -> None:
    """Return when a person says yes; CommandError for everything else, silence and scripts included."""
    if as_json:
        raise CommandError(Exit.USAGE, "with --json nobody is asked", hint="say --yes to remove the folder")
    try:
        agreed = click.confirm(f"Remove {folder} with its chain and keys?", err=True)
    except click.Abort:  # nobody there to answer
        agreed = False
    if not agreed:
        raise CommandError(Exit.FAILURE, "nothing was removed", hint="answer y, or say --yes")


@dev.group()
def demo() -> None:
    """Drills on the running network: a tampered store, an outage, a forked signer."""


@demo.command()
@_data_option
@json_option
@command_errors
def tamper(data: Path, as_json: bool) -> None:
    """Flip one bit in a stopped voter's store, start it, see it refuse while the others go on; then undo it."""
    _tell(demo_tamper(load(data)), as_json=as_json)


@demo.command()
@_data_option
@json_option
@command_errors
def outage(data: Path, as_json: bool) -> None:
    """Stop two of three voters, submit, see the record wait in the outbox; start them, see it become final."""
    _tell(demo_outage(load(data)), as_json=as_json)


@demo.command()
@_data_option
@json_option
@command_errors
def fork(data: Path, as_json: bool) -> None:
    """Let one key sign two trees of one size (in a throw-away network) and see it convicted, with evidence."""
    _tell(demo_fork(data.absolute()), as_json=as_json)


def _tell(result: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        emit_json("tiezheng.demo/1", result)
    else:
        say(result["verdict"])
