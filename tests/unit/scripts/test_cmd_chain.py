"""fsck of a stopped node."""

import json
from pathlib import Path

from click.testing import CliRunner
from e2e_network import free_port_base

from scripts import devnet
from scripts.cli import tiezheng


def test_a_fresh_chain_is_sound(tmp_path: Path) -> None:
    """Genesis alone follows from itself; what is derived does not exist yet and is not missed."""
    network = devnet.create(tmp_path / "net", free_port_base())
    result = CliRunner().invoke(
        tiezheng, ["chain", "fsck", "--config", str(network.nodes[0].config), "--json"]
    )
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert (document["sound"], document["blocks"], document["chain_id"]) == (True, 1, network.chain_id)


def test_a_folder_without_a_store_is_exit_code_13(tmp_path: Path) -> None:
    """Nothing is created by looking."""
    config = tmp_path / "node.toml"
    config.write_text('node_id = "x-1"\ngenesis = "g.bin"\ndata = "data"\n', encoding="utf-8")
    result = CliRunner().invoke(tiezheng, ["chain", "fsck", "--config", str(config)])
    assert result.exit_code == 13
    assert not (tmp_path / "data").exists()


def test_a_damaged_store_is_not_called_sound(tmp_path: Path) -> None:
    """A flipped bit ends with a sentence and no repair."""
    network = devnet.create(tmp_path / "net", free_port_base())
    chain = network.nodes[0].data / "chain"
    for file in chain.glob("*.log"):
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    before = {f.name: f.read_bytes() for f in chain.glob("*.log")}
    result = CliRunner().invoke(tiezheng, ["chain", "fsck", "--config", str(network.nodes[0].config)])
    assert result.exit_code in {12, 13}
    assert {f.name: f.read_bytes() for f in chain.glob("*.log")} == before


def test_a_missing_configuration_is_no_lost_node(tmp_path: Path) -> None:
    """A mistyped path is exit code 4, and nobody is told to give a healthy node up."""
    result = CliRunner().invoke(tiezheng, ["chain", "fsck", "--config", str(tmp_path / "none.toml")])
    assert result.exit_code == 4
    assert "TOML" in result.stderr
    assert "governance" not in result.stderr
