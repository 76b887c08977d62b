"""One value for all who show how the node stands."""

import store_world
from core_world import Core, Known

from node import standing
from node.ports import Role
from node.standing import Following


def test_it_is_taken_in_one_go() -> None:
    """Chain, consensus and attestation as they are at that moment."""
    core = Core()
    core.apply(*store_world.bodies(3))
    known = Known(core)
    known.convicted = ("MARKET/market-1",)
    known.finalize(2)
    taken = standing.take(core, known, None)
    assert (taken.applied_height, taken.size, taken.root) == (3, core.size, core.root)
    assert (taken.final_height, taken.final_size) == (2, core.pair.blocks[2].tree_size)
    assert taken.final_time_s == 1_764_000_003
    assert [row.node_id for row in taken.cosigners] == ["broker-1", "market-1", "auditor-1"]
    assert taken.convicted == ("MARKET/market-1",)
    assert taken.role is Role.FOLLOWER
    core.apply(*store_world.bodies(1, first=3))
    assert taken.applied_height == 3


def test_what_is_unknown_is_none() -> None:
    """No final checkpoint: no number that could be a real one."""
    core = Core(role=Role.OBSERVER)
    following = Following("", connected=False, tip_height=0, tail_blocks=0, failures=1, last_error="E_X")
    taken = standing.take(core, Known(core), following)
    assert (taken.final_height, taken.final_size, taken.final_time_s) == (None, None, None)
    assert taken.following == following
    assert taken.version == standing.program_version()
