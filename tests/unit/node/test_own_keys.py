"""A node signs with the keys that governance has open at a checkpoint's height."""

import ledger_world as world
from core_world import keys_of

from ledger.algorithms import SIG_ED25519
from ledger.governance import fold
from ledger.governance_proposal import RotateKey
from node.electorate import electorate_of
from node.keys import NodeKeys
from node.own_keys import OwnKeys


def test_the_open_keys_are_used() -> None:
    """Cosigner and log key of genesis, under the name that governance gives."""
    own = OwnKeys("market-1", keys_of("market-1")).at(electorate_of(world.genesis(), 0))
    assert own is not None
    assert own.signer.name == "MARKET/market-1"
    assert own.cosigner.public == own.signer.public == world.public("market-1", "cosigner-1")
    assert own.log.public == world.public("market-1", "log-1")


def test_a_rotation_changes_the_key_at_its_height() -> None:
    """With both keys at hand: the old one up to the governance block, the new one behind it."""
    state = world.genesis()
    public = world.public("market-1", "cosigner-2")
    proposal = world.signed_proposal(
        state, RotateKey("market-1", "cosigner", "cosigner-2", SIG_ED25519, public)
    )
    after = fold(state, 5, proposal)
    old, new = keys_of("market-1"), keys_of("market-1", 2)
    keys = OwnKeys("market-1", NodeKeys(old.signing + new.signing[2:], old.tls))
    before, behind = keys.at(electorate_of(state, 5)), keys.at(electorate_of(after, 6))
    assert before is not None
    assert behind is not None
    assert before.cosigner.key_id == "cosigner-1"
    assert behind.cosigner.public == public
    assert len(keys.lines("MARKET")) == 2


def test_without_its_keys_a_node_signs_nothing() -> None:
    """Somebody else's keys, the new key only, a node that governance does not know."""
    electorate = electorate_of(world.genesis(), 0)
    assert OwnKeys("market-1", keys_of("broker-1")).at(electorate) is None
    assert OwnKeys("market-1", keys_of("market-1", 2)).at(electorate) is None
    assert OwnKeys("market-9", keys_of("market-1")).at(electorate) is None
