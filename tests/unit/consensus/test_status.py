"""The picture for operators holds what it says, and is a copy."""

from consensus_stage import Stage

from consensus.progress import Sending
from consensus.types import Role


def test_a_leaders_picture() -> None:
    """Itself and every follower."""
    stage = Stage(["1", "2", "3"])
    stage.elect("1")
    stage.propose("1", "a")
    status = stage["1"].core.status()
    assert (status.role, status.leader, status.term, status.vote) == (Role.LEADER, "1", 1, "1")
    assert (status.last, status.durable, status.commit, status.applied) == (2, 1, 1, 1)
    assert [(p.node_id, p.sending, p.match) for p in status.peers] == [
        ("2", Sending.REPLICATE, 1),
        ("3", Sending.REPLICATE, 1),
    ]
    stage.settle()
    assert status.commit == 1
    assert stage["1"].core.status().commit == 2


def test_a_barrier_is_shown_until_it_is_applied() -> None:
    """Zero means none."""
    stage = Stage(["1", "2", "3"], apply_by_hand=True)
    stage.elect("1")
    stage.apply("1")
    stage.govern("1", ["1", "2"])
    stage.settle()
    assert stage["1"].core.status().barrier == 2
    stage.apply("1")
    assert stage["1"].core.status().barrier == 0


def test_a_followers_picture_has_no_peers() -> None:
    """Only a leader knows them."""
    stage = Stage(["1", "2", "3"])
    stage.elect("1")
    assert stage["2"].core.status().peers == ()
