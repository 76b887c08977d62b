"""Proofs: generation equals RFC 6962's recursion, verification RFC 9162's algorithms, and nothing else
passes.
"""

from base64 import b64decode
from collections.abc import Sequence
from typing import Any

import pytest
import rfc6962_reference as reference
from golden import load
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import ProofError
from ledger.merkle import EMPTY_ROOT, SIZE_MAX, leaf_hash, root_of
from ledger.proof import (
    PATH_MAX,
    Coordinate,
    RangeProof,
    complete_subtrees,
    path_length,
    prove_consistency,
    prove_inclusion,
    prove_range,
    root_at,
    root_from_range,
    verify_consistency,
    verify_inclusion,
    verify_range,
)

LIMIT = 70
ENTRIES = [b"entry %d" % number for number in range(300)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
ROOTS = [reference.mth(ENTRIES[:size]) for size in range(LIMIT + 1)]
INCLUSION: list[dict[str, Any]] = load("rfc6962-merkle/inclusion.json")["cases"]
CONSISTENCY: list[dict[str, Any]] = load("rfc6962-merkle/consistency.json")["cases"]
PLACEHOLDER_ROOTS = "additional/sizes-are-equal-one-and-proof-is-empty.json"


class Reader:
    """Stored hashes computed from the leaves; counts how often it is asked."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, coordinates: Sequence[Coordinate]) -> list[bytes]:
        """Answer like a store."""
        self.calls += 1
        return [root_of(LEAVES[index << level : (index + 1) << level]) for level, index in coordinates]


def texts(values: list[str] | None) -> list[bytes]:
    """Hashes of a vector's proof."""
    return [b64decode(value) for value in values or []]


@pytest.mark.parametrize("case", INCLUSION, ids=lambda case: case["file"])
def test_published_inclusion_case(case: dict[str, Any]) -> None:
    """Each published case verifies or fails as published."""
    arguments = (
        b64decode(case["leafHash"] or ""),
        case["leafIdx"],
        case["treeSize"],
        texts(case["proof"]),
        b64decode(case["root"] or ""),
    )
    if case["wantErr"]:
        with pytest.raises(ProofError):
            verify_inclusion(*arguments)
    else:
        verify_inclusion(*arguments)


@pytest.mark.parametrize("case", CONSISTENCY, ids=lambda case: case["file"])
def test_published_consistency_case(case: dict[str, Any]) -> None:
    """Each published case verifies or fails as published.

    One accepted case has words of 12 bytes for roots; we refuse those for not being hashes. The corpus
    refuses every proof from size 0 while we accept an empty one from the empty root; all its cases from size
    0 carry a proof or another root, so none of them differs.
    """
    arguments = (
        case["size1"],
        b64decode(case["root1"] or ""),
        case["size2"],
        b64decode(case["root2"] or ""),
        texts(case["proof"]),
    )
    if case["wantErr"] or case["file"] == PLACEHOLDER_ROOTS:
        with pytest.raises(ProofError):
            verify_consistency(*arguments)
    else:
        verify_consistency(*arguments)


@pytest.mark.parametrize("size", range(1, LIMIT + 1))
def test_inclusion_proofs_of_all_leaves(size: int) -> None:
    """Every audit path is the recursive definition's, has the computed length, verifies, and took one
    read.
    """
    for index in range(size):
        reader = Reader()
        path = prove_inclusion(index, size, reader)
        assert list(path) == reference.path(index, ENTRIES[:size])
        assert len(path) == path_length(index, size) <= PATH_MAX
        assert reader.calls == (1 if path else 0)
        verify_inclusion(LEAVES[index], index, size, path, ROOTS[size])


@pytest.mark.parametrize("new", range(LIMIT + 1))
def test_consistency_proofs_of_all_sizes(new: int) -> None:
    """Every consistency proof is the recursive definition's, verifies, and took one read."""
    for old in range(new + 1):
        reader = Reader()
        proof = prove_consistency(old, new, reader)
        assert list(proof) == (reference.proof(old, ENTRIES[:new]) if old else [])
        assert reader.calls == (1 if proof else 0)
        verify_consistency(old, ROOTS[old], new, ROOTS[new], proof)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13, 21])
def test_wrong_inclusion_proofs_are_refused(size: int) -> None:
    """Another index, size, leaf, root, a shorter, longer or reordered path, a changed bit: each is
    refused.
    """
    for index in range(size):
        path = prove_inclusion(index, size, Reader())
        leaf, root = LEAVES[index], ROOTS[size]
        wrong: list[tuple[bytes, int, int, Sequence[bytes], bytes]] = [
            (LEAVES[index + 1], index, size, path, root),
            (leaf, index, size, path, ROOTS[size + 1]),
            (leaf, index, size, (*path, leaf), root),
            (leaf, index, size, path[:-1], root) if path else (leaf, size, size, path, root),
            (leaf, index, size, path, b""),
            (b"", index, size, path, root),
            (leaf, index, size, (*path[:-1], b""), root),
            (leaf, -1, size, path, root),
        ]
        wrong += [(leaf, other, size, path, root) for other in range(size + 1) if other != index]
        for place, value in enumerate(path):
            changed = bytes([value[0] ^ 1]) + value[1:]
            wrong.append((leaf, index, size, (*path[:place], changed, *path[place + 1 :]), root))
        for arguments in wrong:
            with pytest.raises(ProofError):
                verify_inclusion(*arguments)


def test_path_of_one_index_never_proves_another() -> None:
    """In one tree, a path fixes its index: the same hashes at any other index lead elsewhere."""
    for size in range(1, 40):
        for index in range(size):
            path = prove_inclusion(index, size, Reader())
            for other in range(size):
                if other != index:
                    with pytest.raises(ProofError):
                        verify_inclusion(LEAVES[index], other, size, path, ROOTS[size])


@pytest.mark.parametrize("new", [2, 3, 5, 8, 13, 21])
def test_wrong_consistency_proofs_are_refused(new: int) -> None:
    """Other sizes or roots, a shorter or longer proof, a changed bit: each is refused."""
    for old in range(1, new):
        proof = prove_consistency(old, new, Reader())
        a, b = ROOTS[old], ROOTS[new]
        wrong: list[tuple[int, bytes, int, bytes, Sequence[bytes]]] = [
            (old, b, new, b, proof),
            (old, a, new, a, proof),
            (old, a, new, b, proof[:-1]),
            (old, a, new, b, (*proof, a)),
            (old, a, new, b, ()),
            (0, EMPTY_ROOT, new, b, proof),
            (new, a, old, b, proof),
            (old, a, new, b, (*proof[:-1], b"")),
        ]
        wrong += [(other, a, new, b, proof) for other in range(1, new) if other != old]
        for place, value in enumerate(proof):
            changed = bytes([value[0] ^ 1]) + value[1:]
            wrong.append((old, a, new, b, (*proof[:place], changed, *proof[place + 1 :])))
        for arguments in wrong:
            with pytest.raises(ProofError):
                verify_consistency(*arguments)


def test_size_zero_rules() -> None:
    """From the empty tree the proof is empty, the old root is SHA-256 of nothing, and any tree follows."""
    verify_consistency(0, EMPTY_ROOT, 0, EMPTY_ROOT, ())
    verify_consistency(0, EMPTY_ROOT, 5, ROOTS[5], ())
    for arguments in [
        (0, ROOTS[1], 5, ROOTS[5], ()),
        (0, EMPTY_ROOT, 0, ROOTS[1], ()),
        (0, EMPTY_ROOT, 5, ROOTS[5], (ROOTS[5],)),
        (-1, EMPTY_ROOT, 5, ROOTS[5], ()),
    ]:
        with pytest.raises(ProofError):
            verify_consistency(*arguments)


def test_equal_sizes_need_equal_roots() -> None:
    """At one size there is one root; two different ones are a contradiction, not a proof."""
    verify_consistency(5, ROOTS[5], 5, ROOTS[5], ())
    with pytest.raises(ProofError, match="E_PROOF_ROOT"):
        verify_consistency(5, ROOTS[5], 5, ROOTS[6], ())


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 20, 33])
def test_range_proofs_of_all_ranges(size: int) -> None:
    """Every run of leaves is proved with one read and leads to the root."""
    for start in range(size):
        for count in range(1, size - start + 1):
            reader = Reader()
            proof = prove_range(start, count, size, reader)
            assert len(proof.left) == start.bit_count()
            assert reader.calls == (1 if proof.left or proof.right else 0)
            verify_range(LEAVES[start : start + count], start, size, proof, ROOTS[size])


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_range_proof_binds_leaves_positions_and_hashes(data: st.DataObject) -> None:
    """A changed leaf, hash, start, count, or size leads to another root or is refused."""
    size = data.draw(st.integers(2, 69))
    start = data.draw(st.integers(0, size - 1))
    count = data.draw(st.integers(1, size - start))
    proof = prove_range(start, count, size, Reader())
    leaves = LEAVES[start : start + count]
    place = data.draw(st.integers(0, count - 1))
    tries = [
        ([*leaves[:place], LEAVES[299], *leaves[place + 1 :]], start, size, proof),
        ([*leaves, LEAVES[start + count]], start, size, proof),
        (leaves[:-1], start, size, proof),
        (leaves, start + 1, size, proof),
        (leaves, start - 1, size, proof),
        (leaves, start, size, RangeProof((*proof.left, LEAVES[0]), proof.right)),
        (leaves, start, size, RangeProof(proof.left, (*proof.right, LEAVES[0]))),
        (leaves, start, size, RangeProof(proof.left[:-1], (*proof.left[-1:], *proof.right)))
        if proof.left
        else (leaves, start, size, RangeProof((LEAVES[0],), proof.right)),
        (leaves, start, size, RangeProof(proof.left, (b"",))),
    ]
    for side in ("left", "right"):
        values: tuple[bytes, ...] = getattr(proof, side)
        for position, value in enumerate(values):
            changed = (*values[:position], value[::-1], *values[position + 1 :])
            tries.append(
                (leaves, start, size, RangeProof(**{"left": proof.left, "right": proof.right, side: changed}))
            )
    for arguments in tries:
        with pytest.raises(ProofError):
            verify_range(*arguments, ROOTS[size])


def test_range_of_one_is_an_inclusion_proof_in_another_order() -> None:
    """Proving a single leaf either way gives the same root."""
    for size in range(1, 40):
        for index in range(size):
            proof = prove_range(index, 1, size, Reader())
            assert root_from_range([LEAVES[index]], index, size, proof) == ROOTS[size]


@pytest.mark.parametrize("size", range(LIMIT + 1))
def test_root_at_any_earlier_size(size: int) -> None:
    """Stored hashes of a grown tree still give the root of each of its prefixes."""
    assert root_at(size, Reader()) == ROOTS[size]


def test_complete_subtrees_cover_exactly() -> None:
    """The subtrees of a span are aligned, in order, maximal, and without gap or overlap."""
    for low in range(40):
        for high in range(low, 40):
            position = low
            for level, index in complete_subtrees(low, high):
                assert index << level == position
                position += 1 << level
            assert position == high
    assert complete_subtrees(0, 7) == [(2, 0), (1, 2), (0, 6)]


@pytest.mark.parametrize(("index", "size"), [(-1, 5), (5, 5), (0, 0), (0, SIZE_MAX + 1)])
def test_leaf_outside_the_tree_has_no_proof(index: int, size: int) -> None:
    """Nothing is proved about leaves that do not exist."""
    with pytest.raises(ProofError, match="E_PROOF_RANGE"):
        prove_inclusion(index, size, Reader())
    with pytest.raises(ProofError, match="E_PROOF_RANGE"):
        verify_inclusion(LEAVES[0], index, size, [], ROOTS[1])
    with pytest.raises(ProofError, match="E_PROOF_RANGE"):
        prove_range(index, 1, size, Reader())


@pytest.mark.parametrize(("old", "new"), [(-1, 5), (6, 5), (1, SIZE_MAX + 1)])
def test_sizes_out_of_order_have_no_proof(old: int, new: int) -> None:
    """A tree never extends a larger one."""
    with pytest.raises(ProofError, match="E_PROOF_RANGE"):
        prove_consistency(old, new, Reader())


def test_largest_tree_is_within_limits() -> None:
    """Paths and proofs of a tree of 2^63 - 1 leaves keep the stated limits and end quickly."""
    asked: list[Coordinate] = []

    def read(coordinates: Sequence[Coordinate]) -> list[bytes]:
        asked.extend(coordinates)
        return [bytes(32)] * len(coordinates)

    assert len(prove_inclusion(0, SIZE_MAX, read)) == PATH_MAX
    assert len(prove_consistency(SIZE_MAX // 2 - 1, SIZE_MAX, read)) <= PATH_MAX + 1
    assert max(level for level, _ in asked) <= 62
