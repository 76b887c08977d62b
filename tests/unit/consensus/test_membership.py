"""Changes of voters: one member at a time, in force when applied, a barrier until then."""

import pytest
from consensus_stage import Stage

from consensus import membership
from consensus.errors import BarrierError, MembershipError
from consensus.types import Role


@pytest.mark.parametrize("new", [["a", "b"], ["a", "b", "c"], ["a", "b", "c", "d"], ["c", "b", "a", "a"]])
def test_one_step_is_allowed(new: list[str]) -> None:
    """None, one more, one less; order and repetition mean nothing."""
    assert membership.next_voters(["a", "b", "c"], new) == tuple(sorted(set(new)))


@pytest.mark.parametrize("new", [[], ["a"], ["a", "b", "d"], ["a", "b", "c", "d", "e"]])
def test_more_than_one_step_is_refused(new: list[str]) -> None:
    """Majorities of the two sets might not meet; and somebody must vote."""
    with pytest.raises(MembershipError):
        membership.next_voters(["a", "b", "c"], new)


def test_a_change_is_in_force_when_it_is_applied_not_before() -> None:
    """Neither when it is appended, nor when it is committed."""
    stage = Stage(["1", "2", "3", "4"], voters=["1", "2", "3"], apply_by_hand=True)
    stage.elect("1")
    stage.apply("1")
    stage.govern("1", ["1", "2", "3", "4"])
    stage.settle()
    core = stage["1"].core
    assert (core.status().commit, core.status().voters) == (2, ("1", "2", "3"))
    stage.apply("1")
    assert core.status().voters == ("1", "2", "3", "4")
    assert [peer.node_id for peer in core.status().peers] == ["2", "3", "4"]


def test_a_second_change_waits_for_the_first() -> None:
    """Committed is not enough: it must be applied."""
    stage = Stage(["1", "2", "3"], apply_by_hand=True)
    stage.elect("1")
    stage.apply("1")
    stage.govern("1", ["1", "2"])
    stage.settle()
    with pytest.raises(BarrierError):
        stage.govern("1", ["1"])
    stage.apply("1")
    assert stage.govern("1", ["1"]).index == 4


def test_a_removed_follower_loses_its_candidacy() -> None:
    """It does not ask for votes any more."""
    stage = Stage(["1", "2", "3"])
    stage.elect("1")
    stage.govern("1", ["1", "2"])
    stage.settle()
    assert not stage["3"].core.replica.can_lead()
    stage.tick("3", 1000)
    assert stage["3"].core.status().role is Role.FOLLOWER


def test_the_last_voter_goes_on_alone() -> None:
    """From two to one, the remaining voter commits what it holds itself."""
    stage = Stage(["1", "2"])
    stage.elect("1")
    stage.govern("1", ["1"])
    stage.settle()
    stage.cut = [("1", "2"), ("2", "1")]
    stage.propose("1", "alone")
    stage.settle()
    assert stage["1"].core.status().commit == 4


def test_what_was_committed_before_a_start_comes_first() -> None:
    """A restarted node is blocked, and does not campaign, until it has applied it."""
    stage = Stage(["1", "2", "3"], apply_by_hand=True)
    stage.elect("1")
    for name in "123":
        stage.apply(name)
    stage.propose("1", "a")
    stage.settle()
    stage.propose("1", "b")
    stage.settle()
    stage.crash("2")
    stage.start("2")
    r = stage["2"].core.replica
    assert r.floor == 2
    assert membership.blocked(r, 4)
    assert membership.change_unapplied(r)
    stage.ready("2")
    stage.apply("2")
    assert not membership.blocked(r, 4)
    assert not membership.change_unapplied(r)
