"""Readiness follows the role; every check says what it saw."""

import pytest
from fake_node import OBSERVER, VITALS, VOTER, observer, voter

from node.health import Check, Vitals, alive, ready
from node.ports import Role
from node.standing import Following, Standing


def failing(standing: Standing, vitals: Vitals = VITALS) -> set[str]:
    """Names of the checks that fail."""
    return {check.name for check in ready(standing, vitals) if not check.ok}


def test_healthy_nodes_of_both_roles_are_ready() -> None:
    """A learner is no failure."""
    assert failing(VOTER) == failing(OBSERVER) == set()
    assert {check.name for check in ready(VOTER, VITALS)} == {"state", "storage", "leader", "lag"}
    assert {check.name for check in ready(OBSERVER, VITALS)} == {"state", "storage", "source", "lag"}


@pytest.mark.parametrize(
    ("standing", "names"),
    [
        (voter(role=Role.HALTED, reason="its own signature contradicts it"), {"state"}),
        (voter(role=Role.WAITING), {"state"}),
        (voter(leader=""), {"leader"}),
        (voter(commit_height=184), set()),
        (voter(commit_height=185), {"lag"}),
        (observer(leader=""), set()),
        (observer(following=Following("", False, 0, 0, 7, "E_FOLLOW_UNREACHABLE")), {"source"}),
        (observer(following=Following("broker-1", True, 185, 0, 0, "")), {"lag"}),
    ],
)
def test_what_makes_a_node_not_ready(standing: Standing, names: set[str]) -> None:
    """Exactly the named checks fail."""
    assert failing(standing) == names


def test_a_halted_node_says_why() -> None:
    """The reason stands in the check's words."""
    checks = ready(voter(role=Role.HALTED, reason="another root was signed"), VITALS)
    assert Check("state", ok=False, words="halted: another root was signed") in checks


def test_a_full_disk_is_not_ready_and_a_stuck_loop_not_alive() -> None:
    """Only what a restart can mend fails liveness."""
    assert failing(VOTER, Vitals(0.0, 1024**3 - 1)) == {"storage"}
    assert all(check.ok for check in alive(Vitals(5.0, 0)))
    assert not all(check.ok for check in alive(Vitals(5.1, 1024**4)))
