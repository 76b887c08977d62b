"""A made network: every node can start from its files, and what may not exist is refused."""

from pathlib import Path

import pytest
from node_cluster import free_port_base

from ledger.body import parse_body
from ledger.errors import LedgerError
from ledger.governance import genesis_state, policy_text
from ledger.policy import parse_policy
from node.config import load_config
from node.errors import KeyFileError
from node.service import load
from scripts.network import NODES, BuiltNetwork, build_network, with_voters


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> BuiltNetwork:
    """The network of `tiezheng dev up`."""
    return build_network(tmp_path_factory.mktemp("network"), 7_600)


def test_the_default_network_is_three_voters_and_a_regulator(network: BuiltNetwork) -> None:
    """With a policy of three of four institutions."""
    state = genesis_state(parse_body(network.genesis_path.read_bytes()))
    assert state.chain_id == network.chain_id
    assert state.voters() == ("auditor-1", "broker-1", "market-1")
    assert state.observers() == ("regulator-1",)
    assert (state.quorum, state.f) == (3, 1)
    assert network.policy_file.read_bytes() == policy_text(state)
    assert parse_policy(network.policy_file.read_bytes()) is not None


def test_ports_follow_the_order_of_the_nodes(network: BuiltNetwork) -> None:
    """Node i has base + 10 i: peer, submit, read, read HTTP, ops."""
    market = network.nodes[1]
    assert market.node_id == "market-1"
    assert (market.peer_address, market.submit_address) == ("127.0.0.1:7610", "127.0.0.1:7611")
    assert (market.read_address, market.read_url) == ("127.0.0.1:7612", "http://127.0.0.1:7613")
    assert market.ops_url == "http://127.0.0.1:7614"


def test_every_node_starts_from_its_files(network: BuiltNetwork) -> None:
    """Configuration, keys and stores fit each other and governance."""
    for place in network.nodes:
        config = load_config(place.config_path)
        assert set(config.peers) == {other.node_id for other in network.nodes} - {place.node_id}
        assert bool(config.doors.submit) == (place.role == "voter")
        _, opened = load(config)
        assert opened.halted is None
        opened.close()


def test_secrets_are_for_their_owner_only(network: BuiltNetwork) -> None:
    """Every key file has mode 0600."""
    secrets = [path for path in network.folder.rglob("*.key") if path.is_file()]
    assert len(secrets) == 4 * 4 + 4 + 2 + 1 + 1, "nodes, governance, gateway, authority, API key"
    assert {path.stat().st_mode & 0o777 for path in secrets} == {0o600}


def test_a_folder_is_not_made_twice(network: BuiltNetwork) -> None:
    """Keys are never overwritten."""
    with pytest.raises(KeyFileError) as caught:
        build_network(network.folder, 7_600)
    assert caught.value.code == "E_KEY_FILE_EXISTS"


def test_a_network_that_may_not_exist_is_refused(tmp_path: Path) -> None:
    """Two quorums of two of four need not meet."""
    with pytest.raises(LedgerError) as caught:
        build_network(tmp_path, free_port_base(), quorum=2)
    assert caught.value.code == "E_GOVERNANCE_QUORUM_RULE"


def test_small_networks_vote_whole() -> None:
    """`with_voters` takes the first nodes, observers included, as voters."""
    assert [spec.node_id for spec in with_voters(NODES, 2)] == ["broker-1", "market-1"]
    assert all(spec.voter for spec in with_voters(NODES, 4))
