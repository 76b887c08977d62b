"""Which of its own sizes a node cosigns, and when: a rule without clock, disk or key.

Why a rule of its own: cosignatures count only when they meet on one size. Signers run at different speeds,
so what is signed must follow from the chain alone; and a key that signed twice, or backwards, convicts its
owner for ever.

Rules kept here
- Due are the heights divisible by `attest_every` (a governance limit, taken from the state before the
  height) and every governance block, in rising order, none skipped; and the newest height once nothing was
  applied for `quiet_s`.
- A batch carries the heights that became due together; only its highest becomes the durable mark, and the
  caller signs nothing of it before that mark is durable (`begin` -> persist -> `done`).
- Only a node more than `jump_heights` behind jumps, to the newest height due. It never jumps over a
  governance block.
- A governance block closes an era, and its checkpoint carries the next era's trust. Nothing above it is
  signed before it is final, so the cosignatures that make it final can always be given again: the mark
  still stands there.
- The mark never falls; one size has one root. A chain that does not hold the mark's root is refused
  (`E_MARK_CONTRADICTED`): then this node's own state is wrong, and it must not sign.
- The mark's size is signed again after `resign_s`, which needs no new mark, so that freshness shows.

Sources: C2SP tlog-witness ("persist before answering"), C2SP tlog-cosignature.
Refuses: keys, time of day, other nodes' signatures (`gathering`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from node.errors import HaltedError

BATCH_MAX: Final = 128
"""Heights signed under one mark write: about 5 ms of signing. More wait for the next batch."""

FOREVER_S: Final = 3_600.0


@dataclass(frozen=True, slots=True)
class Point:
    """The end of a block: the only places where checkpoints exist. `root` has 32 bytes; size includes the
    header leaf.

    `era_end`: the block is a governance block, the last one judged by the keys and policy before it.
    """

    height: int
    size: int
    root: bytes
    era_end: bool


@dataclass(frozen=True, slots=True)
class Pace:
    """How long to wait and how far to jump; seconds and heights. From the node's configuration."""

    quiet_s: float = 0.05
    resign_s: float = 30.0
    jump_heights: int = 1_000


@dataclass(frozen=True, slots=True)
class Chain:
    """What the rule may ask about the applied chain, as plain functions of a height.

    `point`: the block end at an applied height. `every`: attest_every in force for it, >= 1.
    `era_end_after`: the first governance block above a height that is applied, or None.
    """

    point: Callable[[int], Point]
    every: Callable[[int], int]
    era_end_after: Callable[[int], int | None]


def worth_sending(points: Sequence[Point], every: int) -> tuple[Point, ...]:
    """Return the points of a signed batch whose notes others need: few, and yet always some that meet.

    Signers cut the same heights into batches of different lengths. From a batch of n points go out those
    whose height, counted in steps of `every`, is a multiple of the largest power of two up to n, the era
    ends, and the newest. What a batch of n sends by alignment, every batch of at most n heights sends as
    well; so common sizes exist wherever the longest batches are, at most 2 * BATCH_MAX steps apart,
    whatever the speeds. On an idle chain all meet on the newest.
    """
    if not points:
        return ()
    regular = sum(point.height % every == 0 for point in points)
    step = every << max(0, regular.bit_length() - 1)
    newest = points[-1]
    return tuple(p for p in points if p is newest or p.era_end or p.height % step == 0)


class Schedule:
    """What one node has signed and what it has to sign next. Owned by the attestor; times are monotonic
    seconds.

    `_mark`: the newest durable point. `_cursor`: the highest height that was considered (above the mark
    when this node had no key for heights in between). `_pending`: the batch whose mark is being written.
    """

    __slots__ = ("_chain", "_cursor", "_last_applied_s", "_last_signed_s", "_mark", "_pace", "_pending")

    def __init__(self, chain: Chain, pace: Pace, mark: Point | None, now: float) -> None:
        self._chain = chain
        self._pace = pace
        self._mark = mark
        self._cursor = -1 if mark is None else mark.height
        self._pending: tuple[Point, ...] = ()
        self._last_applied_s = now
        self._last_signed_s = now - pace.resign_s  # say soon after a start that this node is here

    @property
    def mark(self) -> Point | None:
        """The newest durable point; None before the first."""
        return self._mark

    def applied(self, now: float) -> None:
        """Note that blocks were applied just now, which ends silence."""
        self._last_applied_s = now

    def begin(self, applied_height: int, final_height: int, now: float) -> tuple[Point, ...]:
        """Return the points to sign next, rising, at most BATCH_MAX; () when nothing is due or a batch is
        under way.

        The caller persists the last one as the mark, then signs all, then calls `done`; or calls `abandon`.
        `final_height`: height of the newest final checkpoint known, -1 for none.
        Raises HaltedError E_MARK_CONTRADICTED when the applied chain does not hold the mark.
        """
        if self._pending:
            return ()
        heights = self._due(applied_height, final_height, now)
        if not heights:
            return ()
        self._require_mark_held(applied_height)
        points = tuple(self._chain.point(height) for height in heights)
        below = 0 if self._mark is None else self._mark.size
        for point in points:
            assert point.size > below, "sizes rise with heights"
            below = point.size
        self._pending = points
        return points

    def done(self, now: float) -> None:
        """The batch's mark is durable and its points are signed."""
        assert self._pending, "a batch was under way"
        self._mark = self._pending[-1]
        self._cursor = self._mark.height
        self._pending = ()
        self._last_signed_s = now

    def abandon(self, *, skip: bool) -> None:
        """Drop the batch unsigned. `skip`: never return to it, because this node had no key for those
        heights.
        """
        if skip and self._pending:
            self._cursor = self._pending[-1].height
        self._pending = ()

    def again(self, applied_height: int, now: float) -> Point | None:
        """Return the mark's point when it is time to sign it once more; the caller signs it and calls
        `repeated`.

        Raises HaltedError E_MARK_CONTRADICTED like `begin`.
        """
        if self._mark is None or self._pending or self._mark.height > applied_height:
            return None
        if now - self._last_signed_s < self._pace.resign_s:
            return None
        self._require_mark_held(applied_height)
        return self._mark

    def repeated(self, now: float) -> None:
        """The mark's point was signed once more."""
        self._last_signed_s = now

    def wake_in(self, applied_height: int, now: float) -> float:
        """Return the seconds until time alone can make something due; FOREVER_S when only events can."""
        waits = [FOREVER_S]
        if self._mark is not None and self._mark.height <= applied_height:
            waits.append(max(0.0, self._last_signed_s + self._pace.resign_s - now))
        quiet_left = self._last_applied_s + self._pace.quiet_s - now
        if applied_height > self._cursor and quiet_left > 0:
            waits.append(quiet_left)
        return min(waits)

    def _due(self, applied_height: int, final_height: int, now: float) -> list[int]:
        mark = self._mark
        if mark is not None and mark.era_end and final_height < mark.height:
            return []  # an era closes only when its last checkpoint is final
        low = self._cursor + 1
        if low > applied_height:
            return []
        boundary = self._chain.era_end_after(self._cursor)
        high = applied_height if boundary is None else min(boundary, applied_height)
        every = self._chain.every(high)  # constant from low to high: only governance changes it
        behind = applied_height - (-1 if mark is None else mark.height)
        if behind > self._pace.jump_heights:
            low = max(low, high - high % every)
        heights = list(range(low + -low % every, high + 1, every))
        if high % every:
            quiet = high == applied_height and now - self._last_applied_s >= self._pace.quiet_s
            if high == boundary or quiet:
                heights.append(high)
        return heights[:BATCH_MAX]

    def _require_mark_held(self, applied_height: int) -> None:
        """The chain that is signed must go through the mark. Raises HaltedError E_MARK_CONTRADICTED."""
        mark = self._mark
        if mark is None or mark.height > applied_height:
            return
        held = self._chain.point(mark.height)
        if (held.size, held.root) != (mark.size, mark.root):
            raise HaltedError(
                "E_MARK_CONTRADICTED",
                f"this node has signed another root at size {mark.size}, height {mark.height}, than its "
                f"chain holds",
            )
