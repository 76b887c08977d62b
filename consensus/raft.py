"""The replica as its host sees it: events in by methods, effects out by `ready()`. Dispatch only.

The contract is told in `consensus/__init__.py`. Rules live in the modules named there; what this file adds is the
order in which they are asked, the comparison of terms that comes before every rule (paper 5.1), and the
assembly of a `Ready`: what is written, what may leave before that, what must wait, what may be applied.

Refuses: to act once halted, and calls that break the contract (reports out of order, applying what was not
handed out): those are faults of the host, so an `assert`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from consensus import clock, election, following, leading, membership, messages, reads, replication, transfer
from consensus.errors import HaltedError
from consensus.messages import Message
from consensus.ready import Ready
from consensus.state import Replica
from consensus.status import Status, status_of
from consensus.types import (
    Config,
    Entry,
    EntryKind,
    HardState,
    Host,
    Index,
    NodeId,
    Rng,
    Role,
    SoftState,
    Storage,
)

_Handler = Callable[[Replica, Any], None]

#: Who answers which message, once terms agree.
_HANDLERS: dict[type, _Handler] = {
    messages.RequestPreVote: election.on_request_pre_vote,
    messages.PreVoteAnswer: election.on_pre_vote_answer,
    messages.RequestVote: election.on_request_vote,
    messages.VoteAnswer: election.on_vote_answer,
    messages.TimeoutNow: election.on_timeout_now,
    messages.AppendEntries: following.on_append_entries,
    messages.Heartbeat: following.on_heartbeat,
    messages.AppendAnswer: replication.on_append_answer,
    messages.AppendMismatch: replication.on_append_mismatch,
    messages.Refusal: replication.on_refusal,
    messages.HeartbeatAnswer: replication.on_heartbeat_answer,
    messages.TermNotice: lambda _replica, _message: None,  # its term was all it had to say
}
#: Questions whose term is not the sender's own: their handlers compare terms themselves.
_ASKS = (messages.RequestPreVote, messages.PreVoteAnswer, messages.RequestVote)
#: What a leader of an older term may still send: it is told the newer term.
_FROM_LEADERS = (messages.AppendEntries, messages.Heartbeat)


class Raft:
    """One replica. Not thread-safe: one loop owns it.

    `applied` is how far the host has applied before the start, `voters` the voters in force there, and
    `hard_state.commit` the highest index known to be committed (it may exceed what was stored, never the log).
    Raises StartError when they contradict the storage, MembershipError when there are no voters.
    """

    def __init__(
        self,
        config: Config,
        host: Host,
        storage: Storage,
        *,
        hard_state: HardState,
        applied: Index,
        voters: Iterable[NodeId],
        rng: Rng,
        now_ms: int,
        wall_ms: int,
    ) -> None:
        r = Replica(config, host, storage, hard_state=hard_state, applied=applied, voters=voters, rng=rng)
        self.replica = r
        self._soft = SoftState(r.role, r.leader, r.term)
        self._clock(now_ms, wall_ms)
        r.arm_election()

    # --- events -----------------------------------------------------------------------------------------------

    def tick(self, now_ms: int, wall_ms: int) -> None:
        """Time has passed. Call it at least when `deadline_ms()` is reached; more often does no harm."""
        r = self._clock(now_ms, wall_ms)
        if r.halted is None:
            if r.role is Role.LEADER:
                leading.tick(r)
            else:
                election.tick(r)

    def step(self, message: Message, now_ms: int, wall_ms: int) -> None:
        """A message from another node, whose sender the transport has authenticated.

        Raises MessageError when its numbers are out of range; then nothing was changed.
        """
        r = self._clock(now_ms, wall_ms)
        assert message.recipient == r.id, "delivered to the wrong node"
        if r.halted is not None or message.sender == r.id:
            return
        messages.check_ranges(message, r.term, r.config.term_jump_max, r.config.message_max_entries)
        if not isinstance(message, _ASKS):
            if message.term > r.term:
                r.become_follower(message.term, None)
            elif message.term < r.term:
                if isinstance(message, _FROM_LEADERS):
                    r.outbox.append(messages.TermNotice(r.id, message.sender, r.term))
                return
        _HANDLERS[type(message)](r, message)

    def propose(self, payloads: Sequence[bytes], now_ms: int, wall_ms: int) -> tuple[Entry, ...]:
        """Append payloads of kind NORMAL, in order, all or none; raises a ProposalError (errors.py)."""
        return leading.propose(self._clock(now_ms, wall_ms), payloads, EntryKind.NORMAL)

    def propose_governance(self, payload: bytes, now_ms: int, wall_ms: int) -> Entry:
        """Append one payload of kind GOVERNANCE; nothing follows it before it is applied.

        What was appended before it may still be uncommitted; another governance entry may not.
        """
        return leading.propose(self._clock(now_ms, wall_ms), [payload], EntryKind.GOVERNANCE)[0]

    def next_stamp(self, wall_ms: int) -> int:
        """The stamp a payload made now has to carry: never before the last entry's."""
        return clock.next_stamp(self.replica, wall_ms)

    def read_index(self, context: bytes) -> None:
        """Ask for a linearizable read; raises NotLeaderError, NotReadyError, BusyError or HaltedError."""
        if self.replica.halted is not None:
            raise HaltedError(self.replica.halted)
        reads.request(self.replica, context)

    def transfer(self, target: NodeId | None, now_ms: int, wall_ms: int) -> NodeId | None:
        """Hand leadership to `target`, or to the best follower; answers to whom (None: nobody is there).

        Raises NotLeaderError, or MembershipError when `target` is no other voter.
        """
        return transfer.begin(self._clock(now_ms, wall_ms), target)

    def campaign(self, now_ms: int, wall_ms: int) -> None:
        """Start a pre-vote campaign now instead of at the timeout (operators and tests); no-op if it may not."""
        r = self._clock(now_ms, wall_ms)
        if r.halted is None and election.may_campaign(r):
            r.arm_election()
            election.pre_campaign(r)

    def synced(self, batch: int) -> None:
        """The disk has made `batch` durable. Reported for every batch with `must_sync`, in their order."""
        r = self.replica
        r.log.mark_durable(r.pipeline.synced(batch))
        if r.halted is not None:
            return
        election.own_vote_durable(r)
        if r.role is Role.LEADER:
            replication.advance_commit(r)
        following.resume(r)

    def applied(self, index: Index, voters: Iterable[NodeId] | None = None, *, new_era: bool = False) -> None:
        """The host has applied everything up to `index`.

        `voters`: the voters from now on, when the entry at `index` changed them. `new_era`: it changed keys,
        institutions or policy, so that a leader appends an empty entry. Raises MembershipError (more than one step).
        """
        r = self.replica
        assert r.applied <= index <= r.emitted, "applied what was not handed out, or went back"
        r.applied = index
        if voters is not None:
            membership.take_effect(r, voters)
        if r.halted is not None:
            return
        if r.role is Role.LEADER and new_era:
            r.era_due = True
            leading.append_due(r)
        following.resume(r)

    def unreachable(self, peer: NodeId) -> None:
        """The transport could not deliver to `peer`."""
        replication.unreachable(self.replica, peer)

    def set_skew(self, skew_ms: int) -> None:
        """Governance changed how far ahead of this node's clock an entry may be stamped."""
        assert skew_ms >= 0, "a skew is not negative"
        self.replica.skew_ms = skew_ms

    # --- effects ----------------------------------------------------------------------------------------------

    def ready(self) -> Ready | None:
        """What there is to do, or None. Call it after events until it answers None."""
        r = self.replica
        if r.halted is None:
            if r.role is Role.LEADER:
                replication.pump(r)
                if r.round_wanted:
                    replication.broadcast_heartbeat(r)
            if r.ack is not None:
                r.outbox.append(r.ack)
                r.ack = None
        hard_state, truncate_from, entries = self._writes()
        must_sync = hard_state is not None
        committed = self._to_apply()
        soft = self._soft_change()
        if not (
            must_sync or committed or soft or r.appends or r.outbox or r.read_states
            or r.dropped_reads or r.refused or r.evidence
        ):  # fmt: skip
            return None
        ready = Ready(
            batch=r.pipeline.batch,
            must_sync=must_sync,
            hard_state=hard_state,
            truncate_from=truncate_from,
            entries=entries,
            messages=tuple(r.appends),
            after_sync=tuple(r.outbox),
            committed=committed,
            reads=tuple(r.read_states),
            dropped_reads=tuple(r.dropped_reads),
            soft=soft,
            refused=tuple(r.refused),
            evidence=tuple(r.evidence),
            halted=r.halted,
        )
        for queue in (r.appends, r.outbox, r.read_states, r.dropped_reads, r.refused, r.evidence):
            queue.clear()
        return ready

    def deadline_ms(self) -> int:
        """When `tick` has to be called at the latest (monotonic clock)."""
        r = self.replica
        return min(r.heartbeat_at_ms, r.quorum_at_ms) if r.role is Role.LEADER else r.election_at_ms

    def status(self) -> Status:
        """A picture for operators and metrics."""
        return status_of(self.replica)

    # --- inside -----------------------------------------------------------------------------------------------

    def _clock(self, now_ms: int, wall_ms: int) -> Replica:
        """Note the time; the monotonic clock never falls."""
        r = self.replica
        r.now_ms = max(r.now_ms, now_ms)
        r.wall_ms = wall_ms
        return r

    def _writes(self) -> tuple[HardState | None, Index | None, tuple[Entry, ...]]:
        """One batch: truncation, entries, term, vote and the commit index known now; all None or empty if nothing.

        A commit index that rose alone waits for the next batch: it is not a promise.
        """
        r = self.replica
        truncate_from, entries = r.log.take_writes()
        written = r.pipeline.written
        if truncate_from is None and not entries and (r.term, r.vote) == (written.term, written.vote):
            return None, None, ()
        hard_state = HardState(r.term, r.vote, r.commit)
        r.pipeline.hand_out(r.log.last_index, hard_state, r.now_ms)
        return hard_state, truncate_from, entries

    def _to_apply(self) -> tuple[Entry, ...]:
        """Entries both committed and in this node's own synced store; ends with a governance entry until applied."""
        r = self.replica
        top = min(r.commit, r.log.durable)
        if r.emitted >= top or (r.emitted > r.applied and self._last_kind is EntryKind.GOVERNANCE):
            return ()
        entries = tuple(r.log.slice_to_barrier(r.emitted + 1, top + 1, r.config.apply_max_bytes))
        r.emitted = entries[-1].index
        self._last_kind = entries[-1].kind
        return entries

    _last_kind = EntryKind.EMPTY  # kind of the newest entry handed out for applying

    def _soft_change(self) -> SoftState | None:
        """Role, leader and term when one of them changed since the last Ready."""
        r = self.replica
        if (r.role, r.leader, r.term) == (self._soft.role, self._soft.leader, self._soft.term):
            return None
        self._soft = SoftState(r.role, r.leader, r.term)
        return self._soft
