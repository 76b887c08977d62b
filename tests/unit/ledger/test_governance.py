"""The door to governance: genesis found and made."""

import ledger_world as world
import pytest
from mutations import substitutions

from ledger.body import encode_genesis_body, parse_body
from ledger.errors import GovernanceError, LedgerError
from ledger.governance import Limits, State, genesis_state, new_genesis_content


def test_genesis_founds_a_chain() -> None:
    """The state is the one that was asked for, and its id hangs on the body's digest."""
    body = world.genesis_body()
    state = genesis_state(body)
    assert state.chain_id == f"test-{body.digest.hex()[:8]}"
    assert (state.f, state.quorum, state.next_sequence) == (1, 3, 0)
    assert state.limits == Limits()


def test_any_other_body_is_no_genesis() -> None:
    """A chain begins with a genesis body."""
    with pytest.raises(GovernanceError) as caught:
        genesis_state(world.empty_body())
    assert caught.value.code == "E_GOVERNANCE_GENESIS"


def test_a_changed_genesis_is_refused_or_another_chain() -> None:
    """No byte of genesis can be changed without refusal or another chain id."""
    good = world.genesis_body(single=True, f=0, quorum=1)
    name = genesis_state(good).chain_id
    accepted = 0
    for bad in substitutions(good.raw):
        try:
            state = genesis_state(parse_body(bad))
        except LedgerError:
            continue
        accepted += 1
        assert state.chain_id != name
    assert accepted


def content(quorum: int = 3, chain_name: str = "test") -> object:
    """Genesis content of the default network in another order."""
    return new_genesis_content(
        chain_name,
        f=1,
        quorum=quorum,
        institutions=tuple(world.institution(owner) for owner in reversed(world.INSTITUTIONS)),
        nodes=tuple(world.node(node_id) for node_id in reversed(world.NODES)),
        submitters=(world.submitter(),),
        limits=Limits(),
    )


def test_content_is_sorted_and_checked() -> None:
    """The order in which lists are given does not matter, and what nobody would take is not made."""
    made = content()
    assert isinstance(made, list)
    assert parse_body(encode_genesis_body(world.START_MS, made)) == world.genesis_body()
    with pytest.raises(GovernanceError):
        content(quorum=2)
    with pytest.raises(LedgerError):
        content(chain_name="Test")


def test_the_state_is_a_value() -> None:
    """Two readings of one genesis are equal."""
    one, two = genesis_state(world.genesis_body()), genesis_state(world.genesis_body())
    assert isinstance(one, State)
    assert one == two
