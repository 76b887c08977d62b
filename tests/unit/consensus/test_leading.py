"""What a leader takes in, when it says no, and when it stops."""

from typing import Any

import pytest
import toyhost
from consensus_stage import Stage

from consensus import errors
from consensus.types import EntryKind, Role


def leader(**config: Any) -> Stage:
    """Three nodes, led by 1."""
    stage = Stage(["1", "2", "3"], **config)
    stage.elect("1")
    return stage


def test_proposals_are_taken_all_or_none() -> None:
    """One bad payload and nothing is appended; the code is told."""
    stage = leader()
    core = stage["1"].core
    for payloads in (
        [toyhost.normal(300, "a"), b"?"],
        [toyhost.normal(300, "a"), toyhost.normal(300, "bad")],
    ):
        with pytest.raises(errors.RefusedError) as caught:
            core.propose(payloads, 0, 0)
        assert caught.value.code in ("E_PAYLOAD", "E_BAD")
        assert core.status().last == 1
    first, second = stage.propose("1", "a", "b")
    assert (first.index, second.index, second.term) == (2, 3, 1)


def test_kinds_have_their_own_doors() -> None:
    """A governance payload does not come in as a normal one, nor the other way round."""
    core = leader()["1"].core
    with pytest.raises(errors.RefusedError, match="E_ENTRY_KIND"):
        core.propose([toyhost.governance(300, ["1"])], 0, 0)
    with pytest.raises(errors.RefusedError, match="E_ENTRY_KIND"):
        core.propose_governance(toyhost.normal(300, "a"), 0, 0)


def test_stamps_may_not_fall_nor_run_ahead() -> None:
    """The leader judges its own entries' stamps as its followers do."""
    core = leader()["1"].core
    core.propose([toyhost.normal(500, "a")], 0, 0)
    assert core.next_stamp(0) == 500
    assert core.next_stamp(700) == 700
    with pytest.raises(errors.RefusedError, match="E_STAMP_BEHIND"):
        core.propose([toyhost.normal(499, "b")], 0, 0)
    with pytest.raises(errors.RefusedError, match="E_STAMP_AHEAD"):
        core.propose([toyhost.normal(1501, "b")], 0, 500)


def test_the_window_of_uncommitted_bytes_closes() -> None:
    """One entry always fits into an empty window, a second one does not."""
    stage = leader(uncommitted_max_bytes=100)
    stage.propose("1", "x" * 500)
    with pytest.raises(errors.BusyError):
        stage.propose("1", "y")


def test_a_term_begins_with_an_empty_entry() -> None:
    """Of kind EMPTY, of the own term, and committed before anything is taken."""
    stage = leader()
    entry = stage["2"].disk.entries(1, 2, 1)[0]
    assert (entry.kind, entry.term) == (EntryKind.EMPTY, 1)


def test_only_the_leader_takes_proposals_and_tells_who_it_is() -> None:
    """The error names the leader."""
    stage = leader()
    with pytest.raises(errors.NotLeaderError) as caught:
        stage.propose("2", "a")
    assert caught.value.leader == "1"


def test_a_leader_without_a_majority_steps_down() -> None:
    """Within two election timeouts of hearing nobody."""
    stage = leader()
    stage.tick("1", 100)
    assert stage["1"].core.status().role is Role.LEADER
    stage.tick("1", 100)
    assert stage["1"].core.status().role is Role.FOLLOWER


def test_the_era_entry_waits_for_the_clock() -> None:
    """A leader that applied a change while its clock is in doubt appends the new era's entry once it may."""
    stage = Stage(["1", "2", "3"], apply_by_hand=True)
    stage.elect("1")
    stage.apply("1")
    stage.govern("1", ["1", "2", "3"])
    stage.settle()
    stage["1"].wall_offset = 50_000
    stage.tick("1", 1)
    stage.apply("1")
    core = stage["1"].core
    assert core.status().last == 2
    core.replica.transferee = None  # as if the hand-over had come to nothing
    with pytest.raises(errors.ClockAheadError):
        stage.propose("1", "a")
    stage["1"].wall_offset = 0
    entries = stage.propose("1", "a")
    assert entries[0].index == 4
    assert core.replica.log.entry(3).kind is EntryKind.EMPTY
