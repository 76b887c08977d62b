"""The development network's plan: files, command lines, ports. Its processes run in the end-to-end tests."""

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from e2e_network import free_port_base
from little_http import Answer, little_server

from scripts import devfolder, devnet, processes
from scripts.exit_codes import CommandError, Exit


def test_a_network_is_made_once_and_then_reused(tmp_path: Path) -> None:
    """The second call finds the first one's keys and chain."""
    first, new = devnet.open_or_create(tmp_path / "net", free_port_base())
    second, again = devnet.open_or_create(tmp_path / "net", None)
    assert (new, again) == (True, False)
    assert first == second == devfolder.load(tmp_path / "net")
    assert [n.role for n in first.nodes] == ["voter", "voter", "voter", "observer"]
    assert first.policy_file.read_text(encoding="utf-8").endswith("quorum institutions\n")


def test_secrets_are_private(tmp_path: Path) -> None:
    """Keys have mode 0600 and the folder 0700."""
    network = devnet.create(tmp_path / "net", free_port_base())
    assert network.folder.stat().st_mode & 0o777 == 0o700
    for secret in network.folder.rglob("*.key"):
        assert secret.stat().st_mode & 0o777 == 0o600, secret


def test_somebody_elses_folder_is_left_alone(tmp_path: Path) -> None:
    """A folder with other things in it is refused, untouched."""
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(CommandError) as caught:
        devnet.create(tmp_path, free_port_base())
    assert caught.value.exit_code == Exit.CONFLICT
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_other_ports_for_a_network_that_exists_are_refused(tmp_path: Path) -> None:
    """Ports are in the configuration files; changing them is not a flag."""
    base = free_port_base()
    devnet.create(tmp_path / "net", base)
    with pytest.raises(CommandError) as caught:
        devnet.open_or_create(tmp_path / "net", base + 1000)
    assert caught.value.exit_code == Exit.CONFLICT


def test_a_taken_port_names_who_holds_it(tmp_path: Path) -> None:
    """The message leads to the process, the hint to the way out; nothing was started."""
    network = devnet.create(tmp_path / "net", free_port_base())
    with socket.create_server(("127.0.0.1", network.port_base + 3)), pytest.raises(CommandError) as caught:
        devnet.start_processes(network, ["broker-1"])
    assert str(os.getpid()) in caught.value.message
    assert "--port-base" in caught.value.hint
    assert not network.pid_file("broker-1").exists()


def test_the_command_lines_are_those_of_production(tmp_path: Path) -> None:
    """commands.txt can be pasted into a unit file."""
    network = devnet.create(tmp_path / "net", free_port_base())
    lines = (network.folder / "commands.txt").read_text(encoding="utf-8").splitlines()
    assert any(line.startswith("tiezheng node run --config ") for line in lines)
    assert any(line.startswith("tiezheng gateway run --config ") for line in lines)


@pytest.mark.parametrize("base", [0, 80, 65_500, 99_999])
def test_ports_that_cannot_be_are_refused(tmp_path: Path, base: int) -> None:
    """Privileged and impossible ports end before anything is made."""
    with pytest.raises(CommandError) as caught:
        devnet.create(tmp_path / "net", base)
    assert caught.value.exit_code == Exit.USAGE
    assert not (tmp_path / "net").exists()


def test_a_taken_port_ends_before_a_network_is_made(tmp_path: Path) -> None:
    """Ports are written into the new files, so other ones must be choosable without removing anything first."""
    base = free_port_base()
    with socket.create_server(("127.0.0.1", base + 84)), pytest.raises(CommandError) as caught:
        devnet.create(tmp_path / "net", base)
    assert caught.value.exit_code == Exit.CONFLICT
    assert not (tmp_path / "net").exists()


def test_all_ports_are_looked_at_before_anything_starts(tmp_path: Path) -> None:
    """The gateway starts last; its taken port is no reason to leave four nodes running."""
    network = devnet.create(tmp_path / "net", free_port_base())
    devnet.check_ports(network)
    with socket.create_server(("127.0.0.1", network.port_base + 80)), pytest.raises(CommandError) as caught:
        devnet.check_ports(network)
    assert "gateway" in caught.value.message


def test_a_process_that_is_not_ready_in_time_says_what_is_missing(tmp_path: Path) -> None:
    """The words of the ops door reach the person who waits."""
    network = devnet.create(tmp_path / "net", free_port_base())

    def answer(_method: str, path: str, _body: bytes) -> Answer | None:
        return (503, b"leader: nobody is known to lead\n") if path == "/readyz" else None

    with little_server(answer) as server:
        waiting = replace(network, nodes=(replace(network.nodes[0], ops_url=server.url),))
        me = processes.Managed("x", ("/bin/sleep", "30"), network.pid_file("broker-1"), tmp_path / "log")
        processes.start(me)
        try:
            with pytest.raises(CommandError) as caught:
                devnet.wait_ready(waiting, ["broker-1"], timeout_s=0.2)
        finally:
            processes.stop(me.pid_file)
    assert caught.value.exit_code == Exit.OUTCOME_UNKNOWN
    assert "nobody is known to lead" in caught.value.message
    assert "tiezheng dev up" in caught.value.hint


def test_the_next_free_ports_are_found() -> None:
    """A network for a drill gets ports that nobody holds."""
    base = free_port_base()
    with socket.create_server(("127.0.0.1", base + 23)):
        assert devnet.free_port_base(base) > base
    assert devnet.free_port_base(base) == base
