"""The tree on the disk: full tiles, the right edge, and the stored hashes that proofs ask for.

Why: a proof of one record among thousands of millions needs some thirty hashes. They lie in three or four
tiles, whose inner levels are folded once and then kept in memory, so the next proof near by costs 20 us
instead of 500.

Rules kept here:
- Full tiles never change, so an expanded one may be kept for ever. The edge changes with every block and is
  published as a whole together with the size it belongs to; a question is answered from one such moment.
- Only levels of the edge that changed are written.
- Asked for more than the tree has, it says so; it never makes up a hash.

Source: C2SP tlog-tiles; RFC 6962 section 2.1.
Trust: wrong tiles lead to wrong roots, which whoever makes or takes a proof compares with a signed one.
Refuses: pruning, serving a partial tile in the place of a full one.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from ledger import keyspace, tile
from ledger.errors import DerivedDamagedError, TileError
from ledger.merkle import HASH_BYTES, TILE_BYTES, TILE_WIDTH, FullTile, edge_widths
from ledger.proof import Coordinate, root_at
from ledger.store_kv import KeyValue, Operation
from ledger.tile import ExpandedTile

CACHE_TILES: Final = 4096
"""Expanded full tiles kept for proofs: up to 150 MB when all are in use, the paths of a million recent
leaves.
"""
_CACHE_EDGES: Final = 32


class TileShelf:
    """See the module. One writer calls `operations` and `publish`; any thread reads.

    `_edge` is (size, partial tiles), replaced as a whole.
    """

    __slots__ = ("_edge", "_expanded", "_expanded_edge", "_kv")

    def __init__(self, kv: KeyValue, size: int, *, cache_tiles: int = CACHE_TILES) -> None:
        """Read the edge of a tree of `size` leaves. Raises DerivedDamagedError."""
        self._kv = kv
        self._edge: tuple[int, tuple[bytes, ...]] = (size, _read_edge(kv, size))
        # Made here, not as decorated methods: each store has its own cache, and it goes when the store goes.
        self._expanded: Callable[[int, int], ExpandedTile] = lru_cache(cache_tiles)(self._expand_full)
        self._expanded_edge: Callable[[bytes], ExpandedTile] = lru_cache(_CACHE_EDGES)(tile.expand)

    @property
    def size(self) -> int:
        """Leaves of the tree."""
        return self._edge[0]

    @property
    def edge(self) -> tuple[bytes, ...]:
        """The partial tiles, lowest level first, as `merkle.Tree.restore` takes them."""
        return self._edge[1]

    def operations(self, tiles: Sequence[FullTile], edge: Sequence[bytes]) -> list[Operation]:
        """Return the writes for tiles that became full and for the new edge."""
        found: list[Operation] = [
            (keyspace.derived_tile(full.level, full.index), full.data) for full in tiles
        ]
        old = self._edge[1]
        for level, row in enumerate(edge):
            if level >= len(old) or old[level] != row:
                found.append((keyspace.derived_edge(level), row))
        return found

    def publish(self, size: int, edge: tuple[bytes, ...]) -> None:
        """Let readers see the tree of `size` leaves, after its operations were written."""
        assert size >= self._edge[0], "a tree only grows"
        self._edge = (size, edge)

    def tile(self, level: int, index: int, width: int = TILE_WIDTH) -> bytes:
        """Return the first `width` hashes of a tile, joined. Width 256 is a full tile.

        Raises TileError E_TILE_ABSENT if the tree does not have so many there, DerivedDamagedError.
        """
        size, edge = self._edge
        self._require(level, index, width, size)
        if tile.width_at(level, index, size) == TILE_WIDTH:
            return self._full(level, index)[: width * HASH_BYTES]
        return edge[level][: width * HASH_BYTES]

    def hashes(self, coordinates: Sequence[Coordinate]) -> list[bytes]:
        """Return the stored hash of each (level, index): the `HashReader` of `proof`.

        About 1 us each when the tiles are in memory, 200 us per tile otherwise. Raises TileError
        E_TILE_ABSENT, DerivedDamagedError.
        """
        size, edge = self._edge
        tiles: dict[tuple[int, int], ExpandedTile] = {}
        found = []
        # The same as `tile.read_hashes`, in one pass and without asking for widths: a proof has thirty
        # coordinates.
        for level, index in coordinates:
            fold = level & 7
            place = (level >> 3, index >> (8 - fold))
            expanded = tiles.get(place)
            if expanded is None:
                expanded = tiles[place] = self._expanded_at(*place, size, edge)
            try:
                found.append(expanded[fold][index & ((TILE_WIDTH >> fold) - 1)])
            except IndexError as error:
                words = f"the tree of {size} leaves has no complete subtree {index} of level {level}"
                raise TileError("E_TILE_ABSENT", words) from error
        return found

    def root_at(self, size: int) -> bytes | None:
        """Return the root of the first `size` leaves, None if there are not so many. Raises
        DerivedDamagedError.
        """
        return root_at(size, self.hashes) if size <= self.size else None

    def _expanded_at(self, level: int, index: int, size: int, edge: tuple[bytes, ...]) -> ExpandedTile:
        self._require(level, index, 1, size)
        if tile.width_at(level, index, size) == TILE_WIDTH:
            return self._expanded(level, index)
        return self._expanded_edge(edge[level])

    def _require(self, level: int, index: int, width: int, size: int) -> None:
        assert 1 <= width <= TILE_WIDTH, "a tile has 1 to 256 hashes"
        if level > tile.TILE_LEVEL_MAX or width > tile.width_at(level, index, size):
            raise TileError("E_TILE_ABSENT", f"the tree of {size} leaves has no {width} hashes in that tile")

    def _full(self, level: int, index: int) -> bytes:
        data = self._kv.get(keyspace.derived_tile(level, index))
        if data is None or len(data) != TILE_BYTES:
            raise DerivedDamagedError("E_DERIVED_DAMAGED", f"tile {index} of level {level} is missing or cut")
        return data

    def _expand_full(self, level: int, index: int) -> ExpandedTile:
        return tile.expand(self._full(level, index))


def _read_edge(kv: KeyValue, size: int) -> tuple[bytes, ...]:
    rows = []
    for level, width in enumerate(edge_widths(size)):
        row = kv.get(keyspace.derived_edge(level)) or b""
        if len(row) != width * HASH_BYTES:
            raise DerivedDamagedError(
                "E_DERIVED_DAMAGED", f"the partial tile of level {level} does not fit the tree"
            )
        rows.append(row)
    return tuple(rows)
