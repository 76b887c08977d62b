"""The life of a record between the caller's 202 and "final", and what a node's answer means for each record.

Why pure: a submission can be answered in seven ways, in any order, twice, or not at all; what each means must be
decidable without a network, so that every answer is tried in tests.

States (zh: GLOSSARY): received 已接收 → pending 待上链 → committed 已上链 → final 已见证, and pending → failed 上链失败.
`received` lasts until the record is durable in the outbox; this door answers only afterwards, so callers see `pending`
first. The table TRANSITIONS is the whole truth; docs/api.md shows it and a test compares.

Rules kept here:
- Records live in *batches* (leaves side by side). A batch's records are settled in runs: a `Placement` covers `count`
  records from `position`, either on the chain at `first_index` … or failed with a code. Nothing is kept per record.
- An envelope is ordered whole or not at all. "Known" orders nothing: what is on the chain is placed there (a duplicate
  is the same leaf, so both references get the one position), what is in flight waits, the rest is enveloped anew.
- A permanent refusal fails records only when it speaks of one batch; a refused mixture is first tried batch by batch.
- An answer that does not fit its envelope is refused as untrusted and settles nothing.

Source: DESIGN of submission, "Once only". Refuses: clocks, retries' timing (see `queueing`), the network.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final, TypeAlias

from gateway.errors import UntrustedAnswerError


class State(StrEnum):
    """A record's state, spelled as callers see it."""

    RECEIVED = "received"
    PENDING = "pending"
    COMMITTED = "committed"
    FINAL = "final"
    FAILED = "failed"


TRANSITIONS: Final[dict[State, dict[State, str]]] = {
    State.RECEIVED: {State.PENDING: "the transaction that stores record and outbox row is durable"},
    State.PENDING: {
        State.COMMITTED: "a node answers with the record's place on the chain",
        State.FAILED: "a node refuses the record for good; `code` says why",
    },
    State.COMMITTED: {
        State.FINAL: "the gateway itself has checked the record against a checkpoint that the trust file's quorum signed"
    },
    State.FINAL: {},
    State.FAILED: {},
}
"""From each state, the states that may follow and what makes it so."""

SETTLED: Final = frozenset(state for state, after in TRANSITIONS.items() if not after)
"""States that nothing follows."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of records of one batch: `count` records from `position`."""

    batch_id: int
    position: int
    count: int


@dataclass(frozen=True, slots=True)
class Placement:
    """What became of a run of a batch's records.

    COMMITTED or FINAL: `height` and `first_index` (tree index of the run's first record) say where, `block_time_ms` when
    (0 if unknown). FAILED: `code` says why.
    """

    position: int
    count: int
    state: State
    height: int = 0
    first_index: int = 0
    block_time_ms: int = 0
    code: str = ""


@dataclass(frozen=True, slots=True)
class Where:
    """State of one record, and its place when it has one."""

    state: State
    height: int | None = None
    index: int | None = None
    block_time_ms: int = 0
    code: str = ""


class LeafState(IntEnum):
    """What a node says of one leaf of an envelope it did not order; numbers as in protos/submit.proto."""

    NEW = 1
    ON_CHAIN = 2
    IN_FLIGHT = 3
    REPEATED = 4


@dataclass(frozen=True, slots=True)
class LeafStatus:
    """A node's word on one leaf; `index` and `height` only for ON_CHAIN."""

    state: LeafState
    index: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True)
class Committed:
    """The envelope is on the chain, whole, its leaves side by side from `first_index`."""

    height: int
    first_index: int
    block_time_ms: int


@dataclass(frozen=True, slots=True)
class Known:
    """Nothing was ordered: one status per leaf of the envelope, in its order."""

    leaves: tuple[LeafStatus, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """The same bytes will always be refused."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class SlowDown:
    """A queue is full; nothing was taken in."""

    retry_after_s: float


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody can say whether the envelope was ordered. Repeating it is safe."""


Outcome: TypeAlias = Committed | Known | Refused | SlowDown | Unknown


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer means: `placed` is to be stored, the rest stays in the outbox.

    `again` goes into a new envelope at once, `waiting` after a pause, `alone` each in an envelope of its own.
    """

    placed: tuple[tuple[int, Placement], ...] = ()
    again: tuple[Piece, ...] = ()
    waiting: tuple[Piece, ...] = ()
    alone: tuple[Piece, ...] = ()


def judge(pieces: Sequence[Piece], outcome: Outcome) -> Verdict:
    """Return what `outcome` means for the records of an envelope made of `pieces`, in its order.

    Raises UntrustedAnswerError E_NODE_ANSWER when the answer does not fit the envelope.
    """
    match outcome:
        case Committed(height, first_index, block_time_ms):
            return Verdict(placed=tuple(_side_by_side(pieces, height, first_index, block_time_ms)))
        case Known(leaves):
            return _judge_known(pieces, leaves)
        case Refused(code, _):
            if len({piece.batch_id for piece in pieces}) > 1:
                return Verdict(alone=tuple(pieces))
            failed = (
                (piece.batch_id, Placement(piece.position, piece.count, State.FAILED, code=code))
                for piece in pieces
            )
            return Verdict(placed=tuple(failed))
        case SlowDown() | Unknown():
            return Verdict(waiting=tuple(pieces))


def _side_by_side(
    pieces: Sequence[Piece], height: int, first_index: int, block_time_ms: int
) -> Iterable[tuple[int, Placement]]:
    """Yield the placement of each piece of an envelope whose leaves stand from `first_index`."""
    for piece in pieces:
        yield (
            piece.batch_id,
            Placement(piece.position, piece.count, State.COMMITTED, height, first_index, block_time_ms),
        )
        first_index += piece.count


def _judge_known(pieces: Sequence[Piece], leaves: Sequence[LeafStatus]) -> Verdict:
    """Split the pieces by what the node knows of each leaf, keeping runs together."""
    if len(leaves) != sum(piece.count for piece in pieces):
        raise UntrustedAnswerError(
            "E_NODE_ANSWER", "an answer has another number of leaves than its envelope"
        )
    placed: list[tuple[int, Placement]] = []
    again: list[Piece] = []
    waiting: list[Piece] = []
    at = 0
    for piece in pieces:
        for run, status in _runs(piece, leaves[at : at + piece.count]):
            if status.state is LeafState.ON_CHAIN:
                where = Placement(run.position, run.count, State.COMMITTED, status.height, status.index)
                placed.append((piece.batch_id, where))
            elif status.state is LeafState.NEW:
                again.append(run)
            else:
                waiting.append(run)
        at += piece.count
    if not placed and not waiting:
        return Verdict(waiting=tuple(again))  # all new, and yet not ordered: never ask again without a pause
    return Verdict(tuple(placed), tuple(again), tuple(waiting))


def _runs(piece: Piece, leaves: Sequence[LeafStatus]) -> Iterable[tuple[Piece, LeafStatus]]:
    """Yield the longest runs of one kind (and, on the chain, of one block and rising index) with their first status."""
    start = 0
    for at in range(1, len(leaves) + 1):
        if at < len(leaves) and _follows(leaves[start], leaves[at], at - start):
            continue
        yield Piece(piece.batch_id, piece.position + start, at - start), leaves[start]
        start = at


def _follows(first: LeafStatus, later: LeafStatus, distance: int) -> bool:
    if first.state is not LeafState.ON_CHAIN:
        return later.state is first.state
    expected = LeafStatus(LeafState.ON_CHAIN, first.index + distance, first.height)
    return later == expected


def where_is(placements: Iterable[Placement], position: int) -> Where:
    """Return the state of the record at `position` of a batch with these placements; pending when none covers it."""
    for placement in placements:
        offset = position - placement.position
        if 0 <= offset < placement.count:
            if placement.state is State.FAILED:
                return Where(State.FAILED, code=placement.code)
            index = placement.first_index + offset
            return Where(placement.state, placement.height, index, placement.block_time_ms)
    return Where(State.PENDING)


def unplaced(batch_id: int, count: int, placements: Iterable[Placement]) -> list[Piece]:
    """Return the runs of a batch of `count` records that no placement covers, in order.

    Placements of one batch never overlap; that they do not is asserted, since only we write them.
    """
    gaps = []
    at = 0
    for placement in sorted(placements, key=lambda p: p.position):
        assert placement.position >= at, "placements of a batch overlap"
        if placement.position > at:
            gaps.append(Piece(batch_id, at, placement.position - at))
        at = placement.position + placement.count
    assert at <= count, "a placement reaches beyond its batch"
    if at < count:
        gaps.append(Piece(batch_id, at, count - at))
    return gaps
