"""Which records go into the next envelope: the outbox as the anchoring loop holds it in memory.

Why: small requests must be merged (an envelope costs the same whatever its size), two envelopes may be on their way at
once, and still the records of one source must reach the chain in the order in which they were accepted.

Rules kept here:
- Order per source: a piece is taken only if no earlier piece of any of its sources is in flight or held back. So two
  envelopes in flight never share a source, and an answer that sends one back lets nothing of its sources overtake.
- The same leaf never stands twice in one envelope (the node would order nothing): a piece that repeats a leaf already
  taken is held back with its sources until that envelope is answered.
- A piece marked `alone` travels alone.

Refuses: clocks (`now_s` is an argument), bounds on memory (the loop adds no more than it may hold).
"""

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from struct import Struct

from gateway.domain.anchoring import Piece
from ledger.record import PREFIXED_BYTES, leaf_slices


@dataclass(frozen=True, slots=True)
class Work:
    """A piece with its leaves (129 bytes each) and its sources (24 bytes each, as in the leaf).

    It is not to be sent before `not_before_s`; `attempts` counts the pauses it has made, `alone` keeps it unmixed;
    `received_ms` is when its batch was taken in.
    """

    piece: Piece
    leaves: bytes
    sources: frozenset[bytes]
    not_before_s: float = 0.0
    attempts: int = 0
    alone: bool = False
    received_ms: int = 0

    def part(self, piece: Piece) -> "Work":
        """Return the work of a run inside this one."""
        start = (piece.position - self.piece.position) * PREFIXED_BYTES
        leaves = self.leaves[start : start + piece.count * PREFIXED_BYTES]
        return replace(self, piece=piece, leaves=leaves, sources=sources_of(leaves))


@lru_cache(maxsize=64)
def _source_layout(count: int) -> Struct:
    return Struct("61x24s44x" * count)


def sources_of(leaves: bytes) -> frozenset[bytes]:
    """Return the distinct source fields (24 bytes, zero-padded) of prefixed leaves."""
    return frozenset(_source_layout(len(leaves) // PREFIXED_BYTES).unpack(leaves))


@dataclass(slots=True)
class Queue:
    """Waiting pieces, oldest first, and the sources in flight. Owner: the anchoring loop alone."""

    waiting: deque[Work] = field(default_factory=deque)
    in_flight: Counter[bytes] = field(default_factory=Counter)
    records: int = 0

    def add(self, works: Iterable[Work]) -> None:
        """Append pieces in the order of their acceptance."""
        for work in works:
            self.waiting.append(work)
            self.records += work.piece.count

    def put_back(self, works: Sequence[Work]) -> None:
        """Return pieces to the front, in their order: they are older than anything that waits."""
        self.waiting.extendleft(reversed(works))
        self.records += sum(work.piece.count for work in works)

    def release(self, works: Iterable[Work]) -> None:
        """Let the sources of an answered envelope go on."""
        for work in works:
            self.in_flight.subtract(work.sources)
        self.in_flight = +self.in_flight

    def take(self, max_records: int, now_s: float) -> list[Work]:
        """Remove and return the pieces of the next envelope, [] when nothing may go now.

        A piece larger than `max_records` is cut. What is taken counts as in flight until `release`.
        """
        taken: list[Work] = []
        kept: list[Work] = []
        seen: set[bytes] = set()
        blocked = set(self.in_flight)
        room = max_records
        while self.waiting and room:
            work = self.waiting.popleft()
            if work.not_before_s > now_s or not blocked.isdisjoint(work.sources) or (work.alone and taken):
                blocked |= work.sources
                kept.append(work)
                continue
            if work.piece.count > room:
                head, tail = _cut(work, room)
                self.waiting.appendleft(tail)
                work = head
            leaves = set(leaf_slices(work.leaves))
            if not seen.isdisjoint(leaves):
                blocked |= work.sources
                kept.append(work)
                continue
            seen |= leaves
            taken.append(work)
            room -= work.piece.count
            if work.alone:
                break
        self.waiting.extendleft(reversed(kept))
        for work in taken:
            self.in_flight.update(work.sources)
            self.records -= work.piece.count
        return taken

    def next_time_s(self, now_s: float) -> float | None:
        """Return the earliest later moment at which a held-back piece may go, None when none is held back."""
        return min((w.not_before_s for w in self.waiting if w.not_before_s > now_s), default=None)


def _cut(work: Work, count: int) -> tuple[Work, Work]:
    """Return the first `count` records of a piece and the rest."""
    piece = work.piece
    head = Piece(piece.batch_id, piece.position, count)
    tail = Piece(piece.batch_id, piece.position + count, piece.count - count)
    return work.part(head), work.part(tail)
