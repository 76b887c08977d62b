"""The applied chain as attestation asks for it: block ends by height and by size, eras, and who judges a
height.

Why between the stores and the rules: the signing rule and the collection of notes are pure and ask by plain
functions. What they ask for most, the newest block ends, is kept here in memory; everything older is read.

Rules kept here
- Every answer is about applied blocks. A root that is read from tiles is computed, not believed.
- Who judges height h is asked of the state after h - 1; one `Electorate` per era is kept.
- At most POINTS_MAX block ends are kept; older ones are read again when somebody asks.

Refuses: verification of notes, time.
"""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from ledger.chain import AppliedBlock
from ledger.proof import root_at
from node.cosigner import Chain, Point
from node.electorate import Electorate, electorate_of
from node.gathering import Book
from node.ports import LedgerView

POINTS_MAX: Final = 4_096
_ERAS_KEPT: Final = 64


class ChainBook:
    """Owned by the attestor. `_era_ends`: heights of governance blocks above genesis, rising."""

    def __init__(self, view: LedgerView) -> None:
        """Reads the heights at which governance changed."""
        self._view = view
        self._era_ends = [height for height in view.derived_store.governance_heights() if height > 0]
        self._points: OrderedDict[int, Point] = OrderedDict()
        self._heights: dict[int, int] = {}  # size -> height, for the points kept
        self._electorates: OrderedDict[int, Electorate] = OrderedDict()  # by number of eras closed before
        self._keep(self._read(view.applied_height))

    def applied(self, blocks: Sequence[AppliedBlock]) -> None:
        """Note newly applied blocks, rising."""
        for block in blocks:
            if block.governance_changed and block.height > 0:
                self._era_ends.append(block.height)
            era_end = block.governance_changed and block.height > 0
            self._keep(Point(block.height, block.tree_size, block.root, era_end))

    def rule(self) -> Chain:
        """Return what the signing rule asks."""
        return Chain(self.point, self.every, self.era_end_after)

    def book(self) -> Book:
        """Return what the collection of notes asks."""
        return Book(self._view.chain_id, self.point_at, self.root_at, self.height_at, self.electorate)

    # --- by height -----------------------------------------------------------------------------------------

    def point(self, height: int) -> Point:
        """Return the block end at an applied height. Raises the store's errors."""
        kept = self._points.get(height)
        return kept if kept is not None else self._read(height)

    def every(self, height: int) -> int:
        """Return attest_every as it is in force for `height`."""
        return self.electorate(height).every

    def era_end_after(self, height: int) -> int | None:
        """Return the first applied governance block above `height`, or None."""
        at = bisect_right(self._era_ends, height)
        return self._era_ends[at] if at < len(self._era_ends) else None

    def electorate(self, height: int) -> Electorate:
        """Return who judges the checkpoint of `height`, which may be one above what is applied."""
        closed = bisect_right(self._era_ends, height - 1)
        kept = self._electorates.get(closed)
        if kept is None:
            state = self._view.derived_store.governance(max(0, height - 1))
            kept = self._electorates[closed] = electorate_of(state, height)
            if len(self._electorates) > _ERAS_KEPT:
                self._electorates.popitem(last=False)
        return kept

    # --- by size -------------------------------------------------------------------------------------------

    def height_at(self, size: int) -> int:
        """Return the height of the block that holds leaf `size` - 1 of the applied tree."""
        kept = self._heights.get(size)
        return kept if kept is not None else self._view.derived_store.block_at(size - 1)

    def point_at(self, size: int) -> Point | None:
        """Return the block end with this size, None if no applied block ends there."""
        if size < 1:
            return None
        point = self.point(self.height_at(size))
        return point if point.size == size else None

    def root_at(self, size: int) -> bytes:
        """Return the root of the first `size` leaves."""
        return root_at(size, self._view.derived_store.hashes)

    # --- inside --------------------------------------------------------------------------------------------

    def _read(self, height: int) -> Point:
        header = self._view.derived_store.header(height)
        size = header.tree_size + 1
        root = self._view.root if size == self._view.size else self.root_at(size)
        at = bisect_right(self._era_ends, height)
        return Point(height, size, root, at > 0 and self._era_ends[at - 1] == height)

    def _keep(self, point: Point) -> None:
        self._points[point.height] = point
        self._heights[point.size] = point.height
        if len(self._points) > POINTS_MAX:
            _, oldest = self._points.popitem(last=False)
            del self._heights[oldest.size]
