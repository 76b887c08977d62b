"""What must hold of one replica, always: asked after every event in the simulator and in scenario tests.

Two kinds, as in LogCabin's RaftConsensusInvariants: of a single state, and from one state to the next. They repeat
what the modules claim in prose, from outside and in one place, so that a change which breaks a claim is found where
it happens and not where it hurts. What takes several nodes to see (one leader per term, leader completeness,
durability on a quorum) is asked by the simulator.

Refuses: to repair. Every finding is a fault of our own, hence `assert`. Costs a few microseconds per call; a host
need not call it.
"""

from __future__ import annotations

from consensus import membership
from consensus.progress import Sending
from consensus.state import Replica
from consensus.types import NUMBER_MAX, HardState, Index, NodeId, Role, Term


class Watch:
    """Remembers one replica's last seen state; `check` compares, asserts, and remembers anew."""

    __slots__ = ("_applied", "_commit", "_last", "_leading", "_matches", "_stored", "_term", "_vote")

    def __init__(self, r: Replica) -> None:
        self._remember(r)

    def check(self, r: Replica) -> None:
        """Everything below, after one event."""
        _check_marks(r)
        _check_role(r)
        _check_progress(r)
        self._check_step(r)
        self._remember(r)

    def _remember(self, r: Replica) -> None:
        self._term: Term = r.term
        self._vote: NodeId | None = r.vote
        self._commit: Index = r.commit
        self._applied: Index = r.applied
        self._stored: HardState = r.pipeline.durable
        self._leading = r.role is Role.LEADER
        self._last: Index = r.log.last_index
        self._matches: list[tuple[NodeId, Index]] = [(peer, p.match) for peer, p in r.progress.items()]

    def _check_step(self, r: Replica) -> None:
        """From the state remembered to this one."""
        assert r.term >= self._term, f"term fell from {self._term} to {r.term}"
        assert r.commit >= self._commit, f"commit fell from {self._commit} to {r.commit}"
        assert r.applied >= self._applied, f"applied fell from {self._applied} to {r.applied}"
        stored = r.pipeline.durable
        assert stored.term >= self._stored.term, "the stored term fell"
        assert stored.commit >= self._stored.commit, "the stored commit index fell"
        if r.term == self._term:
            assert self._vote is None or r.vote == self._vote, "a vote was changed within a term"
            if self._leading and r.role is Role.LEADER:
                assert r.log.last_index >= self._last, "a leader's log became shorter"
                for peer, match in self._matches:
                    p = r.progress.get(peer)
                    assert p is None or p.match >= match, f"{peer}: match fell from {match}"
            if self._leading:
                assert r.role in (Role.LEADER, Role.FOLLOWER), "a leader campaigned in its own term"


def _check_marks(r: Replica) -> None:
    """The marks that run over the log, in their order."""
    log = r.log
    assert 0 <= r.applied <= r.emitted, "applied beyond what was handed out"
    assert r.emitted <= r.commit, "handed out beyond the commit index"
    assert r.emitted <= log.durable, "handed out beyond what is durable here"
    assert r.commit <= log.last_index, "commit beyond the log"
    assert log.durable <= log.last_index, "durable beyond the log"
    assert r.pipeline.written.commit <= r.commit, "a commit index was written before it was known"
    assert r.pipeline.durable.term <= r.pipeline.written.term <= r.term, "a stored term is ahead"
    assert log.last.term <= r.term <= NUMBER_MAX, "an entry of a future term"
    assert r.barrier <= log.last_index, "a barrier beyond the log"


def _check_role(r: Replica) -> None:
    """What a role implies (paper, figure 4)."""
    if r.role is Role.LEADER:
        assert r.leader == r.id, "a leader follows itself"
        assert r.vote == r.id, "a leader voted for itself"
        assert r.id in r.voters, "a leader is a voter"
        assert r.pipeline.durable.term == r.term, "a leader's term is durable"
        assert r.pipeline.durable.vote == r.id, "a leader's vote is durable"
        assert sorted((*r.progress, r.id)) == list(r.voters), "a leader tracks every voter, and only voters"
        assert r.term_start <= r.log.last_index, "the term's first entry is in the log"
        assert len(r.reads) <= r.config.reads_max, "too many reads wait"
    else:
        assert not r.progress, "only a leader tracks followers"
        assert not r.reads, "only a leader holds reads"
        assert r.transferee is None, "only a leader hands over"
    if r.role is Role.CANDIDATE:
        assert r.vote == r.id, "a candidate voted for itself"
    if r.role in (Role.CANDIDATE, Role.PRE_CANDIDATE):
        assert r.id in r.voters, "a candidate is a voter"
        assert not membership.change_unapplied(r), (
            "a candidate has applied every change it knows to be committed"
        )
    if r.halted is not None:
        assert r.role is Role.FOLLOWER, "a halted node has no role"


def _check_progress(r: Replica) -> None:
    """What a leader may believe of its followers, and how much it may have in flight."""
    config = r.config
    for peer, p in r.progress.items():
        assert p.match < p.next, f"{peer}: next is not behind match"
        assert p.match <= r.log.last_index, f"{peer}: acknowledged what is not in the log"
        assert p.next <= r.log.last_index + 1, f"{peer}: next is beyond the log"
        assert len(p.flights) <= config.inflight_max_messages, f"{peer}: window of messages exceeded"
        # One append may start below the limit and end above it; the window closes behind it.
        slack = max(config.message_max_bytes, max((cost for _, cost in p.flights), default=0))
        assert p.flights_bytes < config.inflight_max_bytes + slack, f"{peer}: window of bytes exceeded"
        if p.sending is Sending.PROBE:
            assert not p.flights, f"{peer}: probing with a window in flight"
