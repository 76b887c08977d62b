"""The fields of one replica, each with its owner and its rule. Functions elsewhere change them; this file lists them.

One mutable object instead of many small ones, because Raft's rules are about how these fields move together. Each
group below names the module that may write it; any other module only reads it. Paper, figure 2 ("State").

Refuses: behaviour. What little is here moves several groups together (a change of term, of role) so that no
caller can forget one of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from consensus.errors import MembershipError, StartError
from consensus.log import Log
from consensus.messages import AppendAnswer, AppendEntries, Message
from consensus.pipeline import Pipeline
from consensus.progress import Progress
from consensus.ready import Evidence, EvidenceKind, Refused
from consensus.types import (
    Config,
    Entry,
    EntryKind,
    HardState,
    Host,
    Index,
    NodeId,
    ReadState,
    Rng,
    Role,
    Storage,
    Term,
)


class Replica:
    """Everything one replica knows. Plain data; see the comments for owners and rules."""

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
    ) -> None:
        self.config = config
        self.id: NodeId = config.node_id
        self.host = host
        self.rng = rng
        # clock: written by raft.py from its callers' arguments
        self.now_ms = 0  # monotonic; never falls
        self.wall_ms = 0  # wall clock; may jump
        self.skew_ms = config.skew_ms  # governance may change it
        # log and disk: log.py, pipeline.py; truncated only through `truncate` below
        self.log = Log(storage, config.cache_max_bytes)
        last = self.log.last
        if not 0 <= applied <= hard_state.commit <= last.index:
            raise StartError(
                f"applied {applied} <= commit {hard_state.commit} <= last {last.index} does not hold"
            )
        # A log adopted while following from outside (an observer that becomes a voter) may be ahead of the hard state.
        term = max(hard_state.term, last.term)
        self.pipeline = Pipeline(hard_state)
        # hard state: election.py (term, vote), replication.py and following.py (commit)
        self.term: Term = term  # never falls
        self.vote: NodeId | None = hard_state.vote if term == hard_state.term else None  # once per term
        self.commit: Index = hard_state.commit  # never falls
        # application: raft.py
        self.applied: Index = applied  # the host has applied up to here; never falls
        self.emitted: Index = applied  # handed out for applying up to here
        # membership: membership.py
        self.voters: tuple[NodeId, ...] = tuple(sorted(set(voters)))  # in force once their change was applied
        self.floor: Index = (
            hard_state.commit
        )  # committed before this start: applied before anything is judged
        self.barrier: Index = 0  # the newest governance entry of this log, as far as it may be unapplied
        self.era_due = False  # leader: a new era began and its empty entry is not appended yet
        # election: election.py
        self.role = Role.FOLLOWER
        self.leader: NodeId | None = None
        self.contact_ms: int | None = None  # when the leader was last heard
        self.election_at_ms = 0  # campaign when this passes
        self.votes: dict[NodeId, bool] = {}
        self.clocks: dict[
            NodeId, tuple[int, int]
        ] = {}  # candidate, leader: a voter's wall clock, and when it came
        self._start_silent()
        self._find_barrier()

    def _start_silent(self) -> None:
        """What no start remembers: leadership, reads, and whatever was about to be said."""
        # leadership: leading.py, replication.py
        self.progress: dict[NodeId, Progress] = {}  # every voter but this one; in order of ids
        self.term_start: Index = 0  # own term's first entry; 0 while it is not appended
        self.heartbeat_at_ms = 0
        self.quorum_at_ms = 0  # next check-quorum
        # hand-over: transfer.py; clock rule: clock.py
        self.transferee: NodeId | None = None
        self.transfer_until_ms = 0
        self.timeout_sent = False
        self.doubt_since_ms: int | None = None  # leader: since when its clock is too far ahead
        # reads: reads.py
        self.round = 0  # newest heartbeat round sent
        self.round_wanted = False  # a read came in after that round left
        self.reads: deque[tuple[bytes, Index, int]] = deque()  # context, commit then, first round that counts
        # following: following.py
        self.held_back: Index | None = None  # the leader's entries behind this place were not taken yet
        self.ack: AppendAnswer | None = None  # newest acknowledgement of this Ready; merged, sent last
        # what leaves with the next Ready
        self.appends: list[AppendEntries] = []
        self.outbox: list[Message] = []  # leaves after the sync
        self.read_states: list[ReadState] = []
        self.dropped_reads: list[bytes] = []
        self.refused: list[Refused] = []
        self.evidence: list[Evidence] = []
        self.halted: str | None = None

    def _find_barrier(self) -> None:
        """Find a governance entry in the part of the log that was not committed when the store was last written."""
        lo, top = self.commit + 1, self.log.last_index + 1
        while lo < top:
            for entry in self.log.slice(lo, top, self.config.message_max_bytes):
                if entry.kind is EntryKind.GOVERNANCE:
                    self.barrier = entry.index
                lo = entry.index + 1

    def append(self, entry: Entry) -> None:
        """Put a derived and checked entry at the end of the log."""
        self.log.append(entry)
        if entry.kind is EntryKind.GOVERNANCE:
            self.barrier = entry.index

    def truncate(self, index: Index) -> None:
        """Forget the log from `index` on: uncommitted entries of another term, nothing else."""
        assert index > self.commit, "a committed entry is never truncated"
        assert self.role is not Role.LEADER, "a leader never truncates its log"
        self.log.truncate(index)
        self.pipeline.cut(index)
        if self.barrier >= index:
            self.barrier = 0  # an older one was applied before this one was taken

    def become_follower(self, term: Term, leader: NodeId | None) -> None:
        """Follow `leader` (or nobody yet) in `term`; a new term forgets the vote and whatever was about to be said."""
        assert term >= self.term, "terms never fall"
        if term > self.term:
            self.term = term
            self.vote = None
            self.outbox.clear()
            self.ack = None
        if self.role is Role.LEADER:
            self.arm_election()
        self.role = Role.FOLLOWER
        self.leader = leader
        self.leave_roles()

    def leave_roles(self) -> None:
        """Drop what only a candidate or a leader knows."""
        self.votes = {}
        self.clocks = {}
        self.progress = {}
        self.term_start = 0
        self.era_due = False
        self.transferee = None
        self.doubt_since_ms = None
        self.held_back = None
        self.dropped_reads.extend(context for context, _, _ in self.reads)
        self.reads.clear()
        self.round_wanted = False

    def arm_election(self, extra_ms: int = 0) -> None:
        """Wait between one and two election timeouts from now, plus `extra_ms`."""
        timeout = self.config.election_timeout_ms
        self.election_at_ms = self.now_ms + self.rng.randrange(timeout, 2 * timeout) + extra_ms

    def accuse(
        self, kind: EvidenceKind, message: Message, index: Index, held: Entry | None, theirs: Entry | None
    ) -> None:
        """Keep evidence against the sender of `message`, up to a limit; repeated pieces once."""
        if len(self.evidence) >= self.config.evidence_max:
            return
        piece = Evidence(kind, message.sender, index, message.term, held, theirs, message)
        if piece not in self.evidence:
            self.evidence.append(piece)

    def halt(self, why: str) -> None:
        """This node's own state is contradicted: say nothing any more, and say why."""
        self.become_follower(self.term, None)
        self.outbox.clear()
        self.appends.clear()
        self.ack = None
        self.halted = why

    def can_lead(self) -> bool:
        """Whether this node counts among the voters as far as it has applied."""
        return self.id in self.voters


def require_voters(voters: Iterable[NodeId]) -> tuple[NodeId, ...]:
    """The set in order of ids; refuses an empty one."""
    ordered = tuple(sorted(set(voters)))
    if not ordered:
        raise MembershipError("no voters")
    return ordered
