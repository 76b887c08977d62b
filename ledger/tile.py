"""Tiles: where each stored hash of the tree lies, and how tiles and entry bundles are named and written.

Why tiles: 256 hashes of one level in one object make a static, cacheable read interface, and one read serves
many proofs. Levels between tile levels are not stored; they are folded from a tile when needed.

Rules kept here:
- Tile level t holds node levels 8t; tile (t, n) holds their hashes 256n .. 256n+255; a partial tile has 1 to
  255.
- A path has one spelling: groups of three digits, all but the last behind an `x`; `.p/W` only for partial
  tiles.
- A full tile serves for every partial one of its position, since hashes never change.
- An entry bundle is up to 256 entries, each behind its length as two bytes, big-endian.

Source: C2SP tlog-tiles ("Merkle Tree", "Partial Tiles", "Log entries").
Refuses: the older path form of the Go checksum database with a tile height in it; pruning; compression (that
is HTTP's).
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from ledger.errors import TileError
from ledger.merkle import HASH_BYTES, SIZE_MAX, TILE_BYTES, TILE_HEIGHT, TILE_WIDTH, parent_row, split_row
from ledger.proof import Coordinate

TILE_LEVEL_MAX: Final = 63
TILE_INDEX_MAX: Final = SIZE_MAX // TILE_WIDTH
ENTRY_BYTES_MAX: Final = 65_535
BUNDLE_BYTES_MAX: Final = TILE_WIDTH * (2 + ENTRY_BYTES_MAX)

_PATH = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)/(?P<index>(?:x[0-9]{3}/)*[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?",
    re.ASCII,
)
_PATH_CHARS_MAX: Final = 64

ExpandedTile: TypeAlias = tuple[tuple[bytes, ...], ...]
"""A tile's own hashes and every complete level folded above them: [0] has the width of the tile, [7] at most
2.
"""

TileReader: TypeAlias = Callable[[int, int, int], ExpandedTile]
"""Called as reader(tile level, index, least width); returns that tile expanded, at least so wide."""


@dataclass(frozen=True, slots=True)
class TilePath:
    """Which tile: `level` is 0..63, or None for an entry bundle; `width` is 1..256, 256 being a full tile."""

    level: int | None
    index: int
    width: int = TILE_WIDTH

    def __post_init__(self) -> None:
        assert self.level is None or 0 <= self.level <= TILE_LEVEL_MAX
        assert 0 <= self.index <= TILE_INDEX_MAX
        assert 1 <= self.width <= TILE_WIDTH


def format_path(tile: TilePath) -> str:
    """Return the path under the log's prefix, such as ``tile/0/x001/x234/067.p/8`` or
    ``tile/entries/000``.
    """
    digits = f"{tile.index:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[start : start + 3] for start in range(0, len(digits), 3)]
    name = "/".join([f"x{group}" for group in groups[:-1]] + groups[-1:])
    level = "entries" if tile.level is None else str(tile.level)
    suffix = "" if tile.width == TILE_WIDTH else f".p/{tile.width}"
    return f"tile/{level}/{name}{suffix}"


def parse_path(path: str) -> TilePath:
    """Return the tile that a path names. Raises TileError E_TILE_PATH for any other spelling than
    `format_path`'s.
    """
    matched = _PATH.fullmatch(path) if len(path) <= _PATH_CHARS_MAX else None
    if matched is None:
        raise TileError("E_TILE_PATH", "not a tile path")
    level = None if matched["level"] == "entries" else int(matched["level"])
    index = int(matched["index"].replace("x", "").replace("/", ""))
    width = TILE_WIDTH if matched["width"] is None else int(matched["width"])
    partial_full = matched["width"] is not None and width >= TILE_WIDTH
    if partial_full or (level is not None and level > TILE_LEVEL_MAX) or index > TILE_INDEX_MAX:
        raise TileError("E_TILE_PATH", "a tile path beyond the limits")
    tile = TilePath(level, index, width)
    if format_path(tile) != path:
        raise TileError("E_TILE_PATH", "a tile path in another spelling than the one it has")
    return tile


def width_at(level: int, index: int, size: int) -> int:
    """Return how many hashes (0..256) tile (level, index) has in a tree of `size` leaves."""
    assert min(level, index, size) >= 0
    return max(0, min(TILE_WIDTH, (size >> (TILE_HEIGHT * level)) - index * TILE_WIDTH))


def tiles_of(size: int) -> list[TilePath]:
    """Return the tiles at the right edge of a tree of `size` leaves: the last full one or the partial one per
    level.
    """
    found = []
    level = 0
    while count := size >> (TILE_HEIGHT * level):
        index = (count - 1) // TILE_WIDTH
        found.append(TilePath(level, index, count - index * TILE_WIDTH))
        level += 1
    return found


def locate(level: int, index: int) -> tuple[int, int, int, int]:
    """Return where the stored hash (level, index) lies: (tile level, tile index, fold, offset).

    The tile must be at least (offset + 1) << fold hashes wide; the hash is number `offset` of the tile's own
    hashes folded `fold` times (0..7).
    """
    assert min(level, index) >= 0
    tile_level, fold = divmod(level, TILE_HEIGHT)
    per_tile = TILE_WIDTH >> fold
    return tile_level, index // per_tile, fold, index % per_tile


def expand(data: bytes) -> ExpandedTile:
    """Return a tile's hashes with all complete levels above them, for keeping in a cache.

    Costs up to 255 hashes (about 150 us). Raises TileError E_TILE_BYTES unless `data` is 1 to 256 hashes.
    """
    if not data or len(data) > TILE_BYTES or len(data) % HASH_BYTES:
        raise TileError("E_TILE_BYTES", f"a tile is 1 to 256 hashes of 32 bytes, not {len(data)} bytes")
    row = split_row(data)
    levels = [tuple(row)]
    while len(levels) < TILE_HEIGHT and len(row) > 1:
        row = parent_row(row[: len(row) & ~1])
        levels.append(tuple(row))
    return tuple(levels)


def hash_in(tile: ExpandedTile, fold: int, offset: int) -> bytes:
    """Return hash number `offset` of a tile folded `fold` times. Raises TileError E_TILE_WIDTH if it is not
    wide enough.
    """
    if fold >= len(tile) or offset >= len(tile[fold]):
        raise TileError("E_TILE_WIDTH", "the tile is narrower than the tree needs")
    return tile[fold][offset]


def read_hashes(coordinates: Sequence[Coordinate], reader: TileReader) -> list[bytes]:
    """Return the stored hash of each (level, index), reading each tile once: a proof's `HashReader` over
    tiles.

    The tiles are as trustworthy as their reader; a proof made from wrong ones leads to a wrong root.
    Raises TileError E_TILE_WIDTH and whatever `reader` raises.
    """
    places = [locate(level, index) for level, index in coordinates]
    widths: dict[tuple[int, int], int] = {}
    for tile_level, tile_index, fold, offset in places:
        key = (tile_level, tile_index)
        widths[key] = max(widths.get(key, 0), (offset + 1) << fold)
    tiles = {key: reader(key[0], key[1], width) for key, width in widths.items()}
    return [hash_in(tiles[level, index], fold, offset) for level, index, fold, offset in places]


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Return the entry bundle of 1 to 256 entries of at most 65,535 bytes each."""
    assert 1 <= len(entries) <= TILE_WIDTH
    assert all(len(entry) <= ENTRY_BYTES_MAX for entry in entries)
    return b"".join(part for entry in entries for part in (len(entry).to_bytes(2, "big"), entry))


def parse_bundle(data: bytes, width: int) -> list[bytes]:
    """Return the `width` entries of a bundle. Raises TileError E_BUNDLE if it is not exactly that many."""
    assert 1 <= width <= TILE_WIDTH
    entries = []
    position = 0
    for _ in range(width):
        start = position + 2
        position = start + int.from_bytes(data[position:start], "big")
        if position > len(data) or start > len(data):
            raise TileError("E_BUNDLE", "the entry bundle ends too early")
        entries.append(data[start:position])
    if position != len(data):
        raise TileError("E_BUNDLE", "the entry bundle goes on behind its last entry")
    return entries
