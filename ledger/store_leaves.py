"""From a commitment to its positions, and from positions to leaves: the index's few heights, and whole leaves
compared.

Why here: the index names heights by 16 bytes of a commitment. Whether a record *is* on the chain is decided
only by comparing all its 128 bytes with those in the bodies, which come, checked, from the chain store.

Rules kept here:
- A duplicate is the same leaf, byte for byte. The same commitment in another leaf (another source, say) is
  another record, and `find` gives all positions.
- When nothing of an envelope is known, which is nearly always so, no disk and no body is touched.
- At most 256 heights are examined per commitment, lowest first: the first position counts, so whoever copies
  somebody's commitment into a thousand later records hides nothing.

Threads: any thread reads; a body that is cut into leaves is kept for the next question.
Refuses: believing the index.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ledger.body import parse_body
from ledger.errors import DerivedDamagedError, LedgerError
from ledger.header import Header
from ledger.record import PREFIXED_BYTES, commitment_keys, leaf_slices
from ledger.store_index import RecordIndex

CANDIDATES_MAX: Final = 256
_CACHE_BLOCKS: Final = 8
_COMMITMENT: Final = slice(13, 45)  # in a prefixed leaf


@dataclass(frozen=True, slots=True)
class BlockLeaves:
    """The record leaves of a block, 129 bytes each with their prefix, and the tree index of the first."""

    height: int
    first_index: int
    leaves: tuple[bytes, ...]

    def places(self) -> dict[bytes, int]:
        """Return each leaf's tree index, the first if it occurs twice."""
        last = self.first_index + len(self.leaves) - 1
        return dict(zip(self.leaves[::-1], range(last, self.first_index - 1, -1), strict=True))


class LeafFinder:
    """See the module. `bodies` gives the checked body at a height, `headers` the header."""

    __slots__ = ("_block", "_bodies", "_headers", "_index", "_places")

    def __init__(
        self, index: RecordIndex, bodies: Callable[[int], bytes], headers: Callable[[int], Header]
    ) -> None:
        self._index = index
        self._bodies = bodies
        self._headers = headers
        # Not decorated methods: each store has its own cache, and it goes when the store goes.
        self._block: Callable[[int], BlockLeaves] = lru_cache(_CACHE_BLOCKS)(self._read_block)
        self._places: Callable[[int], dict[bytes, int]] = lru_cache(_CACHE_BLOCKS)(self._read_places)

    def block(self, height: int) -> BlockLeaves:
        """Return the record leaves of the block at `height`; about 0.5 us per record when read anew.

        Raises DerivedDamagedError, and what the chain store raises.
        """
        return self._block(height)

    def find(self, commitment: bytes) -> list[tuple[int, int]]:
        """Return (height, tree index) of every leaf that holds the 32-byte commitment, rising.

        About 200 us, plus the bodies it is in. Raises DerivedDamagedError.
        """
        assert len(commitment) == 32, "a commitment has 32 bytes"
        found = []
        for height in self._index.heights(commitment[:16])[:CANDIDATES_MAX]:
            block = self._block(height)
            found += [
                (height, block.first_index + offset)
                for offset, leaf in enumerate(block.leaves)
                if leaf[_COMMITMENT] == commitment
            ]
        return found

    def known(self, leaves: bytes) -> list[int | None]:
        """Return for each of the prefixed leaves its tree index, None if it is not on the chain.

        About 0.5 us per leaf if nothing is known. A replayed envelope costs as much as reading its block
        once; old records of many blocks cost about 0.5 ms per block, so callers on a busy thread may ask
        elsewhere. Where a faulty leader has repeated a leaf, the answer is one of its positions. Raises
        DerivedDamagedError.
        """
        keys = commitment_keys(leaves)
        found: list[int | None] = [None] * len(keys)
        suspects = self._index.suspects(keys)
        if suspects:
            self._resolve(keys, leaf_slices(leaves), suspects, found)
        return found

    def _resolve(
        self, keys: Sequence[bytes], leaves: Sequence[bytes], suspects: Sequence[int], found: list[int | None]
    ) -> None:
        """Fill `found` for the suspects. Each block that may hold one of them is read once, lowest first, and
        asked for all of them: leaves may be made to share a key, on purpose, in as many blocks as they like.
        """
        wanted: dict[bytes, list[int]] = {}
        by_key: dict[bytes, set[bytes]] = {}
        for at in suspects:
            wanted.setdefault(leaves[at], []).append(at)
            by_key.setdefault(keys[at], set()).add(leaves[at])
        askers: dict[int, set[bytes]] = {}
        for key, asking in by_key.items():
            for height in self._index.heights(key)[:CANDIDATES_MAX]:
                askers.setdefault(height, set()).update(asking)
        for height in sorted(askers):
            if wanted.keys().isdisjoint(askers[height]):
                continue
            places = self._places(height)
            for leaf in places.keys() & wanted.keys():
                for position in wanted.pop(leaf):
                    found[position] = places[leaf]

    def _read_block(self, height: int) -> BlockLeaves:
        header = self._headers(height)
        if not header.records:
            return BlockLeaves(height, header.tree_size, ())
        raw = self._bodies(height)
        try:
            body = parse_body(raw)
        except LedgerError as error:
            raise DerivedDamagedError("E_DERIVED_DAMAGED", f"the body of block {height}: {error}") from error
        joined = b"".join(envelope.leaves for envelope in body.envelopes)
        if body.digest != header.body_digest or len(joined) != header.records * PREFIXED_BYTES:
            raise DerivedDamagedError(
                "E_DERIVED_DAMAGED", f"header and body of block {height} are not of one block"
            )
        return BlockLeaves(height, header.tree_size - header.records, leaf_slices(joined))

    def _read_places(self, height: int) -> dict[bytes, int]:
        return self._block(height).places()
