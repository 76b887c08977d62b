"""The words of this room: what an entry is, what is persisted, what goes in and what comes out.

Values are frozen; the three Protocols at the end are what the host supplies. The core holds no clock, no
randomness, no disk and no network: time and the random source are arguments, reading goes through `Storage`,
everything else comes back in a `Ready` (ready.py).

Positions. The log begins at index 0, the root entry that every node holds before it starts (for the ledger:
genesis). It has term 0, is committed by agreement and never changes; the first entry that Raft appends has
index 1. Nothing is ever compacted, so there are no snapshots.

Sources: D. Ongaro, J. Ousterhout, "In Search of an Understandable Consensus Algorithm (Extended Version)",
figure 2 (state), and D. Ongaro's dissertation, chapters 4 (membership), 6 (clients), 9.6 (pre-vote).

Refuses: any knowledge of what a payload means. Kind and timestamp are told by the host, the bytes are opaque.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol, TypeAlias

NodeId: TypeAlias = str  # the host's name of a node; never reused for another node
Index: TypeAlias = int  # position in the log, 0 = root
Term: TypeAlias = int  # election period, 0 before the first election

#: No term and no index on the wire may exceed this (then no sum of two of them overflows 64 bits either).
NUMBER_MAX = 1 << 62
#: What an entry costs beside its payload when windows and caches are measured in bytes.
ENTRY_OVERHEAD_BYTES = 128


class EntryKind(IntEnum):
    """What consensus must know of an entry's meaning."""

    NORMAL = 1
    EMPTY = 2  # content-free: a term's first entry, or the first of a new era
    GOVERNANCE = 3  # a barrier: rules change when it is applied


class Role(IntEnum):
    """Paper, figure 4, with the pre-candidate of dissertation 9.6."""

    FOLLOWER = 0
    PRE_CANDIDATE = 1
    CANDIDATE = 2
    LEADER = 3


@dataclass(frozen=True, slots=True)
class Entry:
    """One derived entry: `hash` (32 bytes) runs over the previous hash, index, term and payload.

    Only `Host.entry` makes one, so holding an `Entry` means that its hash was computed here, from a previous
    hash held here. `stamp_ms` is the wall time the payload carries.
    """

    index: Index
    term: Term
    kind: EntryKind
    stamp_ms: int
    payload: bytes
    hash: bytes

    def cost(self) -> int:
        """Bytes this entry counts for in windows and caches."""
        return len(self.payload) + ENTRY_OVERHEAD_BYTES


@dataclass(frozen=True, slots=True)
class Offer:
    """An entry as it comes off the wire: claimed, not yet derived. Its index follows from its place."""

    term: Term
    payload: bytes

    def cost(self) -> int:
        """Bytes this entry counts for in windows and caches."""
        return len(self.payload) + ENTRY_OVERHEAD_BYTES


@dataclass(frozen=True, slots=True)
class HardState:
    """What must survive a crash: paper, figure 2, and the commit index known when the batch was written."""

    term: Term = 0
    vote: NodeId | None = None
    commit: Index = 0


@dataclass(frozen=True, slots=True)
class SoftState:
    """Role, leader and term; handed out whenever one of them changed."""

    role: Role
    leader: NodeId | None
    term: Term


@dataclass(frozen=True, slots=True)
class ReadState:
    """Answer to `read_index`: once `index` is applied, the state is fresh enough for `context`."""

    context: bytes
    index: Index


@dataclass(frozen=True, slots=True)
class Config:
    """Figures of one node. Times are milliseconds of the monotonic clock unless they say otherwise."""

    node_id: NodeId
    election_timeout_ms: int = 1000  # a follower waits between one and two of these; check-quorum's period
    heartbeat_ms: int = 100  # at most a third of the election timeout
    skew_ms: int = 10_000  # how far ahead of this node's wall clock an uncommitted entry may be stamped
    message_max_bytes: int = 1 << 20  # entries of one AppendEntries (one entry always fits)
    message_max_entries: int = 1024  # also the most that is accepted from the wire
    inflight_max_messages: int = 64  # per follower: AppendEntries sent and not acknowledged
    inflight_max_bytes: int = 16 << 20  # per follower
    uncommitted_max_entries: int = 4096  # leader: proposals beyond this are BusyError
    uncommitted_max_bytes: int = 64 << 20
    unsynced_max_bytes: int = 64 << 20  # follower: takes no more entries until its disk has caught up
    cache_max_bytes: int = 32 << 20  # synced entries kept in memory for followers close behind
    apply_max_bytes: int = 8 << 20  # committed entries handed out in one Ready (one entry always fits)
    reads_max: int = 1024  # read requests waiting for their round
    term_jump_max: int = 1 << 32  # a message further ahead than this is not believed
    evidence_max: int = 64  # pieces of evidence waiting to be taken


class Host(Protocol):
    """What consensus asks about payloads. All three are pure as far as consensus is concerned."""

    def entry(self, prev_hash: bytes, index: Index, term: Term, payload: bytes) -> Entry:
        """Parse enough of `payload` to know kind and stamp, and compute the running hash.

        Raises PayloadError(code) when the bytes are no payload.
        """
        ...

    def check(self, entry: Entry, proposer: NodeId | None) -> str | None:
        """Judge a body before it is stored; None means good, else a refusal code.

        Called with all governance entries below `entry.index` applied, except for a term's first entry
        (kind EMPTY, first of its term), for which no governance state may be consulted. `proposer` is the
        node that must have proposed it (the sender, in its own term), or None when that is not known here.
        Must not judge the timestamp: consensus does (clock.py).
        """
        ...

    def empty(self, stamp_ms: int, *, new_term: bool) -> bytes:
        """Build an empty payload with this stamp: a term's first entry, or the first of a new era."""
        ...


class Storage(Protocol):
    """Reading side of the durable log. Asked only for indices that `synced` has covered (and the root)."""

    def last_index(self) -> Index:
        """Index of the last stored entry; 0 when only the root is there. Asked once, at the start."""
        ...

    def term(self, index: Index) -> Term:
        """Term of a stored entry."""
        ...

    def hash(self, index: Index) -> bytes:
        """Running hash of a stored entry."""
        ...

    def entries(self, lo: Index, hi: Index, max_bytes: int) -> Sequence[Entry]:
        """Stored entries lo <= index < hi in order; at least one, then as many as fit in `max_bytes`."""
        ...


class Rng(Protocol):
    """The random source, e.g. `random.Random`; used for election timeouts only."""

    def randrange(self, start: int, stop: int, /) -> int:
        """A number start <= n < stop."""
        ...
