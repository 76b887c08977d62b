"""Who judges a height, from a governance state."""

import ledger_world as world

from ledger.governance_policy import policy_text
from ledger.note import ED25519, ED25519_COSIGNATURE, VerifierKey, format_vkey
from node.electorate import electorate_of


def test_the_electorate_is_the_policy() -> None:
    """Exactly the keys of the chain's own policy text, under the same names and ids."""
    state = world.genesis()
    electorate = electorate_of(state, 0)
    text = policy_text(state).decode()
    for (name, key_id), signer in electorate.signers.items():
        vkey = VerifierKey(name, ED25519_COSIGNATURE, signer.public)
        assert vkey.key_id == key_id
        assert f"witness {name} {format_vkey(vkey)}\n" in text
    for (name, key_id), public in electorate.logs.items():
        vkey = VerifierKey(name, ED25519, public)
        assert vkey.key_id == key_id
        assert f"log {format_vkey(vkey)}\n" in text
    assert text.count("witness ") == len(electorate.signers)
    assert text.count("log ") == len(electorate.logs)
    assert f"group institutions {electorate.quorum} " in text


def test_only_voters_are_voters() -> None:
    """The observer signs, and is no voter."""
    electorate = electorate_of(world.genesis(), 0)
    voters = {signer.node_id for signer in electorate.signers.values() if signer.voter}
    assert voters == {"broker-1", "market-1", "auditor-1"}
    assert electorate.majority == 2


def test_a_network_of_one_needs_one() -> None:
    """One institution, one voter: both numbers are one."""
    electorate = electorate_of(world.genesis(f=0, quorum=1, single=True), 0)
    assert (electorate.quorum, electorate.majority) == (1, 1)
