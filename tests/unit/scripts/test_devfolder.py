"""The development folder's index."""

from pathlib import Path

import pytest

from scripts import devfolder
from scripts.exit_codes import CommandError, Exit


def _network(folder: Path) -> devfolder.DevNetwork:
    node = devfolder.NodePlace(
        name="broker-1",
        institution="BROKER",
        role="voter",
        config=folder / "nodes/broker-1/node.toml",
        data=folder / "nodes/broker-1",
        read_url="http://127.0.0.1:7603",
        ops_url="http://127.0.0.1:7604",
    )
    return devfolder.DevNetwork(
        folder=folder,
        chain_id="tiezheng-dev-00000000",
        port_base=7600,
        gateway_url="http://127.0.0.1:7680",
        gateway_ops_url="http://127.0.0.1:7684",
        gateway_config=folder / "gateway/gateway.toml",
        api_key_file=folder / "keys/demo-api.key",
        policy_file=folder / "policy.txt",
        nodes=(node,),
    )


def test_the_index_reads_back(tmp_path: Path) -> None:
    """What was saved is what is loaded."""
    network = _network(tmp_path)
    devfolder.save(network)
    assert devfolder.load(tmp_path) == network


def test_a_moved_folder_still_works(tmp_path: Path) -> None:
    """Paths in the index are relative."""
    old = tmp_path / "old"
    old.mkdir()
    devfolder.save(_network(old))
    old.rename(tmp_path / "new")
    assert devfolder.load(tmp_path / "new") == _network(tmp_path / "new")


@pytest.mark.parametrize("content", [None, "", "{}", "[]", '{"schema": "other"}'])
def test_a_folder_without_a_network_is_refused_with_a_way_out(tmp_path: Path, content: str | None) -> None:
    """No index, or not ours: say how to make one."""
    if content is not None:
        (tmp_path / devfolder.INDEX_NAME).write_text(content, encoding="utf-8")
    with pytest.raises(CommandError) as caught:
        devfolder.load(tmp_path)
    assert caught.value.exit_code == Exit.NOT_FOUND
    assert "tiezheng dev up" in caught.value.hint


def test_an_unknown_node_names_the_known_ones(tmp_path: Path) -> None:
    """A typing error is answered with the names there are."""
    with pytest.raises(CommandError) as caught:
        _network(tmp_path).node("broker-9")
    assert "broker-1" in caught.value.hint


def test_an_explicit_gateway_needs_a_key_file(tmp_path: Path) -> None:
    """No key is guessed for an address that was named."""
    with pytest.raises(CommandError) as caught:
        devfolder.gateway_of(tmp_path, "http://127.0.0.1:1/", None)
    assert caught.value.exit_code == Exit.USAGE
