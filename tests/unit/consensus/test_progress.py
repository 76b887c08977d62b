"""What a leader counts of a follower: match only rises, windows close and open, probes are answered."""

import pytest

from consensus.progress import Progress, Sending


def replicating(match: int) -> Progress:
    """A follower that is streamed to."""
    p = Progress(match + 1)
    p.acknowledged(match)
    p.to_replicate()
    return p


def test_match_never_falls() -> None:
    """An old acknowledgement that arrives late changes nothing."""
    p = replicating(5)
    assert not p.acknowledged(3)
    assert not p.acknowledged(5)
    assert (p.match, p.next) == (5, 6)
    assert p.acknowledged(7)
    assert (p.match, p.next) == (7, 8)


def test_the_window_closes_by_messages_and_by_bytes() -> None:
    """Either limit is enough; an acknowledgement frees all it covers."""
    p = replicating(1)
    for last in (2, 3, 4):
        assert p.has_room(3, 1000)
        p.sent(last, 100, barrier=False)
    assert not p.has_room(3, 1000)
    assert p.has_room(4, 1000)
    assert not p.has_room(4, 300)
    p.acknowledged(3)
    assert (len(p.flights), p.flights_bytes) == (1, 100)


def test_a_governance_entry_closes_the_window_until_it_is_acknowledged() -> None:
    """What follows it would not be taken."""
    p = replicating(1)
    p.sent(2, 10, barrier=True)
    assert not p.has_room(100, 1000)
    p.acknowledged(2)
    assert p.has_room(100, 1000)


def test_a_probe_is_answered_by_what_it_could_acknowledge() -> None:
    """One message is out; an older acknowledgement is no answer to it."""
    p = Progress(10)
    p.sent(12, 10, barrier=False)
    assert p.paused
    assert not p.answers_probe(9)
    assert p.answers_probe(12)
    p.to_probe(5, paused=False)
    assert not p.answers_probe(12)
    p.to_replicate()
    assert not p.answers_probe(12)


def test_falling_back_forgets_the_window() -> None:
    """Nothing is in flight any more as far as the leader counts."""
    p = replicating(4)
    p.sent(5, 10, barrier=False)
    p.to_probe(5, paused=True)
    assert (p.sending, p.next, p.paused, len(p.flights), p.flights_bytes) == (Sending.PROBE, 5, True, 0, 0)
    with pytest.raises(AssertionError):
        p.to_probe(4, paused=False)


def test_a_refusal_ends_when_the_entry_is_acknowledged() -> None:
    """Not before."""
    p = replicating(4)
    p.refused = 6
    p.acknowledged(5)
    assert p.refused == 6
    p.acknowledged(6)
    assert p.refused == 0
