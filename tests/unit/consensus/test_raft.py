"""The replica as its host sees it: the order of effects, the comparison of terms, the limits of the contract."""

from typing import Any

import pytest
import toyhost
from consensus_stage import Stage

import consensus
from consensus import errors, messages
from consensus.types import Role


def leading(**config: Any) -> Stage:
    """Three nodes, led by 1."""
    stage = Stage(["1", "2", "3"], **config)
    stage.elect("1")
    return stage


def test_a_fresh_replica_has_nothing_to_do() -> None:
    """Before any event."""
    core = Stage(["1", "2", "3"])["1"].core
    assert core.ready() is None
    assert core.deadline_ms() == 100


def test_only_appends_leave_before_their_sync() -> None:
    """The leader's entries are in `messages`, everything else in `after_sync` behind the last batch."""
    stage = leading()
    stage.propose("1", "a")
    stage.tick("1", 30)
    ready = stage["1"].core.ready()
    assert ready is not None
    assert ready.must_sync
    assert {type(m) for m in ready.messages} == {messages.AppendEntries}
    assert {type(m) for m in ready.after_sync} == {messages.Heartbeat}
    again = stage["1"].core
    again.read_index(b"x")
    later = again.ready()
    assert later is not None
    assert (later.must_sync, later.batch) == (False, ready.batch)


def test_a_batch_holds_the_commit_index_known_then() -> None:
    """Whenever entries are written; a commit index that rose alone waits for the next batch."""
    stage = leading()
    assert stage["1"].disk.hard_state.commit == 0
    assert stage["1"].core.status().commit == 1
    stage.propose("1", "a")
    stage.ready("1")
    stage.sync("1")
    assert stage["1"].disk.hard_state.commit == 1


def test_committed_entries_are_handed_out_in_bounded_pieces() -> None:
    """Each within the limit, at least one, in order, each once."""
    stage = Stage(["1"], apply_max_bytes=1, apply_by_hand=True)
    stage.elect("1")
    stage.apply("1")
    stage.propose("1", "a", "b", "c")
    stage.settle()
    assert [[e.index for e in piece] for piece in stage["1"].to_apply] == [[2], [3], [4]]


def test_nothing_is_handed_out_behind_an_unapplied_governance_entry() -> None:
    """The host applies it first, and reports."""
    stage = Stage(["1", "2", "3"], apply_by_hand=True)
    stage.elect("1")
    for name in "123":
        stage.apply(name)
    stage.govern("1", ["1", "2", "3"])
    stage.settle()
    stage.apply("1")
    stage.settle()
    assert [[e.index for e in piece] for piece in stage["2"].to_apply] == [[2]]
    stage.apply("2")
    stage.settle()
    assert [[e.index for e in piece] for piece in stage["2"].to_apply] == [[3]]


def test_applying_what_was_not_handed_out_is_the_hosts_bug() -> None:
    """So is going back."""
    core = leading()["1"].core
    with pytest.raises(AssertionError):
        core.applied(2)
    with pytest.raises(AssertionError):
        core.applied(0)


def test_older_terms_are_answered_with_the_newer_one() -> None:
    """To a leader; to nobody else."""
    stage = leading()
    r = stage["2"].core.replica
    r.become_follower(5, None)
    stage.step(messages.Heartbeat("1", "2", 1, 1, 1))
    stage.step(messages.AppendAnswer("1", "2", 1, 1, bytes(32), resend=False))
    assert r.outbox == [messages.TermNotice("2", "1", 5)]


@pytest.mark.parametrize(
    "message",
    [
        messages.TermNotice("2", "1", 7),
        messages.AppendAnswer("2", "1", 7, 1, bytes(32), resend=False),
        messages.Refusal("2", "1", 7, 1, "E_X"),
        messages.HeartbeatAnswer("2", "1", 7, 1, 0),
        messages.VoteAnswer("2", "1", 7, granted=False, last_index=0, last_hash=bytes(32), wall_ms=0),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_newer_term_ends_a_leaders_term(message: messages.Message) -> None:
    """Whatever brings it."""
    stage = leading()
    stage.step(message)
    status = stage["1"].core.status()
    assert (status.role, status.term, status.leader) == (Role.FOLLOWER, 7, None)


def test_a_malformed_message_changes_nothing() -> None:
    """It is refused before anything is touched."""
    stage = leading()
    before = stage["1"].core.status()
    with pytest.raises(errors.MessageError):
        stage["1"].core.step(messages.TermNotice("2", "1", 1 << 63), 0, 0)
    assert stage["1"].core.status() == before


def test_a_message_from_oneself_is_ignored_and_one_for_another_is_a_bug() -> None:
    """The transport knows who is who."""
    stage = leading()
    stage.step(messages.TermNotice("1", "1", 7))
    assert stage["1"].core.status().term == 1
    with pytest.raises(AssertionError):
        stage["1"].core.step(messages.TermNotice("1", "2", 7), 0, 0)


def test_the_monotonic_clock_does_not_go_back() -> None:
    """An older time is taken for the newest one known."""
    stage = leading()
    core = stage["1"].core
    now = core.replica.now_ms
    core.tick(now - 50, 0)
    assert core.replica.now_ms == now


def test_the_skew_can_be_changed() -> None:
    """Governance may set it."""
    core = leading()["1"].core
    core.set_skew(5)
    with pytest.raises(errors.RefusedError):
        core.propose([toyhost.normal(6, "x")], core.replica.now_ms, 0)
    with pytest.raises(AssertionError):
        core.set_skew(-1)


def test_the_deadline_of_a_leader_is_its_next_heartbeat_or_quorum_check() -> None:
    """Ticking at every deadline keeps a leader alive and a follower led."""
    stage = leading()
    core = stage["1"].core
    start = core.replica.now_ms
    for _ in range(50):
        for name in "123":
            actor = stage[name]
            actor.now = max(core.deadline_ms(), core.replica.now_ms)
            actor.core.tick(actor.now, 0)
        stage.settle()
    assert core.status().role is Role.LEADER
    assert core.replica.now_ms > start + 500


def test_unreachable_is_for_known_followers_of_a_leader() -> None:
    """Anything else is no news."""
    stage = leading()
    stage["1"].core.unreachable("9")
    stage["2"].core.unreachable("1")
    stage["1"].core.unreachable("2")
    assert [peer.paused for peer in stage["1"].core.status().peers] == [True, False]


def test_everything_the_host_needs_is_exported() -> None:
    """From the package itself."""
    for name in consensus.__all__:
        assert hasattr(consensus, name)
