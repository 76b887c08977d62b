"""`tiezheng dev`: what it says when things are not as they should be."""

import json
import socket
from pathlib import Path

from click.testing import CliRunner
from e2e_network import free_port_base

from scripts import devnet
from scripts.cli import tiezheng


def test_commands_on_a_folder_without_a_network_say_how_to_make_one(tmp_path: Path) -> None:
    """Exit code 4 and the way out, for every verb that needs a network."""
    for verb in (
        ["down"],
        ["stop", "broker-1"],
        ["start", "broker-1"],
        ["reset", "--yes"],
        ["demo", "tamper"],
    ):
        result = CliRunner().invoke(tiezheng, ["dev", *verb, "--data", str(tmp_path)])
        assert result.exit_code == 4, (verb, result.output)
        assert "tiezheng dev up" in result.stderr


def test_reset_removes_the_network_and_nothing_else(tmp_path: Path) -> None:
    """Beside the folder nothing is touched, and without --yes it asks."""
    devnet.create(tmp_path / "net", free_port_base())
    (tmp_path / "other").write_text("mine", encoding="utf-8")
    asked = CliRunner().invoke(tiezheng, ["dev", "reset", "--data", str(tmp_path / "net")], input="n\n")
    assert asked.exit_code != 0
    assert (tmp_path / "net").exists()
    done = CliRunner().invoke(tiezheng, ["dev", "reset", "--yes", "--data", str(tmp_path / "net")])
    assert done.exit_code == 0
    assert [p.name for p in tmp_path.iterdir()] == ["other"]


def test_a_taken_port_ends_up_with_exit_code_6(tmp_path: Path) -> None:
    """As one JSON document where one was asked for."""
    base = free_port_base()
    with socket.create_server(("127.0.0.1", base)):
        arguments = [
            "dev",
            "up",
            "--detach",
            "--json",
            "--data",
            str(tmp_path / "net"),
            "--port-base",
            str(base),
        ]
        result = CliRunner().invoke(tiezheng, arguments)
    assert result.exit_code == 6
    assert json.loads(result.stdout)["schema"] == "tiezheng.error/1"


def test_an_unknown_process_is_not_found(tmp_path: Path) -> None:
    """A typing error names the nodes there are."""
    devnet.create(tmp_path / "net", free_port_base())
    result = CliRunner().invoke(tiezheng, ["dev", "stop", "broker-9", "--data", str(tmp_path / "net")])
    assert result.exit_code == 4
    assert "market-1" in result.stderr


def test_reset_removes_nothing_that_nobody_agreed_to(tmp_path: Path) -> None:
    """A script without --yes and a terminal that has gone away are no consent."""
    devnet.create(tmp_path / "net", free_port_base())
    for arguments, code in ((["--json"], 2), ([], 1)):
        result = CliRunner().invoke(
            tiezheng, ["dev", "reset", *arguments, "--data", str(tmp_path / "net")], input=""
        )
        assert result.exit_code == code
        assert "--yes" in result.output
        assert (tmp_path / "net/genesis.bin").exists()


def test_a_file_is_no_folder_for_a_network(tmp_path: Path) -> None:
    """A sentence, and the file stays as it was."""
    (tmp_path / "notes").write_text("mine", encoding="utf-8")
    result = CliRunner().invoke(tiezheng, ["dev", "up", "--detach", "--data", str(tmp_path / "notes")])
    assert result.exit_code == 6
    assert "--data" in result.stderr
    assert (tmp_path / "notes").read_text(encoding="utf-8") == "mine"
