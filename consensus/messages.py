"""What replicas say to one another: one frozen type per message, no shared union of optional fields.

Each message names sender and recipient; the transport has made sure of the sender, and the core believes
nothing else. Paper, figure 2; the extra messages are pre-vote (dissertation 9.6), heartbeats with rounds
(6.4), leadership transfer (3.10), and two answers of our own: `Refusal`, which is not a log mismatch, and
`TermNotice`, by which a stale leader learns that its term is over.

Which may leave before the sender's own sync: AppendEntries only. Everything else is a promise, or rests on one.

Refuses: numbers that no honest peer sends (`check_ranges`), before any state is touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from consensus.errors import MessageError
from consensus.types import NUMBER_MAX, Entry, Index, NodeId, Offer, Term


@dataclass(frozen=True, slots=True)
class RequestPreVote:
    """Would you vote for me in `term` (the sender's term + 1)? Changes nothing at either side."""

    sender: NodeId
    recipient: NodeId
    term: Term
    last_index: Index
    last_term: Term
    last_hash: bytes


@dataclass(frozen=True, slots=True)
class PreVoteAnswer:
    """`term` is the voter's own term, `asked` the term that was asked about."""

    sender: NodeId
    recipient: NodeId
    term: Term
    asked: Term
    granted: bool
    wall_ms: int


@dataclass(frozen=True, slots=True)
class RequestVote:
    """Paper 5.2. `transfer` overrides a voter's loyalty to a living leader, because that leader asked for it."""

    sender: NodeId
    recipient: NodeId
    term: Term
    last_index: Index
    last_term: Term
    last_hash: bytes
    transfer: bool


@dataclass(frozen=True, slots=True)
class VoteAnswer:
    """A vote, durable before it leaves. It names the candidate's log end, so that it can be signed as it stands."""

    sender: NodeId
    recipient: NodeId
    term: Term
    granted: bool
    last_index: Index
    last_hash: bytes
    wall_ms: int


@dataclass(frozen=True, slots=True)
class AppendEntries:
    """Paper 5.3, with the hash of the previous entry. Entries follow `prev_index` without a gap.

    A leader puts its own `Entry` objects here, the same tuple for every follower at the same place, so that a
    transport may encode it once; a decoder puts `Offer`s. The receiver reads only `term` and `payload`.
    """

    sender: NodeId
    recipient: NodeId
    term: Term
    prev_index: Index
    prev_term: Term
    prev_hash: bytes
    commit: Index
    entries: tuple[Entry, ...] | tuple[Offer, ...]


@dataclass(frozen=True, slots=True)
class AppendAnswer:
    """I durably hold the entry `index` with hash `hash`, and all before it. Also what is signed later.

    `resend`: I did not take what came after it (a barrier, or my disk); now I would: send from index + 1.
    """

    sender: NodeId
    recipient: NodeId
    term: Term
    index: Index
    hash: bytes
    resend: bool


@dataclass(frozen=True, slots=True)
class AppendMismatch:
    """My log does not hold `rejected` as you named it. Try behind `hint_index`.

    `hint_index` is the last place where our logs may agree judging by terms (`hint_term` is mine there);
    `commit` is a place where they do.
    """

    sender: NodeId
    recipient: NodeId
    term: Term
    rejected: Index
    hint_index: Index
    hint_term: Term
    commit: Index


@dataclass(frozen=True, slots=True)
class Refusal:
    """I will not store the entry you sent at `index`: `code` says why. Never a log mismatch."""

    sender: NodeId
    recipient: NodeId
    term: Term
    index: Index
    code: str


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """I still lead. `commit` is at most what this follower acknowledged; `round` is what reads wait for."""

    sender: NodeId
    recipient: NodeId
    term: Term
    commit: Index
    round: int


@dataclass(frozen=True, slots=True)
class HeartbeatAnswer:
    """I follow you in this term; `round` comes back, `wall_ms` is my wall clock now."""

    sender: NodeId
    recipient: NodeId
    term: Term
    round: int
    wall_ms: int


@dataclass(frozen=True, slots=True)
class TermNotice:
    """Your message was of an older term than mine; this is mine."""

    sender: NodeId
    recipient: NodeId
    term: Term


@dataclass(frozen=True, slots=True)
class TimeoutNow:
    """Dissertation 3.10: campaign at once, I am handing over to you."""

    sender: NodeId
    recipient: NodeId
    term: Term


Message: TypeAlias = (
    RequestPreVote
    | PreVoteAnswer
    | RequestVote
    | VoteAnswer
    | AppendEntries
    | AppendAnswer
    | AppendMismatch
    | Refusal
    | Heartbeat
    | HeartbeatAnswer
    | TermNotice
    | TimeoutNow
)

#: Names of the fields that are positions in a log, per message type; terms are checked for every message.
_POSITIONS: dict[type, tuple[str, ...]] = {
    RequestPreVote: ("last_index", "last_term"),
    PreVoteAnswer: ("asked",),
    RequestVote: ("last_index", "last_term"),
    VoteAnswer: ("last_index",),
    AppendEntries: ("prev_index", "prev_term", "commit"),
    AppendAnswer: ("index",),
    AppendMismatch: ("rejected", "hint_index", "hint_term", "commit"),
    Refusal: ("index",),
    Heartbeat: ("commit", "round"),
    HeartbeatAnswer: ("round",),
    TermNotice: (),
    TimeoutNow: (),
}


def check_ranges(message: Message, own_term: Term, jump_max: int, entries_max: int) -> None:
    """Raise MessageError when a number is out of range, a term jumps too far, or entries are out of order."""
    term = message.term
    lowest = 0 if isinstance(message, PreVoteAnswer) else 1  # a voter's own term may still be 0
    if not lowest <= term <= NUMBER_MAX:
        raise MessageError("E_TERM_RANGE", f"term {term}")
    if term > own_term + jump_max:
        raise MessageError("E_TERM_JUMP", f"term {term}, here {own_term}")
    for name in _POSITIONS[type(message)]:
        value = getattr(message, name)
        if not 0 <= value <= NUMBER_MAX:
            raise MessageError("E_NUMBER_RANGE", f"{name} {value}")
    if isinstance(message, RequestPreVote | RequestVote) and message.last_term >= term:
        raise MessageError("E_TERM_ORDER", f"last term {message.last_term}, asked term {term}")
    if isinstance(message, AppendEntries):
        _check_entries(message, entries_max)


def _check_entries(message: AppendEntries, entries_max: int) -> None:
    """Terms never fall along the log and never pass the sender's; the number of entries is bounded."""
    if len(message.entries) > entries_max:
        raise MessageError("E_ENTRIES_MANY", f"{len(message.entries)} entries")
    term = message.prev_term
    for entry in message.entries:
        if entry.term < term:
            raise MessageError("E_TERM_ORDER", f"term {entry.term} behind term {term}")
        term = entry.term
    if term > message.term:
        raise MessageError("E_TERM_ORDER", f"entry of term {term} from a leader of term {message.term}")
