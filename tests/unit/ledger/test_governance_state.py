"""Questions by height: who may sign what, when."""

from dataclasses import replace

import ledger_world as world
import pytest

from ledger.governance_state import Key, NodeRole, Submitter, TlsPin


@pytest.mark.parametrize(
    ("since", "until", "open_heights"),
    [(0, 0, range(12)), (3, 0, range(3, 12)), (3, 5, range(3, 5)), (0, 1, range(1))],
)
def test_ranges_are_half_open(since: int, until: int, open_heights: range) -> None:
    """A row is open from its first height up to, and without, its end."""
    submitter = replace(world.submitter(), from_height=since, until_height=until)
    rows: list[Key | TlsPin | Submitter] = [
        Key("k", 1, bytes(32), since, until),
        TlsPin("k", b"", since, until),
        submitter,
    ]
    for row in rows:
        assert [height for height in range(12) if row.open_at(height)] == list(open_heights)


def test_rows_are_found_by_id() -> None:
    """Every row is found under its id, and nothing else is."""
    state = world.genesis()
    for owner in world.INSTITUTIONS:
        row = state.institution(owner)
        assert row is not None
        assert row.institution == owner
        assert row.open
    for node_id, owner in world.NODES.items():
        assert state.institution_of(node_id) == owner
    for name in ("", "A", "BROKE", "BROKER1", "ZZ"):
        assert state.institution(name) is None
        assert state.node(name.lower()) is None
        assert state.institution_of(name.lower()) is None
        assert state.submitter(name, "gateway-1") is None
    assert state.submitter("BROKER", "gateway-2") is None


def test_keys_by_height() -> None:
    """A key answers only for the heights at which it is open."""
    state = world.genesis()
    node = state.node("broker-1")
    assert node is not None
    old = replace(node.node_keys[0], until_height=5)
    new = Key("node-2", 1, world.public("new"), 5, 0)
    nodes = tuple(
        replace(one, node_keys=(old, new)) if one.node_id == "broker-1" else one for one in state.nodes
    )
    changed = replace(state, nodes=nodes)
    assert changed.node_key("broker-1", 4) == old.public
    assert changed.node_key("broker-1", 5) == new.public
    assert changed.node_key("nobody", 5) is None
    ended = replace(state.submitters[0], until_height=9)
    revoked = replace(state, submitters=(ended,))
    assert revoked.submitter_key("BROKER", "gateway-1", 8) == ended.public
    assert revoked.submitter_key("BROKER", "gateway-1", 9) is None
    assert revoked.submitter_key("MARKET", "gateway-1", 8) is None
    assert revoked.submitter_tls_pins() == {}
    assert state.governance_key("BROKER", "governance-1", 3) == world.public("BROKER", "governance-1")
    assert state.governance_key("BROKER", "governance-2", 3) is None
    assert state.governance_key("NOBODY", "governance-1", 3) is None


def test_who_there_is() -> None:
    """Voters, observers, pins and cosigning institutions come sorted, removed nodes left out."""
    state = world.genesis()
    assert state.voters() == ("auditor-1", "broker-1", "market-1")
    assert state.observers() == ("regulator-1",)
    assert state.cosigning_institutions() == ("AUDITOR", "BROKER", "MARKET", "REGULATOR")
    assert list(state.node_tls_pins()) == ["auditor-1", "broker-1", "market-1", "regulator-1"]
    assert state.node_tls_pins()["broker-1"] == (world.tls_der("broker-1", "tls-1"),)
    assert state.submitter_tls_pins() == {("BROKER", "gateway-1"): world.tls_der("BROKER", "gateway-1")}
    removed = tuple(
        replace(one, role=NodeRole.REMOVED) if one.node_id == "broker-1" else one for one in state.nodes
    )
    changed = replace(state, nodes=removed)
    assert [node.node_id for node in changed.open_nodes()] == ["auditor-1", "market-1", "regulator-1"]
    assert changed.voters() == ("auditor-1", "market-1")


def test_cosigner_names() -> None:
    """A node's cosigner is named by institution and node."""
    assert world.node("broker-1").cosigner_name() == "BROKER/broker-1"
