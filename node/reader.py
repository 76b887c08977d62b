"""Answers about the applied chain, each checked against a root before it leaves: the one source of all read
doors.

Why checked here: disks and memories flip bits, and a wrong answer with this node's name on it is worse than
none. What is served is recomputed from its bytes up to a root that this node derived itself.

Rules kept here
- Blocks: the body has its entry hash and the digest in its header, the header leaf stands in the tree where
  it says.
- Leaves have the hash that the tree holds; proofs are verified as their receiver will verify them; full tiles
  fold to the hash above them, partial ones stand at an edge that folds to the applied root.
- Receipts are made at the newest final checkpoint, whose signatures were verified when it became final.
- Nothing above the applied size is answered, and nothing is answered in part.
- What does not check is E_READ_DAMAGED, and whoever runs the node is told.

Sources: RFC 6962, C2SP tlog-tiles, C2SP tlog-proof.
Refuses: transport, caching headers, languages: `read_api`, `read_http` and `pages` translate.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.body import Body, parse_body
from ledger.errors import LedgerError
from ledger.header import Header, block_hash, parse_header
from ledger.merkle import TILE_WIDTH, leaf_hash, node_hash
from ledger.proof import (
    Coordinate,
    RangeProof,
    complete_subtrees,
    prove_consistency,
    prove_inclusion,
    prove_range,
    root_at,
    verify_consistency,
    verify_inclusion,
)
from ledger.receipt import HeaderProof, build_receipt, parse_receipt
from ledger.record import COMMITMENT_BYTES, PREFIXED_BYTES
from ledger.tile import TilePath, expand, width_at
from node.errors import ReadError
from node.findings import Attested
from node.ports import LedgerView

RANGES_MAX: Final = 256
FIND_MAX: Final = 256
_BLOCKS_KEPT: Final = 8


@dataclass(frozen=True, slots=True)
class Block:
    """One applied block, checked. `tree_size` includes the header leaf, `block_hash` is that leaf's hash."""

    height: int
    term: int
    body: Body
    header: Header
    header_leaf: bytes
    block_hash: bytes
    first_index: int

    @property
    def tree_size(self) -> int:
        """Size of the tree at the block's end."""
        return self.header.tree_size + 1

    def leaf(self, index: int) -> bytes:
        """Return the bytes, without prefix, of tree leaf `index`, which lies in this block."""
        assert self.first_index <= index < self.tree_size, "a leaf of this block"
        if index == self.header.tree_size:
            return self.header_leaf
        at = index - self.first_index
        for envelope in self.body.envelopes:
            if at < envelope.count:
                return envelope.leaves[at * PREFIXED_BYTES + 1 : (at + 1) * PREFIXED_BYTES]
            at -= envelope.count
        raise AssertionError("a header's number of records is the body's")


class Reader:
    """See the module. `damaged(words, chain)` is told of every answer that did not check; `chain` says
    whether it is the chain store itself (then the node must not go on signing) or what can be derived from it
    again.
    """

    def __init__(self, view: LedgerView, damaged: Callable[[str, bool], None]) -> None:
        self._view = view
        self._damaged = damaged
        self._blocks: OrderedDict[int, Block] = OrderedDict()

    # --- blocks and leaves --------------------------------------------------------------------------------

    def header(self, height: int) -> Header:
        """Return the header at `height`, checked against the tree. Raises ReadError."""
        return self._header(height)[0]

    def block(self, height: int) -> Block:
        """Return the block at `height`, checked. Raises ReadError E_READ_NOT_FOUND, E_READ_DAMAGED."""
        kept = self._blocks.get(height)
        if kept is not None:
            self._blocks.move_to_end(height)
            return kept
        header, leaf = self._header(height)
        try:
            entry = self._view.chain_store.entry(height)
            body = parse_body(entry.body_raw)
        except LedgerError as error:
            raise self._wrong(f"block {height}: {error}", chain=True) from error
        if body.digest != header.body_digest or entry.term != header.term or body.records != header.records:
            raise self._wrong(f"block {height}: body and header do not belong together")
        first = header.tree_size - header.records
        block = Block(height, entry.term, body, header, leaf, block_hash(leaf), first)
        self._blocks[height] = block
        if len(self._blocks) > _BLOCKS_KEPT:
            self._blocks.popitem(last=False)
        return block

    def leaf(self, index: int) -> bytes:
        """Return the bytes of a leaf, checked against the tree. Raises ReadError."""
        return self.leaves(index, 1)[0]

    def leaves(self, start: int, count: int) -> list[bytes]:
        """Return the bytes of `count` leaves from index `start`, each checked against the tree. Raises
        ReadError.
        """
        self._require(start >= 0 and count >= 1 and start + count <= self._view.size, "no such leaves")
        found: list[bytes] = []
        while len(found) < count:
            block = self.block(self._height_of(start + len(found)))
            stop = min(start + count, block.tree_size)
            found += [block.leaf(index) for index in range(start + len(found), stop)]
        stored = self._hashes([(0, index) for index in range(start, start + count)])
        if [leaf_hash(leaf) for leaf in found] != list(stored):
            raise self._wrong(f"leaves {start} to {start + count - 1} do not have the hashes of the tree")
        return found

    def find(self, commitment: bytes) -> list[tuple[int, int]]:
        """Return (height, index) of every record with this commitment, rising, at most FIND_MAX. Raises
        ReadError.
        """
        if len(commitment) != COMMITMENT_BYTES:
            raise ReadError("E_READ_COMMITMENT", f"a commitment has {COMMITMENT_BYTES} bytes")
        try:
            return list(self._view.derived_store.find(commitment))[:FIND_MAX]
        except LedgerError as error:
            raise self._wrong(f"index: {error}") from error

    # --- proofs -------------------------------------------------------------------------------------------

    def root_at(self, size: int) -> bytes:
        """Return the root of the first `size` leaves; the applied one is the chain's own. Raises
        ReadError.
        """
        self._require(0 <= size <= self._view.size, f"this node's tree has {self._view.size} leaves")
        return self._view.root if size == self._view.size else root_at(size, self._hashes)

    def inclusion(self, index: int, size: int) -> tuple[bytes, tuple[bytes, ...]]:
        """Return (leaf bytes, audit path) of leaf `index` in the tree of `size` leaves. Raises ReadError."""
        root = self.root_at(size)
        self._require(0 <= index < size, f"no leaf {index} in a tree of {size} leaves")
        leaf = self.leaf(index)
        path = prove_inclusion(index, size, self._hashes)
        self._checked(lambda: verify_inclusion(leaf_hash(leaf), index, size, path, root), "inclusion")
        return leaf, path

    def consistency(self, old_size: int, new_size: int) -> tuple[bytes, ...]:
        """Return the proof that one tree extends the other. Raises ReadError."""
        self._require(0 <= old_size <= new_size, "the old size is at most the new one")
        old_root, new_root = self.root_at(old_size), self.root_at(new_size)
        path = prove_consistency(old_size, new_size, self._hashes)
        self._checked(lambda: verify_consistency(old_size, old_root, new_size, new_root, path), "consistency")
        return path

    def ranges(self, size: int, ranges: Sequence[tuple[int, int]]) -> list[RangeProof]:
        """Return what surrounds each (start, count) in the tree of `size` leaves. Raises ReadError."""
        self.require_ranges(len(ranges))
        root = self.root_at(size)
        found = []
        for start, count in ranges:
            self._require(start >= 0 and count >= 1 and start + count <= size, "a range outside the tree")
            proof = prove_range(start, count, size, self._hashes)
            inner = complete_subtrees(start, start + count)
            parts = [
                *zip(complete_subtrees(0, start), proof.left, strict=True),
                *zip(inner, self._hashes(inner), strict=True),
                *zip(complete_subtrees(start + count, size), proof.right, strict=True),
            ]
            if _fold(parts) != root:
                raise self._wrong(f"range {start}+{count} at size {size} does not lead to the root")
            found.append(proof)
        return found

    def require_ranges(self, count: int) -> None:
        """Return if so many ranges may be asked for at once. Raises ReadError E_READ_LIMIT."""
        if count > RANGES_MAX:
            raise ReadError("E_READ_LIMIT", f"at most {RANGES_MAX} ranges are answered at once")

    def receipt(self, final: Attested | None, index: int, *, with_header: bool) -> bytes:
        """Return the receipt file of record `index` at the final checkpoint.

        Raises ReadError: E_READ_NOT_FINAL (it is on chain, but not yet final), E_READ_NOT_FOUND,
        E_READ_NOT_RECORD (a header leaf has no receipt), E_READ_DAMAGED.
        """
        self._require(0 <= index < self._view.size, f"this node's tree has {self._view.size} leaves")
        if final is None or index >= final.point.size:
            raise ReadError("E_READ_NOT_FINAL", "the record is on the chain, and not final yet")
        block = self.block(self._height_of(index))
        if index == block.header.tree_size:
            raise ReadError("E_READ_NOT_RECORD", "this leaf is a block's header, not a record")
        size = final.point.size
        if self.root_at(size) != final.point.root:
            raise self._wrong(f"the tree at size {size} does not have the root that was cosigned")
        leaf, path = self.inclusion(index, size)
        header = None
        if with_header:
            header_index = block.header.tree_size
            header = HeaderProof(header_index, block.header_leaf, self.inclusion(header_index, size)[1])
        made = build_receipt(leaf, index, path, final.note, header)
        self._checked(lambda: parse_receipt(made), "receipt")
        return made

    # --- tiles --------------------------------------------------------------------------------------------

    def tile(self, path: TilePath) -> bytes:
        """Return a tile of hashes of the applied tree. Raises ReadError E_READ_NOT_FOUND,
        E_READ_DAMAGED.
        """
        level = path.level or 0
        wide = width_at(level, path.index, self._view.size)
        self._require(path.width <= wide, "the tree is not that large yet")
        assert path.level is not None, "entry bundles are made of `leaves`"
        try:
            data = self._view.derived_store.tile(level, path.index, wide)
        except LedgerError as error:
            raise self._wrong(f"tile {level}/{path.index}: {error}") from error
        if wide == TILE_WIDTH:
            top = expand(data)[-1]
            above = self._hashes([(8 * level + 8, path.index)])[0]
            good = node_hash(top[0], top[1]) == above
        else:
            good = root_at(self._view.size, self._hashes) == self._view.root
        if not good:
            raise self._wrong(f"tile {level}/{path.index} does not fold to the tree")
        return data[: path.width * 32]

    def damaged_chain(self, words: str) -> ReadError:
        """Tell that the chain store itself did not check, and return the refusal to raise."""
        return self._wrong(words, chain=True)

    # --- inside -------------------------------------------------------------------------------------------

    def _header(self, height: int) -> tuple[Header, bytes]:
        self._require(0 <= height <= self._view.applied_height, f"this node has no block {height}")
        try:
            leaf = self._view.derived_store.header_leaf(height)
            header = parse_header(leaf)
        except LedgerError as error:
            raise self._wrong(f"header {height}: {error}") from error
        if header.height != height or self._hashes([(0, header.tree_size)])[0] != leaf_hash(leaf):
            raise self._wrong(f"header {height} is not the leaf that the tree holds")
        return header, leaf

    def _height_of(self, index: int) -> int:
        try:
            return self._view.derived_store.block_at(index)
        except LedgerError as error:
            raise self._wrong(f"block of leaf {index}: {error}") from error

    def _hashes(self, coordinates: Sequence[Coordinate]) -> Sequence[bytes]:
        try:
            return self._view.derived_store.hashes(coordinates)
        except LedgerError as error:
            raise self._wrong(f"tree: {error}") from error

    def _checked(self, check: Callable[[], object], what: str) -> None:
        try:
            check()
        except LedgerError as error:
            raise self._wrong(f"{what}: {error}") from error

    def _require(self, good: bool, words: str) -> None:  # noqa: FBT001 - reads as what must be true
        if not good:
            raise ReadError("E_READ_NOT_FOUND", words)

    def _wrong(self, words: str, *, chain: bool = False) -> ReadError:
        self._damaged(words, chain)
        return ReadError(
            "E_READ_DAMAGED", "this node cannot vouch for its own copy of this; ask another node"
        )


def _fold(parts: Sequence[tuple[Coordinate, bytes]]) -> bytes:
    """Return the root of a tree that complete subtrees cover from the left without gaps."""
    stack: list[tuple[int, int, bytes]] = []
    for (level, index), value in parts:
        height, at, joined = level, index, value
        while at & 1:
            joined = node_hash(stack.pop()[2], joined)
            height, at = height + 1, at >> 1
        stack.append((height, at, joined))
    root = stack.pop()[2]
    while stack:
        root = node_hash(stack.pop()[2], root)
    return root
