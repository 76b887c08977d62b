"""The policy text of a state, and the hash that binds both."""

from base64 import b64encode
from dataclasses import replace
from hashlib import sha256

import ledger_world as world
import msgpack

from ledger.governance_actions import apply_action
from ledger.governance_codec import encode_state
from ledger.governance_policy import governance_hash, governance_hash_of, policy_text
from ledger.governance_proposal import RemoveNode, RotateKey
from ledger.trust import parse_trust


def vkey(name: str, kind: int, public: bytes) -> str:
    """A verifier key written independently of the ledger (C2SP signed-note)."""
    blob = bytes((kind,)) + public
    return f"{name}+{sha256(name.encode() + bytes((10,)) + blob).hexdigest()[:8]}+{b64encode(blob).decode()}"


def test_the_text_is_the_documented_one() -> None:
    """The default network's policy, line by line."""
    state = world.genesis()
    nodes = sorted(world.NODES)
    lines = [f"log {vkey(state.chain_id, 1, world.public(node, 'log-1'))}" for node in nodes]
    for node in nodes:
        name = f"{world.NODES[node]}/{node}"
        lines.append(f"witness {name} {vkey(name, 4, world.public(node, 'cosigner-1'))}")
    lines += [f"group {world.NODES[node]} any {world.NODES[node]}/{node}" for node in nodes]
    lines += ["group institutions 3 AUDITOR BROKER MARKET REGULATOR", "quorum institutions", ""]
    assert policy_text(state).decode() == "\n".join(lines)
    assert parse_trust(policy_text(state)).origin == state.chain_id


def test_only_open_keys_of_nodes_that_are_there() -> None:
    """Rotated keys and removed nodes are not in the text of the state after."""
    state = world.genesis()
    rotated = apply_action(state, 4, RotateKey("broker-1", "log", "log-2", 1, world.public("l2")))
    text = policy_text(rotated).decode()
    assert vkey(state.chain_id, 1, world.public("l2")) in text
    assert vkey(state.chain_id, 1, world.public("broker-1", "log-1")) not in text
    removed = apply_action(state, 4, RemoveNode("regulator-1"))
    assert "REGULATOR" not in policy_text(removed).decode()


def test_the_hash_binds_policy_and_state() -> None:
    """An independent spelling gives the same hash, and any change of the state another."""
    state = world.genesis()
    parts = [sha256(policy_text(state)).digest(), sha256(encode_state(state)).digest()]
    expected = sha256(msgpack.packb(["tiezheng/governance", 1, 1, *parts], use_bin_type=True)).digest()
    assert governance_hash(state) == expected == governance_hash_of(policy_text(state), parts[1])
    for other in (replace(state, next_sequence=1), replace(state, chain_id="test-00000000")):
        assert governance_hash(other) != expected
