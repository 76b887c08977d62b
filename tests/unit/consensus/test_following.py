"""What a follower takes, what it answers, and what halts it."""

import pytest
import toyhost
from consensus_stage import Stage

import consensus
from consensus import messages
from consensus.ready import EvidenceKind
from consensus.types import EntryKind, Offer

# Stamped a little after what `led` committed.
E, N = toyhost.empty(300, "term"), toyhost.normal(300, "x")


def led() -> Stage:
    """Three nodes; 1 led term 1 and committed entries 1 and 2."""
    stage = Stage(["1", "2", "3"])
    stage.elect("1")
    stage.propose("1", "a")
    stage.settle()
    return stage


def append(
    stage: Stage,
    term: int,
    prev: int,
    *entries: tuple[int, bytes],
    sender: str = "1",
    commit: int = 0,
    prev_term: int | None = None,
) -> None:
    """Deliver an AppendEntries to node 2, behind its own entry `prev`."""
    log = stage["2"].core.replica.log
    known = prev <= log.last_index
    stage.step(
        messages.AppendEntries(
            sender,
            "2",
            term,
            prev,
            prev_term if prev_term is not None else (log.term(prev) if known else term),
            log.hash(prev) if known else bytes(32),
            commit,
            tuple(Offer(t, payload) for t, payload in entries),
        )
    )


def said(stage: Stage, kind: type) -> list[messages.Message]:
    """What node 2 is about to answer."""
    r = stage["2"].core.replica
    return [m for m in (*r.outbox, *([r.ack] if r.ack else [])) if isinstance(m, kind)]


def test_an_old_message_does_not_shorten_the_log() -> None:
    """Truncation happens only where terms differ: a shorter or older append that agrees drops nothing."""
    stage = led()
    append(stage, 1, 2, (1, N), (1, N))
    append(stage, 1, 2, (1, N))
    append(stage, 1, 1)
    assert stage["2"].core.status().last == 4
    (ack,) = said(stage, messages.AppendAnswer)
    assert isinstance(ack, messages.AppendAnswer)
    assert ack.index == 4


def test_a_conflict_truncates_exactly_what_differs() -> None:
    """The first entry of another term and all behind it."""
    stage = led()
    append(stage, 1, 2, (1, N), (1, N))
    append(stage, 2, 3, (2, E), sender="3")
    r = stage["2"].core.replica
    assert [r.log.term(i) for i in range(5)] == [0, 1, 1, 1, 2]


def test_an_entry_that_is_refused_truncates_nothing() -> None:
    """The old tail stays until something good replaces it."""
    stage = led()
    append(stage, 1, 2, (1, N), (1, N))
    append(stage, 2, 3, (2, N), sender="3")
    assert stage["2"].core.status().last == 4
    (refusal,) = said(stage, messages.Refusal)
    assert isinstance(refusal, messages.Refusal)
    assert (refusal.index, refusal.code) == (4, "E_TERM_START")


@pytest.mark.parametrize(
    ("payload", "code"),
    [(b"?", "E_PAYLOAD"), (toyhost.normal(300, "bad"), "E_BAD"), (toyhost.normal(-1, "x"), "E_STAMP_BEHIND")],
)
def test_a_refusal_has_height_and_code_and_is_no_mismatch(payload: bytes, code: str) -> None:
    """What stands before it is taken and acknowledged, what stands behind it is not looked at."""
    stage = led()
    append(stage, 1, 2, (1, N), (1, payload), (1, N))
    assert stage["2"].core.status().last == 3
    (refusal,) = said(stage, messages.Refusal)
    assert isinstance(refusal, messages.Refusal)
    assert (refusal.index, refusal.code) == (4, code)
    assert not said(stage, messages.AppendMismatch)
    assert [m.index for m in said(stage, messages.AppendAnswer) if isinstance(m, messages.AppendAnswer)] == [
        3
    ]


def test_the_host_is_told_what_the_leader_says_is_committed() -> None:
    """A refused body that the leader calls committed is for the host to judge: it may have to halt."""
    stage = led()
    append(stage, 1, 2, (1, toyhost.normal(300, "bad")), commit=3)
    (refused,) = stage["2"].core.replica.refused
    assert (refused.index, refused.code, refused.committed) == (3, "E_BAD", True)


@pytest.mark.parametrize(("term", "commit", "taken"), [(1, 0, False), (1, 3, True), (2, 0, True)])
def test_clocks_judge_only_uncommitted_entries_of_the_leaders_own_term(
    term: int, commit: int, taken: bool
) -> None:
    """What is committed, or of an older term, is refused by no clock."""
    stage = led()
    ahead = toyhost.normal(9_000_000, "x")
    append(stage, term, 2, (1, ahead), commit=commit)
    assert (stage["2"].core.status().last == 3) is taken


def test_the_proposer_is_known_only_in_the_leaders_own_term() -> None:
    """The host is asked with the sender's name for entries of its term, with None for older ones."""
    stage = led()
    asked: list[str | None] = []

    class Curious(toyhost.ToyHost):
        def check(self, entry: consensus.Entry, proposer: str | None) -> str | None:
            asked.append(proposer)
            return None

    stage["2"].core.replica.host = Curious(consensus)
    append(stage, 2, 2, (1, N), (2, E), sender="3")
    assert asked == [None, "3"]


def test_commit_follows_what_is_held_and_never_falls() -> None:
    """A leader may know more to be committed than this message brings."""
    stage = led()
    append(stage, 1, 2, (1, N), commit=99)
    r = stage["2"].core.replica
    assert r.commit == 3
    append(stage, 1, 2, commit=0)
    assert r.commit == 3


def test_a_heartbeat_cannot_commit_what_is_not_held() -> None:
    """It would mean that this node acknowledged what it does not have: evidence, no answer."""
    stage = led()
    stage.step(messages.Heartbeat("1", "2", 1, 9, 1))
    r = stage["2"].core.replica
    assert r.commit == 2
    assert [piece.kind for piece in r.evidence] == [EvidenceKind.COMMIT_BEYOND]
    assert not said(stage, messages.HeartbeatAnswer)


def test_another_entry_of_a_term_held_is_never_stored() -> None:
    """Both are kept: the one held and the one offered."""
    stage = led()
    held = stage["2"].core.replica.log.entry(2)
    append(stage, 1, 1, (1, toyhost.normal(0, "other")))
    (piece,) = stage["2"].core.replica.evidence
    assert (piece.kind, piece.peer, piece.held) == (EvidenceKind.OTHER_ENTRY, "1", held)
    assert piece.theirs is not None
    assert toyhost.text_of(piece.theirs.payload) == "other"
    assert stage["2"].core.replica.log.entry(2) == held


@pytest.mark.parametrize("prev_term", [0, 1])
def test_what_is_committed_is_never_overwritten(prev_term: int) -> None:
    """Not by an entry of another term, nor by a message that denies one: the node halts and says why."""
    stage = led()
    if prev_term:
        append(stage, 5, 1, (5, E), sender="3")
    else:
        append(stage, 5, 1, (5, E), sender="3", prev_term=0)
    core = stage["2"].core
    assert core.status().halted is not None
    ready = core.ready()
    assert ready is not None
    assert ready.halted is not None
    assert not ready.after_sync
    assert ready.evidence[0].kind is EvidenceKind.COMMITTED_OVERWRITE
    assert core.replica.log.last_index == 2
    append(stage, 5, 2, (5, E), sender="3")
    assert core.ready() is None


def test_acknowledgements_of_one_ready_are_merged() -> None:
    """The highest one says it all."""
    stage = led()
    for n in range(2, 6):
        append(stage, 1, n, (1, N))
    stage.ready("2")
    stage.sync("2")
    acks = [m for m in stage.wire if isinstance(m, messages.AppendAnswer)]
    assert [m.index for m in acks] == [6]


def test_an_acknowledgement_of_an_older_term_is_not_sent_any_more() -> None:
    """When a new leader's entries replaced the old ones before the batch, nothing is promised of the old ones."""
    stage = led()
    append(stage, 1, 2, (1, N))
    append(stage, 2, 2, (2, E), sender="3")
    stage.ready("2")
    stage.sync("2")
    acks = [m for m in stage.wire if isinstance(m, messages.AppendAnswer)]
    assert [(m.term, m.recipient) for m in acks] == [(2, "3")]


def test_the_hint_skips_the_leaders_terms() -> None:
    """A mismatch names the last place that may agree, its term, and a place that does."""
    stage = led()
    append(stage, 1, 9)
    (mismatch,) = said(stage, messages.AppendMismatch)
    assert isinstance(mismatch, messages.AppendMismatch)
    assert (mismatch.rejected, mismatch.hint_index, mismatch.hint_term, mismatch.commit) == (9, 2, 1, 2)


def test_entries_need_not_be_derived_by_the_sender() -> None:
    """Offers off the wire and the leader's own entries are taken alike."""
    stage = led()
    r = stage["2"].core.replica
    entry = stage["1"].host.entry(r.log.last.hash, 3, 1, N)
    stage.step(messages.AppendEntries("1", "2", 1, 2, 1, r.log.last.hash, 0, (entry,)))
    assert r.log.entry(3) == entry
    assert r.log.entry(3).kind is EntryKind.NORMAL
    assert isinstance(entry, consensus.Entry)
