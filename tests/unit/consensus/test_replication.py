"""What a leader sends, whose answers it believes, and when it commits."""

from typing import Any

from consensus_stage import Stage

from consensus import messages, replication
from consensus.progress import Sending
from consensus.ready import EvidenceKind
from consensus.types import Role


def leader(**config: Any) -> Stage:
    """Three nodes, led by 1."""
    stage = Stage(["1", "2", "3"], **config)
    stage.elect("1")
    return stage


def sent(stage: Stage) -> list[messages.AppendEntries]:
    """The appends on the wire."""
    return [m for m in stage.wire if isinstance(m, messages.AppendEntries)]


def test_followers_at_the_same_place_get_the_same_tuple() -> None:
    """So that a transport encodes it once."""
    stage = leader()
    stage.propose("1", "a", "b")
    stage.ready("1")
    one, other = sent(stage)
    assert one.entries is other.entries
    assert len(one.entries) == 2


def test_a_message_holds_at_least_one_entry_and_keeps_its_limits() -> None:
    """By bytes and by number."""
    for config, sizes in (({"message_max_bytes": 1}, [1, 1, 1]), ({"message_max_entries": 2}, [2, 1])):
        stage = leader(**config)
        stage.propose("1", "a", "b", "c")
        stage.ready("1")
        assert [len(m.entries) for m in sent(stage) if m.recipient == "2"] == sizes


def test_an_acknowledgement_counts_only_with_the_right_hash() -> None:
    """Another entry, or one that was never sent, is evidence and moves nothing."""
    stage = leader()
    (entry,) = stage.propose("1", "a")
    r = stage["1"].core.replica
    stage.ready("1")
    stage.sync("1")
    for index, digest in ((2, bytes(32)), (3, entry.hash)):
        stage.step(messages.AppendAnswer("2", "1", 1, index, digest, resend=False))
    assert r.progress["2"].match == 1
    assert r.commit == 1
    assert [piece.kind for piece in r.evidence] == [EvidenceKind.FALSE_ACK] * 2
    stage.step(messages.AppendAnswer("2", "1", 1, 2, entry.hash, resend=False))
    assert r.commit == 2


def test_strangers_are_not_counted() -> None:
    """An acknowledgement of a node that is no voter changes nothing."""
    stage = leader()
    (entry,) = stage.propose("1", "a")
    stage.step(messages.AppendAnswer("9", "1", 1, 2, entry.hash, resend=False))
    assert stage["1"].core.status().commit == 1


def test_the_leader_counts_itself_only_as_far_as_it_is_durable() -> None:
    """One acknowledgement of three and an unsynced entry are no majority."""
    stage = leader()
    (entry,) = stage.propose("1", "a")
    stage.ready("1")
    stage.step(messages.AppendAnswer("2", "1", 1, 2, entry.hash, resend=False))
    assert stage["1"].core.status().commit == 1
    stage.sync("1")
    assert stage["1"].core.status().commit == 2


def test_old_mismatches_are_overtaken() -> None:
    """What was acknowledged is never asked for again; a malicious hint cannot move `next` behind `match`."""
    stage = leader()
    stage.propose("1", "a", "b")
    stage.settle()
    p = stage["1"].core.replica.progress["2"]
    for rejected, hint_index, commit in ((3, 0, 0), (1, 0, 0), (3, 0, 1 << 60)):
        stage.step(messages.AppendMismatch("2", "1", 1, rejected, hint_index, 0, commit))
        assert (p.match, p.next, p.sending) == (3, 4, Sending.REPLICATE)


def test_a_second_fall_within_a_heartbeat_waits_for_an_answer() -> None:
    """One lost message of a window makes one new window, not one per message behind it."""
    stage = leader(message_max_bytes=1)
    entries = stage.propose("1", "a", "b", "c")
    stage.ready("1")
    p = stage["1"].core.replica.progress["2"]
    stage.wire.clear()
    stage.step(messages.AppendMismatch("2", "1", 1, 2, 1, 1, 1))
    stage.ready("1")
    assert [m.prev_index for m in sent(stage)] == [1]
    stage.wire.clear()
    stage.step(messages.AppendAnswer("2", "1", 1, 2, entries[0].hash, resend=False))
    stage.ready("1")
    assert [m.prev_index for m in sent(stage) if m.entries] == [2, 3]
    stage.step(messages.AppendMismatch("2", "1", 1, 3, 2, 1, 1))
    assert (p.sending, p.paused) == (Sending.PROBE, True)


def test_late_refusals_change_nothing() -> None:
    """An entry that was acknowledged meanwhile is not refused any more."""
    stage = leader()
    stage.propose("1", "a")
    stage.settle()
    for peer in "23":
        stage.step(messages.Refusal(peer, "1", 1, 2, "E_X"))
    status = stage["1"].core.status()
    assert status.role is Role.LEADER
    assert all(peer.refused == 0 for peer in status.peers)


def test_heartbeats_tell_no_more_than_was_acknowledged() -> None:
    """A follower may not hold what others do."""
    stage = leader()
    stage.cut = [("1", "3")]
    stage.propose("1", "a")
    stage.settle()
    stage.cut = []
    stage.tick("1", 30)
    stage.ready("1")
    beats = {m.recipient: m.commit for m in stage.wire if isinstance(m, messages.Heartbeat)}
    assert beats == {"2": 2, "3": 1}


def test_a_follower_that_refuses_counts_as_silent() -> None:
    """With the other one dead, hearing it is no quorum."""
    stage = leader()
    stage.propose("1", "a")
    r = stage["1"].core.replica
    r.progress["2"].active, r.progress["3"].active = True, False
    assert replication.quorum_is_active(r)
    stage.step(messages.Refusal("2", "1", 1, 2, "E_X"))
    assert r.progress["2"].active
    assert not replication.quorum_is_active(r)
