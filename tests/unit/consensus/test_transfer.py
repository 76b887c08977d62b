"""Hand-over: who is chosen, when it is told, and what ends it."""

import pytest
from consensus_stage import Stage

from consensus import errors, messages
from consensus.types import Role


def leading() -> Stage:
    """Three nodes, led by 1."""
    stage = Stage(["1", "2", "3"])
    stage.elect("1")
    return stage


def test_the_best_follower_is_chosen() -> None:
    """The one that holds most; nobody, when nobody has acknowledged anything."""
    stage = leading()
    stage.cut = [("1", "2")]
    stage.propose("1", "a")
    stage.settle()
    core = stage["1"].core
    assert core.transfer(None, 0, 0) == "3"
    for p in core.replica.progress.values():
        p.match = 0
    assert core.transfer(None, 0, 0) is None


def test_the_target_is_told_once_and_only_when_it_holds_everything() -> None:
    """Asking twice sends one order."""
    stage = leading()
    core = stage["1"].core
    core.transfer("2", 0, 0)
    core.transfer("2", 0, 0)
    assert [type(m) for m in core.replica.outbox] == [messages.TimeoutNow]


def test_a_clean_hand_over_needs_no_timeout() -> None:
    """The successor leads although everybody just heard from the old leader."""
    stage = leading()
    stage["1"].core.transfer("3", stage["1"].now, 0)
    stage.settle()
    assert stage["3"].core.status().role is Role.LEADER
    assert stage["1"].core.status().leader == "3"


def test_only_voters_and_only_from_a_leader() -> None:
    """Everything else is refused by name."""
    stage = leading()
    with pytest.raises(errors.MembershipError):
        stage["1"].core.transfer("1", 0, 0)
    with pytest.raises(errors.MembershipError):
        stage["1"].core.transfer("9", 0, 0)
    with pytest.raises(errors.NotLeaderError):
        stage["2"].core.transfer("1", 0, 0)


def test_a_target_that_is_removed_is_forgotten() -> None:
    """The leader goes on."""
    stage = Stage(["1", "2", "3"], apply_by_hand=True)
    stage.elect("1")
    stage.apply("1")
    stage.govern("1", ["1", "2"])
    stage.cut = [("1", "3"), ("3", "1")]
    stage.settle()
    stage["1"].core.transfer("3", stage["1"].now, 0)
    stage.apply("1")
    assert stage["1"].core.status().transferee is None
