"""Wall time: what may be refused, and when a leader doubts itself."""

import pytest
import toyhost
from consensus_stage import Stage

import consensus
from consensus import clock
from consensus.state import Replica

HOST = toyhost.ToyHost(consensus)


def leading(n: int = 3) -> Stage:
    """N nodes with all clocks at 0 and a skew of 1000, led by 1."""
    stage = Stage([str(i + 1) for i in range(n)])
    stage.elect("1")
    return stage


def replica(stage: Stage, wall: int) -> Replica:
    """Node 1 with its wall clock at `wall`."""
    r = stage["1"].core.replica
    r.wall_ms = wall
    return r


@pytest.mark.parametrize(
    ("stamp", "previous", "fixed", "code"),
    [
        (1000, 0, False, None),
        (1001, 0, False, clock.E_STAMP_AHEAD),
        (1001, 0, True, None),
        (5000, 5000, False, None),
        (5001, 5000, False, clock.E_STAMP_AHEAD),
        (4999, 5000, False, clock.E_STAMP_BEHIND),
        (4999, 5000, True, clock.E_STAMP_BEHIND),
    ],
)
def test_objections(stamp: int, previous: int, fixed: bool, code: str | None) -> None:
    """Falling is always refused; being ahead only beyond previous and clock plus skew, and not by fixed rules."""
    r = replica(leading(), 0)
    entry = HOST.entry(bytes(32), 2, 1, toyhost.normal(stamp, "x"))
    assert clock.objection(r, entry, previous, only_fixed_rules=fixed) == code


def test_estimates_go_on_with_the_monotonic_clock() -> None:
    """What a voter told grows older at the pace of this node's own clock."""
    r = replica(leading(), 0)
    clock.heard(r, "2", 700)
    r.now_ms += 50
    assert clock.estimates(r)["2"] == 750


def test_a_clock_that_was_not_heard_lately_counts_for_nothing() -> None:
    """A dead voter accepts nothing."""
    r = replica(leading(), 0)
    clock.heard(r, "2", 700)
    r.now_ms += 100
    clock.heard(r, "3", 800)
    assert clock.estimates(r) == {"2": 800, "3": 800}
    r.now_ms += 1
    assert clock.estimates(r) == {"3": 801}


@pytest.mark.parametrize(
    ("nodes", "clocks", "wall", "accepted"),
    [
        (3, {"2": 0, "3": 0}, 1000, True),
        (3, {"2": 0, "3": 0}, 1001, False),
        (3, {"2": 1, "3": 0}, 1001, True),
        (3, {"2": 0}, 1001, False),
        (3, {"2": 1}, 1001, True),
        (5, {"2": 9000, "3": 0, "4": 0, "5": 0}, 9000, False),
        (5, {"2": 9000, "3": 9000, "4": 0, "5": 0}, 9000, True),
        (1, {}, 10**12, True),
    ],
)
def test_a_quorum_must_be_known_to_accept(
    nodes: int, clocks: dict[str, int], wall: int, accepted: bool
) -> None:
    """Silence is no consent; one voter alone asks nobody."""
    r = replica(leading(nodes), wall)
    r.clocks = {peer: (value, r.now_ms) for peer, value in clocks.items()}
    assert clock.quorum_would_accept(r) is accepted


def test_repeating_the_last_stamp_is_never_in_doubt() -> None:
    """Behind an entry stamped far ahead, whatever the clocks say."""
    stage = leading()
    r = replica(stage, 0)
    r.clocks = {}
    assert r.log.last.stamp_ms > r.wall_ms
    assert clock.quorum_would_accept(r)
    r.wall_ms = r.log.last.stamp_ms + 1
    assert not clock.quorum_would_accept(r)


def test_doubt_begins_and_ends() -> None:
    """It is old after one election timeout, and forgotten when the clock is right again."""
    r = replica(leading(), 90_000)
    assert clock.in_doubt(r)
    assert not clock.doubt_is_old(r)
    r.now_ms += 100
    assert clock.in_doubt(r)
    assert clock.doubt_is_old(r)
    r.wall_ms = 0
    assert not clock.in_doubt(r)
    assert r.doubt_since_ms is None


def test_the_lowest_clock_among_those_up_to_date() -> None:
    """A voter that lacks entries, or told nothing, is not chosen."""
    stage = leading(4)
    r = replica(stage, 0)
    r.clocks = {"2": (50, r.now_ms), "3": (10, r.now_ms)}
    assert clock.lowest(r) == "3"
    r.progress["3"].match = 0
    assert clock.lowest(r) == "2"
    r.clocks = {}
    assert clock.lowest(r) is None
