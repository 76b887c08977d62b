"""Merkle proofs: that a leaf, or a run of leaves, is in a tree, and that one tree extends another.

Why callbacks: a prover needs a handful of subtree hashes and does not care where they lie. It asks a
`HashReader` once for everything it needs, so a store can fetch each tile once. The coordinates are those of a
stored hash: (level, index) is the root of the complete subtree over the 2**level leaves from index << level.

Rules kept here:
- Verification is RFC 9162 to the letter; a proof of another length than (index, size) demands is refused.
- Consistency from size 0 is true of every tree: the proof must be empty and the old root SHA-256(""). RFC
  9162 leaves that case out; C2SP tlog-witness decides it so, and we follow.
- A range proof lists the maximal complete subtrees left of the range and right of it, in leaf order. It
  proves `count` consecutive leaves with at most 2 * 63 hashes, where single proofs would need count * 63.

Sources: RFC 9162 sections 2.1.3.2 and 2.1.4.2 (verification), RFC 6962 sections 2.1.1 and 2.1.2 (generation),
golang.org/x/mod/sumdb/tlog for the shape of the reader.
Refuses: reading tiles, knowing what a leaf means, "partly valid".
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeAlias

from ledger.errors import ProofError
from ledger.merkle import EMPTY_ROOT, HASH_BYTES, SIZE_MAX, node_hash, parent_row

PATH_MAX = 63
"""Longest inclusion path of a tree of at most 2**63 - 1 leaves."""

CONSISTENCY_MAX = 64
"""Longest consistency proof of such trees; tlog-witness allows 63 lines, which real sizes never exceed."""

Coordinate: TypeAlias = tuple[int, int]
HashReader: TypeAlias = Callable[[Sequence[Coordinate]], Sequence[bytes]]
"""Return the stored 32-byte hash of each coordinate, in order. May raise what its store raises."""

_Span: TypeAlias = tuple[int, int]  # leaves [low, high) of one RFC 6962 subtree


@dataclass(frozen=True, slots=True)
class RangeProof:
    """The complete subtrees that surround a range of leaves, in leaf order on both sides."""

    left: tuple[bytes, ...]
    right: tuple[bytes, ...]


def complete_subtrees(low: int, high: int) -> list[Coordinate]:
    """Return the maximal complete, aligned subtrees that together cover leaves [low, high), in leaf order."""
    assert 0 <= low <= high
    found = []
    while low < high:
        level = (high - low).bit_length() - 1
        if low:
            level = min(level, (low & -low).bit_length() - 1)
        found.append((level, low >> level))
        low += 1 << level
    return found


def prove_inclusion(index: int, size: int, reader: HashReader) -> tuple[bytes, ...]:
    """Return the audit path of leaf `index` in the tree of `size` leaves, from the leaf's sibling to the
    root's child.

    Raises ProofError E_PROOF_RANGE unless 0 <= index < size.
    """
    if not 0 <= index < size <= SIZE_MAX:
        raise ProofError("E_PROOF_RANGE", f"no leaf {index} in a tree of {size} leaves")
    low, high = 0, size
    spans: list[_Span] = []
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            spans.append((middle, high))
            high = middle
        else:
            spans.append((low, middle))
            low = middle
    spans.reverse()
    return _read_spans(spans, reader)


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Return if `path` leads from the leaf hash to `root`.

    Raises ProofError: E_PROOF_RANGE (no such leaf), E_PROOF_HASH (a hash that is not 32 bytes),
    E_PROOF_LENGTH (the path has another length than index and size demand), E_PROOF_ROOT (it leads
    elsewhere).
    """
    if not 0 <= index < size <= SIZE_MAX:
        raise ProofError("E_PROOF_RANGE", f"no leaf {index} in a tree of {size} leaves")
    _require_hashes(leaf, root, *path)
    if root_from_path(leaf, index, size, path) != root:
        raise ProofError("E_PROOF_ROOT", "the path does not lead from this leaf to this root")


def root_from_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """Return the root that the audit path leads to: RFC 9162 section 2.1.3.2 without its last comparison.

    `index` < `size` is the caller's promise. Raises ProofError E_PROOF_LENGTH.
    """
    assert 0 <= index < size
    fn, sn = index, size - 1
    result = leaf
    for sibling in path:
        if sn == 0:
            raise ProofError("E_PROOF_LENGTH", "the path is longer than index and size allow")
        if fn & 1 or fn == sn:
            result = sha256(b"\x01" + sibling + result).digest()
            while not fn & 1 and fn:
                fn >>= 1
                sn >>= 1
        else:
            result = sha256(b"\x01" + result + sibling).digest()
        fn >>= 1
        sn >>= 1
    if sn:
        raise ProofError("E_PROOF_LENGTH", "the path is shorter than index and size demand")
    return result


def path_length(index: int, size: int) -> int:
    """Return how many hashes the audit path of leaf `index` in a tree of `size` leaves has."""
    assert 0 <= index < size
    inner = (index ^ (size - 1)).bit_length()
    return inner + (index >> inner).bit_count()


def prove_consistency(old_size: int, new_size: int, reader: HashReader) -> tuple[bytes, ...]:
    """Return the proof that the tree of `new_size` leaves extends the tree of `old_size`; empty for 0 and for
    equal.

    Raises ProofError E_PROOF_RANGE unless 0 <= old_size <= new_size.
    """
    if not 0 <= old_size <= new_size <= SIZE_MAX:
        raise ProofError("E_PROOF_RANGE", f"no tree of {new_size} leaves extends one of {old_size}")
    if old_size in (0, new_size):
        return ()
    low, high = 0, new_size
    spans: list[_Span] = []
    # RFC 6962 SUBPROOF: walk down to the subtree that ends exactly at old_size, keep the siblings on the way.
    while high != old_size:
        middle = low + _split(high - low)
        if old_size <= middle:
            spans.append((middle, high))
            high = middle
        else:
            spans.append((low, middle))
            low = middle
    if low:  # the verifier knows the old root, so a walk that never went right starts from it
        spans.append((low, high))
    spans.reverse()
    return _read_spans(spans, reader)


def verify_consistency(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Return if the tree (new_size, new_root) extends the tree (old_size, old_root).

    Raises ProofError: E_PROOF_RANGE, E_PROOF_HASH, E_PROOF_LENGTH, E_PROOF_ROOT; see `verify_inclusion`.
    """
    if not 0 <= old_size <= new_size <= SIZE_MAX:
        raise ProofError("E_PROOF_RANGE", f"no tree of {new_size} leaves extends one of {old_size}")
    _require_hashes(old_root, new_root, *proof)
    if old_size in (0, new_size):
        _verify_trivial(old_size, old_root, new_size, new_root, proof)
        return
    if not proof:
        raise ProofError("E_PROOF_LENGTH", "an empty proof joins only equal trees")
    steps = list(proof) if old_size & (old_size - 1) else [old_root, *proof]
    fn, sn = old_size - 1, new_size - 1
    while fn & 1:
        fn >>= 1
        sn >>= 1
    old = new = steps[0]
    for step in steps[1:]:
        if sn == 0:
            raise ProofError("E_PROOF_LENGTH", "the proof is longer than the sizes allow")
        if fn & 1 or fn == sn:
            old = node_hash(step, old)
            new = node_hash(step, new)
            while not fn & 1 and fn:
                fn >>= 1
                sn >>= 1
        else:
            new = node_hash(new, step)
        fn >>= 1
        sn >>= 1
    if sn:
        raise ProofError("E_PROOF_LENGTH", "the proof is shorter than the sizes demand")
    if old != old_root or new != new_root:
        raise ProofError("E_PROOF_ROOT", "the proof does not join these two roots")


def _verify_trivial(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Judge the two cases without hashing: from the empty tree, and from a tree to itself."""
    if proof:
        raise ProofError("E_PROOF_LENGTH", "the proof from an empty tree, or between equal sizes, is empty")
    if (old_size == 0 and old_root != EMPTY_ROOT) or (new_size == 0 and new_root != EMPTY_ROOT):
        raise ProofError("E_PROOF_ROOT", "a tree of size 0 has the root SHA-256 of nothing")
    if old_size == new_size and old_root != new_root:
        raise ProofError("E_PROOF_ROOT", "two roots at one size")


def prove_range(start: int, count: int, size: int, reader: HashReader) -> RangeProof:
    """Return the proof that `count` leaves from `start` are in the tree of `size` leaves.

    Raises ProofError E_PROOF_RANGE unless count >= 1 and the range lies inside.
    """
    _require_range(start, count, size)
    left = complete_subtrees(0, start)
    right = complete_subtrees(start + count, size)
    hashes = _read(left + right, reader)
    return RangeProof(tuple(hashes[: len(left)]), tuple(hashes[len(left) :]))


def root_from_range(leaves: Sequence[bytes], start: int, size: int, proof: RangeProof) -> bytes:
    """Return the root of the tree of `size` leaves in which `leaves` (leaf hashes) stand from index `start`.

    Only one root can come out for given leaves, positions and size, whoever made the proof.
    Raises ProofError E_PROOF_RANGE, E_PROOF_HASH, E_PROOF_LENGTH.
    """
    _require_range(start, len(leaves), size)
    _require_hashes(*proof.left, *proof.right, *leaves)
    end = start + len(leaves)
    left = complete_subtrees(0, start)
    right = complete_subtrees(end, size)
    if len(left) != len(proof.left) or len(right) != len(proof.right):
        raise ProofError("E_PROOF_LENGTH", "the range proof has another length than range and size demand")
    middle = [
        (level, index, _fold(leaves, level, index, start)) for level, index in complete_subtrees(start, end)
    ]
    parts = [(level, index, value) for (level, index), value in zip(left, proof.left, strict=True)]
    parts += middle
    parts += [(level, index, value) for (level, index), value in zip(right, proof.right, strict=True)]
    stack: list[tuple[int, int, bytes]] = []
    for level, index, value in parts:
        # A right child directly behind its left sibling closes their parent; the parts cover [0, size)
        # without gaps.
        while index & 1:
            _, _, sibling = stack.pop()
            value = node_hash(sibling, value)  # noqa: PLW2901
            level += 1  # noqa: PLW2901
            index >>= 1  # noqa: PLW2901
        stack.append((level, index, value))
    root = stack.pop()[2]
    while stack:
        root = node_hash(stack.pop()[2], root)
    return root


def verify_range(leaves: Sequence[bytes], start: int, size: int, proof: RangeProof, root: bytes) -> None:
    """Return if the leaf hashes stand from index `start` in the tree (size, root).

    Raises ProofError E_PROOF_RANGE, E_PROOF_HASH, E_PROOF_LENGTH, E_PROOF_ROOT.
    """
    if root_from_range(leaves, start, size, proof) != root:
        raise ProofError("E_PROOF_ROOT", "these leaves do not lead to this root")


def root_at(size: int, reader: HashReader) -> bytes:
    """Return the root of the tree's first `size` leaves, from stored hashes."""
    if size == 0:
        return EMPTY_ROOT
    return _read_spans([(0, size)], reader)[0]


def _split(count: int) -> int:
    """Return the largest power of two below `count` (at least 2): where RFC 6962 splits a tree."""
    return 1 << ((count - 1).bit_length() - 1)


def _fold(leaves: Sequence[bytes], level: int, index: int, start: int) -> bytes:
    """Return the hash of the complete subtree (level, index), whose leaves all lie in `leaves`."""
    low = (index << level) - start
    row: Sequence[bytes] = leaves[low : low + (1 << level)]
    while len(row) > 1:
        row = parent_row(row)
    return row[0]


def _read_spans(spans: Sequence[_Span], reader: HashReader) -> tuple[bytes, ...]:
    """Return the RFC 6962 subtree hash of each span, asking the reader once for all of them."""
    plans = [complete_subtrees(low, high) for low, high in spans]
    hashes = iter(_read([coordinate for plan in plans for coordinate in plan], reader))
    results = []
    for plan in plans:
        parts = [next(hashes) for _ in plan]
        value = parts.pop()
        while parts:
            value = node_hash(parts.pop(), value)
        results.append(value)
    return tuple(results)


def _read(coordinates: Sequence[Coordinate], reader: HashReader) -> Sequence[bytes]:
    """Ask the reader once, and not at all for nothing; a reader that miscounts is our own bug."""
    hashes = reader(coordinates) if coordinates else ()
    assert len(hashes) == len(coordinates), "a hash reader answers every coordinate"
    return hashes


def _require_range(start: int, count: int, size: int) -> None:
    if start < 0 or count < 1 or start + count > size or size > SIZE_MAX:
        raise ProofError("E_PROOF_RANGE", f"no {count} leaves from {start} in a tree of {size} leaves")


def _require_hashes(*hashes: bytes) -> None:
    for value in hashes:
        if len(value) != HASH_BYTES:
            raise ProofError("E_PROOF_HASH", f"a hash has 32 bytes, not {len(value)}")
