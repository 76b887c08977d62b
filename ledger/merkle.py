"""The Merkle tree of RFC 6962, grown by whole blocks.

Why by blocks: hashing is half of the hot path, and a leaf-by-leaf append costs a fifth more than hashing
level by level. So a tree is extended by a row of leaf hashes at once, and the same pass hands out the tiles
that became full (C2SP tlog-tiles keeps levels 0, 8, 16 ... as rows of 256 hashes).

Rules kept here:
- Leaf hash = SHA-256(0x00 || entry), inner hash = SHA-256(0x01 || left || right), empty root = SHA-256("").
- A tree of n leaves splits at the largest power of two below n. Nothing is padded, no leaf is duplicated.
- A tree's whole state is its size and its right edge: the rows of 0 to 255 hashes that are not yet a full
  tile. `Tree.edge` gives exactly the partial tiles that tlog-tiles demands, and `Tree.restore` takes nothing
  else.

Sources: RFC 6962 section 2.1 (RFC 9162 section 2.1 is the same tree); C2SP tlog-tiles.
Refuses: removing leaves, knowing what a leaf means, keeping anything but the right edge in memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from ledger.errors import TileError

HASH_BYTES: Final = 32
TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 256
TILE_BYTES: Final = TILE_WIDTH * HASH_BYTES
SIZE_MAX: Final = 2**63 - 1
"""Largest tree size anywhere in our formats, as in C2SP tlog-cosignature and our integers."""

EMPTY_ROOT: Final = sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """Return the 32-byte leaf hash of an entry's bytes."""
    return sha256(b"\x00" + entry).digest()


def leaf_hashes(prefixed: Sequence[bytes]) -> list[bytes]:
    """Return the leaf hashes of entries that already stand behind their 0x00 prefix, as they do in bodies."""
    return [sha256(entry).digest() for entry in prefixed]


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the 32-byte hash of an inner node; both children are 32 bytes."""
    return sha256(b"\x01" + left + right).digest()


def parent_row(row: Sequence[bytes]) -> list[bytes]:
    """Return the hashes one level up of an even number of hashes."""
    assert len(row) % 2 == 0, "a row without a pending hash has pairs only"
    pairs = iter(row)
    return [sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=True)]


def root_of(hashes: Sequence[bytes]) -> bytes:
    """Return the root of the tree with these leaf hashes, all in memory."""
    tree = Tree()
    tree.extend(hashes)
    return tree.root()


@dataclass(frozen=True, slots=True)
class FullTile:
    """A tile that became full: 256 hashes of tile level `level` (node level 8 * level), the `index`-th of
    them.
    """

    level: int
    index: int
    data: bytes


class Tree:
    """A growing tree that holds only its right edge.

    Owned by one writer; not safe to share while `extend` runs. `size` is the number of leaves.
    `_pending[i]` is the hash of the complete subtree of 2**i leaves that waits for its right sibling, or
    empty. `_edge[t]` are the hashes of tile level t behind its last full tile.
    """

    __slots__ = ("_edge", "_pending", "_size")

    def __init__(self) -> None:
        self._size = 0
        self._pending: list[bytes] = []
        self._edge: list[bytearray] = []

    @property
    def size(self) -> int:
        """Number of leaves."""
        return self._size

    @classmethod
    def restore(cls, size: int, edge: Sequence[bytes]) -> "Tree":
        """Return the tree of `size` leaves whose partial tiles are `edge`, lowest tile level first.

        Raises TileError E_TILE_EDGE if the rows do not have exactly the widths that `size` demands.
        """
        expected = edge_widths(size)
        if [len(row) for row in edge] != [width * HASH_BYTES for width in expected]:
            raise TileError("E_TILE_EDGE", f"the partial tiles do not fit a tree of {size} leaves")
        tree = cls()
        tree._size = size
        tree._edge = [bytearray(row) for row in edge]
        for row, width in zip(edge, expected, strict=True):
            start = 0
            chunks = [b""] * TILE_HEIGHT
            for bit in reversed(range(TILE_HEIGHT)):
                if width >> bit & 1:
                    stop = start + (HASH_BYTES << bit)
                    chunks[bit] = _fold_complete(row[start:stop])
                    start = stop
            tree._pending += chunks
        return tree

    def copy(self) -> "Tree":
        """Return an independent tree with the same state."""
        other = Tree()
        other._size = self._size
        other._pending = list(self._pending)
        other._edge = [bytearray(row) for row in self._edge]
        return other

    def extend(self, hashes: Sequence[bytes]) -> list[FullTile]:
        """Append leaf hashes (32 bytes each) and return the tiles that became full, lowest level first.

        The state is unchanged if an assertion about the input fails.
        """
        row = list(hashes)
        before = self._size
        joined = b"".join(row)
        assert len(joined) == len(row) * HASH_BYTES, "leaf hashes have 32 bytes"
        assert before + len(row) <= SIZE_MAX, "tree size limit"
        full: list[FullTile] = []
        pending = self._pending
        level = 0
        while row:
            if not level % TILE_HEIGHT:
                self._keep(level, before, joined if level == 0 else b"".join(row), full)
            if level == len(pending):
                pending.append(b"")
            waiting = pending[level]
            if waiting:
                row.insert(0, waiting)
            pending[level] = row.pop() if len(row) & 1 else b""
            row = parent_row(row)
            level += 1
        self._size = before + len(hashes)
        return full

    def _keep(self, level: int, before: int, data: bytes, full: list[FullTile]) -> None:
        """Put new hashes of a tile level behind its edge and move every complete 256 of them to `full`."""
        tile_level = level // TILE_HEIGHT
        if tile_level == len(self._edge):
            self._edge.append(bytearray())
        edge = self._edge[tile_level]
        edge += data
        index = (before >> level) // TILE_WIDTH
        start = 0
        while len(edge) - start >= TILE_BYTES:
            full.append(FullTile(tile_level, index, bytes(edge[start : start + TILE_BYTES])))
            start += TILE_BYTES
            index += 1
        if start:
            del edge[:start]

    def root(self) -> bytes:
        """Return the 32-byte root; SHA-256("") when empty."""
        root = b""
        for waiting in self._pending:
            if waiting:
                root = node_hash(waiting, root) if root else waiting
        return root or EMPTY_ROOT

    def root_with(self, hashes: Sequence[bytes]) -> bytes:
        """Return the root that this tree would have after `extend(hashes)`, without changing it."""
        ahead = Tree()
        ahead._size = self._size
        ahead._pending = list(self._pending)
        ahead._edge = [bytearray() for _ in self._edge]  # rows are irrelevant for a root
        ahead.extend(hashes)
        return ahead.root()

    def edge(self) -> tuple[bytes, ...]:
        """Return the partial tile of every tile level (possibly empty rows), lowest level first.

        Together with `size` this is the whole state; row t is tile (t, size >> 8*(t+1)) of tlog-tiles.
        """
        return tuple(bytes(row) for row in self._edge)


def edge_widths(size: int) -> list[int]:
    """Return how many hashes the partial tile of each tile level has in a tree of `size` leaves.

    One number per tile level that has any hash at all: C2SP tlog-tiles, floor(size / 256**level) mod 256.
    """
    widths = []
    while size:
        widths.append(size % TILE_WIDTH)
        size //= TILE_WIDTH
    return widths


def _fold_complete(data: bytes) -> bytes:
    """Return the root of a complete subtree given as its joined leaf hashes (a power of two of them)."""
    row = split_row(data)
    while len(row) > 1:
        row = parent_row(row)
    return row[0]


def split_row(data: bytes) -> list[bytes]:
    """Return the 32-byte hashes of a joined row."""
    assert len(data) % HASH_BYTES == 0, "a row is whole hashes"
    return [data[start : start + HASH_BYTES] for start in range(0, len(data), HASH_BYTES)]
