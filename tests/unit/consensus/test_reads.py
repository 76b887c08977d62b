"""Reads: a round of their own time, a limit, and nothing from a leader that does not know."""

from typing import Any

import pytest
from consensus_stage import Stage

from consensus import errors, messages


def leading(**config: Any) -> Stage:
    """Three nodes, led by 1."""
    stage = Stage(["1", "2", "3"], **config)
    stage.elect("1")
    return stage


def test_a_read_waits_for_a_round_that_left_after_it() -> None:
    """An answer to the round before does not count, even of everybody."""
    stage = leading()
    core = stage["1"].core
    stage.tick("1", 30)
    stage.ready("1")
    core.read_index(b"x")
    for peer in "23":
        stage.step(messages.HeartbeatAnswer(peer, "1", 1, 1, 0))
    assert not core.replica.read_states
    stage.ready("1")
    stage.step(messages.HeartbeatAnswer("2", "1", 1, 2, 0))
    assert [(r.context, r.index) for r in core.replica.read_states] == [(b"x", 1)]


def test_several_reads_share_a_round() -> None:
    """Those that came before it left."""
    stage = leading()
    core = stage["1"].core
    for name in (b"a", b"b"):
        core.read_index(name)
    stage.settle()
    assert [line for line in stage.log if "read" in line] == ["1 read a at 1", "1 read b at 1"]
    assert core.replica.round == 1


def test_an_answer_from_the_future_is_ignored() -> None:
    """Nobody can answer a round that was not sent."""
    stage = leading()
    core = stage["1"].core
    core.read_index(b"x")
    stage.step(messages.HeartbeatAnswer("2", "1", 1, 99, 0))
    assert not core.replica.read_states


def test_the_number_of_waiting_reads_is_bounded() -> None:
    """Then it is: slow down."""
    core = leading(reads_max=2)["1"].core
    core.read_index(b"a")
    core.read_index(b"b")
    with pytest.raises(errors.BusyError):
        core.read_index(b"c")


def test_who_cannot_answer_says_so() -> None:
    """A follower names the leader; a halted node says that it is halted."""
    stage = leading()
    with pytest.raises(errors.NotLeaderError):
        stage["2"].core.read_index(b"x")
    stage["1"].core.replica.halt("because")
    with pytest.raises(errors.HaltedError):
        stage["1"].core.read_index(b"x")


def test_a_voter_alone_is_answered_at_once() -> None:
    """It is its own majority, as soon as the read is taken up."""
    stage = Stage(["1"])
    stage.elect("1")
    stage["1"].core.read_index(b"x")
    stage.settle()
    assert "1 read x at 1" in stage.log
