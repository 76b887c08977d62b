"""The fields of a replica at its start, and the moves that change several of them together."""

from typing import Any

import pytest
import toyhost
from consensus_stage import FixedRng, Stage

import consensus
from consensus.errors import MembershipError, StartError
from consensus.messages import TermNotice
from consensus.ready import EvidenceKind
from consensus.state import Replica, require_voters
from consensus.types import Config, HardState, Role

HOST = toyhost.ToyHost(consensus)


def stored(*payloads: tuple[int, bytes], state: HardState) -> consensus.MemoryStorage:
    """A store with these (term, payload) entries."""
    storage = consensus.MemoryStorage(toyhost.root(consensus))
    for term, payload in payloads:
        last = storage.last_index()
        storage.write(None, [HOST.entry(storage.hash(last), last + 1, term, payload)], None)
    storage.write(None, [], state)
    return storage


def start(storage: consensus.MemoryStorage, applied: int = 0, **changes: Any) -> Replica:
    """A replica over it."""
    state = changes.pop("hard_state", storage.hard_state)
    return Replica(
        Config("1", **changes),
        HOST,
        storage,
        hard_state=state,
        applied=applied,
        voters=["1", "2"],
        rng=FixedRng(),
    )


def test_a_start_that_contradicts_itself_is_refused() -> None:
    """Commit beyond the log, or applied beyond commit: the store is not what it says."""
    storage = stored((1, toyhost.empty(0, "term")), state=HardState(1, None, 2))
    with pytest.raises(StartError):
        start(storage)
    with pytest.raises(StartError):
        start(storage, applied=2, hard_state=HardState(1, None, 1))


def test_a_log_ahead_of_its_hard_state_raises_the_term() -> None:
    """A log adopted while following from outside brings its term; the old vote does not count in it."""
    storage = stored((3, toyhost.empty(0, "term")), state=HardState(1, "2", 1))
    r = start(storage)
    assert (r.term, r.vote) == (3, None)


def test_an_open_change_is_found_again() -> None:
    """A governance entry that is not known to be committed is a barrier after a restart too."""
    storage = stored(
        (1, toyhost.empty(0, "term")), (1, toyhost.governance(0, ["1"])), (2, toyhost.empty(0, "term")),
        state=HardState(2, None, 1),
    )  # fmt: skip
    assert start(storage, applied=1).barrier == 2
    assert start(storage, applied=1, message_max_bytes=1).barrier == 2


def test_a_new_term_forgets_the_vote_and_what_was_about_to_be_said() -> None:
    """Nothing of an older term is promised any more; the same term keeps both."""
    stage = Stage(["1", "2"])
    r = stage["1"].core.replica
    r.term, r.vote = 4, "2"
    r.outbox.append(TermNotice("1", "2", 4))
    r.become_follower(4, "2")
    assert (r.vote, len(r.outbox)) == ("2", 1)
    r.become_follower(5, None)
    assert r.leader is None
    assert not r.outbox
    assert repr(r.vote) == "None"
    with pytest.raises(AssertionError):
        r.become_follower(4, None)


def test_committed_entries_are_never_truncated() -> None:
    """Whoever asks for that has a bug."""
    stage = Stage(["1", "2", "3"])
    stage.elect("1")
    r = stage["2"].core.replica
    with pytest.raises(AssertionError, match="committed"):
        r.truncate(1)
    stage.propose("1", "a")
    with pytest.raises(AssertionError, match="leader"):
        stage["1"].core.replica.truncate(2)


def test_evidence_is_bounded_and_kept_once() -> None:
    """A peer that repeats itself fills nothing."""
    r = Stage(["1", "2"], evidence_max=2)["1"].core.replica
    for index in (1, 1, 1, 2, 3):
        r.accuse(EvidenceKind.FALSE_ACK, TermNotice("2", "1", 1), index, None, None)
    assert [piece.index for piece in r.evidence] == [1, 2]


def test_a_halted_replica_says_nothing() -> None:
    """What was about to leave is dropped with the role."""
    stage = Stage(["1", "2", "3"])
    stage.elect("1")
    stage["1"].core.replica.halt("because")
    r = stage["1"].core.replica
    assert (r.role, r.outbox, r.appends, r.halted) == (Role.FOLLOWER, [], [], "because")


def test_voters_are_ordered_and_not_empty() -> None:
    """Order is fixed so that nothing depends on how a set is walked."""
    assert require_voters(["b", "a", "b"]) == ("a", "b")
    with pytest.raises(MembershipError):
        require_voters([])
