"""A leader's intake: which envelopes are taken, what waits, what is in flight, and what the next body holds.

Why: once only. A record that two gateways hand in at the same moment, or one gateway twice after a lost
answer, must stand on the chain once and be answered with its place. The index of applied leaves alone cannot
say so, since it does not know what is on its way; this module does.

Rules kept here
- An envelope is ordered whole or not at all. If any of its leaves is on the chain, waiting or in flight here,
  or twice inside, nothing is ordered and the answer says so leaf by leaf. A duplicate is the same leaf, byte
  for byte.
- Only a leader that has applied its own term's first entry takes envelopes: then its index is complete.
- The rules of the chain are checked at the door, so that a refusal names the envelope and not a block.
- Bodies are built by SPEED.md 4.7: the next one when fewer than `in_flight_max` are on their way and either
  nothing is, or enough records wait, or the first has waited long enough. A lone envelope never waits.
- When leadership is lost, what was in flight has an unknown outcome and what waited was not taken.

Pure: time is an argument (monotonic milliseconds). Refuses: persistence. A leader that falls forgets its
queue; the gateways' outboxes do not.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ledger.body import encode_envelopes_body
from ledger.chain import AppliedBlock
from ledger.envelope import Envelope, parse_envelope, verify_envelope
from ledger.errors import LedgerError
from ledger.governance_state import Limits, State
from ledger.record import leaf_slices
from node.effects import (
    Answer,
    Committed,
    Known,
    LeafState,
    LeafStatus,
    Outcome,
    OutcomeUnknown,
    Refused,
    SlowDown,
)

BODY_OVERHEAD_BYTES = 128  # around the envelopes: format, proposer, time, kind, headers of arrays


class Positions(Protocol):
    """What the derived store knows of leaves on the chain."""

    def known(self, leaves: bytes) -> Sequence[int | None]:
        """The tree index of each prefixed leaf that is on the chain."""

    def block_at(self, index: int) -> int:
        """The height of the block that holds a leaf."""


class Pace(Protocol):
    """When a body is built and how much may wait; `config.Blocks` has the words and the defaults."""

    @property
    def full_records(self) -> int:
        """So many waiting records make a body due."""

    @property
    def gather_ms(self) -> int:
        """The longest wait for more while another body is in flight."""

    @property
    def in_flight_max(self) -> int:
        """Bodies proposed and not applied."""

    @property
    def waiting_max_records(self) -> int:
        """Records that may wait."""

    @property
    def slow_down_ms(self) -> int:
        """The delay asked of a submitter."""


@dataclass(frozen=True, slots=True)
class _Taken:
    """An envelope that was taken: its ticket, its leaves as they stand in the index, and since when it
    waits.
    """

    ticket: int
    envelope: Envelope
    leaves: tuple[bytes, ...]
    since_ms: int


class Intake:
    """What one leader has taken and not answered. Owned by the loop."""

    def __init__(self, pace: Pace, positions: Positions) -> None:
        """`positions` tells which leaves are on the chain, and where."""
        self._pace = pace
        self._positions = positions
        self._waiting: deque[_Taken] = deque()
        self._flying: dict[int, tuple[_Taken, ...]] = {}  # by height
        self._leaves: set[bytes] = set()  # of everything waiting or flying
        self._waiting_records = 0

    @property
    def waiting_records(self) -> int:
        """Records that wait for a body."""
        return self._waiting_records

    @property
    def in_flight(self) -> int:
        """Bodies proposed and not applied."""
        return len(self._flying)

    def take(
        self,
        ticket: int,
        raw: bytes,
        *,
        allowed: frozenset[tuple[str, str]],
        state: State,
        height: int,
        now_ms: int,
    ) -> Outcome | None:
        """Take an envelope, or say why not; None means that its answer will come.

        `allowed` are the (institution, key id) of the certificate that handed it in, `state` rules the next
        block and `height` is that block's height at the earliest.
        """
        if self._waiting_records >= self._pace.waiting_max_records:
            return SlowDown(self._pace.slow_down_ms)
        try:
            envelope = parse_envelope(raw, max_bytes=state.limits.body_max_bytes)
            _require_acceptable(envelope, allowed, state, height)
        except LedgerError as error:
            return Refused(error.code, error.message)
        leaves = tuple(leaf_slices(envelope.leaves))
        known = self._known(envelope.leaves, leaves)
        if known is not None:
            return known
        self._leaves.update(leaves)
        self._waiting.append(_Taken(ticket, envelope, leaves, now_ms))
        self._waiting_records += envelope.count
        return None

    def wants_body(self, now_ms: int) -> bool:
        """Whether the next body is due."""
        if not self._waiting or len(self._flying) >= self._pace.in_flight_max:
            return False
        return (
            not self._flying
            or self._waiting_records >= self._pace.full_records
            or now_ms - self._waiting[0].since_ms >= self._pace.gather_ms
        )

    def due_ms(self) -> int | None:
        """When `wants_body` becomes true by waiting alone; None when it does not."""
        if not self._waiting or len(self._flying) >= self._pace.in_flight_max:
            return None
        return self._waiting[0].since_ms + self._pace.gather_ms

    def build(self, proposer: str, stamp_ms: int, limits: Limits) -> tuple[bytes, int]:
        """The next body from what waits longest, and how many envelopes went into it. Nothing is removed
        yet.
        """
        assert self._waiting, "a body is built from something"
        chosen: list[bytes] = []
        size, records = BODY_OVERHEAD_BYTES, 0
        for taken in self._waiting:
            envelope = taken.envelope
            size += len(envelope.raw)
            records += envelope.count
            if chosen and (size > limits.body_max_bytes or records > limits.body_max_records):
                break
            chosen.append(envelope.raw)
        return encode_envelopes_body(proposer, stamp_ms, chosen), len(chosen)

    def proposed(self, height: int, count: int) -> None:
        """The first `count` waiting envelopes are now in the body at `height`."""
        assert height not in self._flying, "one body per height"
        taken = tuple(self._waiting.popleft() for _ in range(count))
        self._waiting_records -= sum(one.envelope.count for one in taken)
        self._flying[height] = taken

    def recheck(self, count: int, *, state: State, height: int) -> list[Answer]:
        """Judge the first `count` waiting envelopes again, because governance has moved on since they were
        taken.

        Returns the refusals; what is refused no longer waits.
        """
        kept: list[_Taken] = []
        answers: list[Answer] = []
        for _ in range(count):
            taken = self._waiting.popleft()
            owner = frozenset({(taken.envelope.institution, taken.envelope.key_id)})
            try:
                _require_acceptable(taken.envelope, owner, state, height)
            except LedgerError as error:
                answers.append(Answer(taken.ticket, Refused(error.code, error.message)))
                self._forget(taken)
                self._waiting_records -= taken.envelope.count
            else:
                kept.append(taken)
        self._waiting.extendleft(reversed(kept))
        return answers

    def applied(self, block: AppliedBlock) -> list[Answer]:
        """A block was applied: the answers of the envelopes that were in it."""
        answers: list[Answer] = []
        first_index = block.first_index
        for taken in self._flying.pop(block.height, ()):
            self._forget(taken)
            time_ms = block.header.timestamp_ms
            answers.append(Answer(taken.ticket, Committed(block.height, first_index, time_ms)))
            first_index += taken.envelope.count
        return answers

    def lost(self, waiting: Outcome) -> list[Answer]:
        """Leadership is lost: answers for everything; `waiting` is that for what was in no body yet."""
        answers = [
            Answer(taken.ticket, OutcomeUnknown()) for group in self._flying.values() for taken in group
        ]
        answers += [Answer(taken.ticket, waiting) for taken in self._waiting]
        self._flying.clear()
        self._waiting.clear()
        self._leaves.clear()
        self._waiting_records = 0
        return answers

    def _known(self, joined: bytes, leaves: tuple[bytes, ...]) -> Known | None:
        """The answer leaf by leaf if any leaf is not new."""
        distinct = set(leaves)
        positions = self._positions.known(joined)
        if (
            len(distinct) == len(leaves)
            and self._leaves.isdisjoint(distinct)
            and not any(position is not None for position in positions)
        ):
            return None
        seen: set[bytes] = set()
        rows: list[LeafStatus] = []
        for leaf, position in zip(leaves, positions, strict=True):
            if position is not None:
                height = self._positions.block_at(position)
                rows.append(LeafStatus(LeafState.ON_CHAIN, index=position, height=height))
            elif leaf in self._leaves:
                rows.append(LeafStatus(LeafState.IN_FLIGHT))
            else:
                rows.append(LeafStatus(LeafState.REPEATED if leaf in seen else LeafState.NEW))
            seen.add(leaf)
        return Known(tuple(rows))

    def _forget(self, taken: _Taken) -> None:
        self._leaves.difference_update(taken.leaves)


def _require_acceptable(
    envelope: Envelope, allowed: frozenset[tuple[str, str]], state: State, height: int
) -> None:
    """Raise LedgerError unless a body with this envelope alone would keep the chain's rules."""
    limits = state.limits
    if envelope.count > min(limits.envelope_max_records, limits.body_max_records):
        raise LedgerError("E_ENVELOPE_RECORDS", f"more than {limits.envelope_max_records} records")
    if len(envelope.raw) + BODY_OVERHEAD_BYTES > limits.body_max_bytes:
        raise LedgerError("E_ENVELOPE_BYTES", f"more than {limits.body_max_bytes} bytes with its body")
    if (envelope.institution, envelope.key_id) not in allowed:
        raise LedgerError(
            "E_ENVELOPE_OWNER", "the certificate of this connection does not belong to the envelope's key"
        )
    public = state.submitter_key(envelope.institution, envelope.key_id, height)
    if public is None:
        raise LedgerError("E_CHAIN_SUBMITTER", f"{envelope.key_id} is no open submitter key")
    verify_envelope(envelope, state.chain_id, public)
