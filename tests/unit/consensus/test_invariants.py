"""Each invariant finds the state it forbids."""

from collections.abc import Callable

import pytest
from consensus_stage import Stage

from consensus.invariants import Watch
from consensus.state import Replica
from consensus.types import HardState, Role


def leading() -> Stage:
    """Three nodes, led by 1, with an acknowledged entry."""
    stage = Stage(["1", "2", "3"])
    stage.elect("1")
    stage.propose("1", "a")
    stage.settle()
    return stage


def test_a_healthy_replica_passes() -> None:
    """Leader and follower."""
    stage = leading()
    for name in "12":
        r = stage[name].core.replica
        Watch(r).check(r)


def _less(field: str) -> Callable[[Replica], None]:
    return lambda r: setattr(r, field, getattr(r, field) - 1)


def _set(field: str, value: object) -> Callable[[Replica], None]:
    return lambda r: setattr(r, field, value)


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("2", _set("term", 0), "future term|ahead"),
        ("2", _less("commit"), "commit fell|handed out beyond|before it was known"),
        ("2", _less("applied"), "applied fell"),
        ("2", _set("vote", "3"), "vote was changed"),
        ("2", _set("emitted", 99), "handed out beyond"),
        ("2", _set("commit", 99), "commit beyond the log"),
        ("2", _set("barrier", 99), "barrier beyond"),
        ("2", _set("transferee", "1"), "only a leader hands over"),
        ("2", _set("role", Role.CANDIDATE), "candidate voted for itself"),
        ("1", _set("role", Role.CANDIDATE), "only a leader tracks"),
        ("1", _set("leader", "2"), "follows itself"),
        ("1", _set("vote", "2"), "voted for itself|changed within"),
        ("1", _set("voters", ("2", "3")), "leader is a voter"),
        ("1", _set("progress", {}), "tracks every voter"),
        ("1", _set("term_start", 99), "first entry"),
        ("1", lambda r: setattr(r.progress["2"], "match", 0), "match fell"),
        ("1", lambda r: setattr(r.progress["2"], "next", 1), "next is not behind"),
        ("1", lambda r: setattr(r.progress["2"], "next", 99), "next is beyond"),
        ("1", lambda r: r.progress["2"].flights.extend([(9, 1)] * 99), "window of messages"),
        ("1", lambda r: setattr(r.progress["2"], "flights_bytes", 1 << 40), "window of bytes"),
        ("1", lambda r: setattr(r.pipeline, "durable", HardState(0, None, 0)), "durable|stored"),
        ("1", _set("halted", "x"), "halted node has no role"),
    ],
)
def test_a_forbidden_state_is_found(name: str, change: Callable[[Replica], None], words: str) -> None:
    """And named."""
    r = leading()[name].core.replica
    watch = Watch(r)
    change(r)
    with pytest.raises(AssertionError, match=words):
        watch.check(r)
