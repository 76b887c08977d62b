"""The one apply path: groups go into the derived store before anybody hears; a broken rule stops it."""

import ledger_world as world
import pytest
from node_world import opened, steps
from store_world import append

from ledger.governance import genesis_state
from node.applier import RuleBrokenError

GENESIS = world.genesis_body()
CHAIN_ID = genesis_state(GENESIS).chain_id


def test_a_group_is_applied_and_written() -> None:
    """The derived store stands where the chain stands, and knows the records."""
    memory = opened(GENESIS)
    bodies = [world.empty_body(ms=1), world.envelopes_body(CHAIN_ID, (0, 3), ms=2)]
    append(memory.chain_store, *bodies)
    blocks = memory.applier.apply(steps(*bodies))
    assert [block.height for block in blocks] == [1, 2]
    assert memory.derived.applied() == memory.applier.chain.height == 2
    assert memory.derived.known(world.leaves(0, 3)) == [2, 3, 4]


def test_a_body_that_breaks_a_rule_stops_the_group_there() -> None:
    """What came before it is applied; it is not, and nothing after it is looked at."""
    memory = opened(GENESIS)
    bodies = [world.empty_body(ms=5), world.empty_body(ms=4), world.empty_body(ms=6)]
    with pytest.raises(RuleBrokenError) as caught:
        memory.applier.apply(steps(*bodies))
    assert (caught.value.code, caught.value.height, caught.value.broken.code) == (
        "E_COMMITTED_RULE",
        2,
        "E_CHAIN_TIME",
    )
    assert memory.derived.applied() == memory.applier.chain.height == 1


def test_a_verified_body_is_applied_like_any_other() -> None:
    """Verified ahead or not, the block is the same."""
    one, other = opened(GENESIS), opened(GENESIS)
    body = world.envelopes_body(CHAIN_ID, (0, 2), ms=1)
    verified = one.applier.chain.verify(body)
    (left,) = one.applier.apply([(1, 1, verified)])
    (right,) = other.applier.apply([(1, 1, body)])
    assert (left.root, left.header_leaf) == (right.root, right.header_leaf)
