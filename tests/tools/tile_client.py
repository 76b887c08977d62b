"""A reader of C2SP tiles that shares nothing with the program under test: standard library only, written
from the specification. It rebuilds the tree from level 0, checks every higher tile against it, and hashes
every entry.
"""

import base64
import urllib.request
from hashlib import sha256


class Mirror:
    """Everything that a checkpoint covers, fetched from one address."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.note = self._get("checkpoint")
        self.origin, size, root = self.note.split(b"\n\n")[0].decode().split("\n")[:3]
        self.size = int(size)
        self.root = base64.b64decode(root)

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"{self._url}/{path}", timeout=10) as answer:  # noqa: S310 - our own node
            data: bytes = answer.read()
            return data

    def _tile_path(self, kind: str, index: int, width: int) -> str:
        name = f"{index % 1000:03d}"
        while index >= 1000:
            index //= 1000
            name = f"x{index % 1000:03d}/{name}"
        return f"tile/{kind}/{name}" + (f".p/{width}" if width < 256 else "")

    def _row(self, level: int) -> list[bytes]:
        """All hashes of a tile level, tile by tile."""
        count = self.size >> (8 * level)
        found: list[bytes] = []
        for index in range(-(-count // 256)):
            width = min(256, count - 256 * index)
            data = self._get(self._tile_path(str(level), index, width))
            assert len(data) == 32 * width, "a tile is exactly its hashes"
            found += [data[at : at + 32] for at in range(0, len(data), 32)]
        return found

    def row(self) -> list[bytes]:
        """All leaf hashes."""
        return self._row(0)

    def entries(self) -> list[bytes]:
        """Every leaf's bytes, from the entry bundles."""
        found: list[bytes] = []
        for index in range(-(-self.size // 256)):
            width = min(256, self.size - 256 * index)
            data = self._get(self._tile_path("entries", index, width))
            at = 0
            for _ in range(width):
                length = int.from_bytes(data[at : at + 2], "big")
                found.append(data[at + 2 : at + 2 + length])
                at += 2 + length
            assert at == len(data), "a bundle is exactly its entries"
        return found

    def check(self) -> None:
        """Fail unless tiles, entries and checkpoint are one tree."""
        row = self._row(0)
        assert len(row) == self.size
        assert tree_hash(row) == self.root, "the tiles do not lead to the signed root"
        assert [sha256(b"\x00" + entry).digest() for entry in self.entries()] == row
        level = 1
        while self.size >> (8 * level):
            row = [tree_hash(row[at : at + 256]) for at in range(0, len(row) - 255, 256)]
            assert self._row(level) == row, f"level {level} is not folded from the one below"
            level += 1


def tree_hash(row: list[bytes]) -> bytes:
    """The Merkle tree hash of RFC 6962, section 2.1, straight from its definition (over leaf hashes)."""
    if not row:
        return sha256(b"").digest()
    if len(row) == 1:
        return row[0]
    split = 1
    while split * 2 < len(row):
        split *= 2
    return sha256(b"\x01" + tree_hash(row[:split]) + tree_hash(row[split:])).digest()
