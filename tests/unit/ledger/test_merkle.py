"""The tree grown by rows is RFC 6962's tree, hands out tlog-tiles, and comes back from its right edge."""

import random

import pytest
import rfc6962_reference as reference
from golden import load
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import TileError
from ledger.merkle import (
    EMPTY_ROOT,
    HASH_BYTES,
    SIZE_MAX,
    Tree,
    edge_widths,
    leaf_hash,
    leaf_hashes,
    node_hash,
    parent_row,
    root_of,
    split_row,
)

REFERENCE = load("rfc6962-merkle/reference-tree.json")


def entries(count: int) -> list[bytes]:
    """Made-up entries, all different."""
    return [b"entry %d" % number for number in range(count)]


def hashes(count: int) -> list[bytes]:
    """Their leaf hashes."""
    return [leaf_hash(entry) for entry in entries(count)]


def state(tree: Tree) -> tuple[int, bytes, tuple[bytes, ...]]:
    """All that a tree is."""
    return tree.size, tree.root(), tree.edge()


def test_published_hashes() -> None:
    """Leaf and inner hashes of the reference tree come out, level by level."""
    row = [leaf_hash(bytes.fromhex(entry)) for entry in REFERENCE["leaf_inputs_hex"]]
    for level in ("leaf_hashes", "level1", "level2", "level3"):
        assert [value.hex() for value in row] == REFERENCE[level]
        row = parent_row(row) if len(row) > 1 else []


def test_published_roots() -> None:
    """Roots of the reference tree for sizes 0 to 8 come out."""
    row = [bytes.fromhex(value) for value in REFERENCE["leaf_hashes"]]
    assert [root_of(row[:size]).hex() for size in range(9)] == REFERENCE["roots_by_size"]


def test_empty_root_is_hash_of_nothing() -> None:
    """A tree without leaves has the root SHA-256("")."""
    assert Tree().root() == EMPTY_ROOT == reference.mth([])


def test_prefixed_entries_hash_like_bare_ones() -> None:
    """Entries that stand behind their 0x00 in a body give the same leaf hashes."""
    assert leaf_hashes([b"\x00" + entry for entry in entries(3)]) == hashes(3)


@pytest.mark.parametrize("size", [*range(40), 63, 64, 65, 255, 256, 257, 511, 513])
def test_root_equals_the_recursive_definition(size: int) -> None:
    """The row-wise tree and the RFC's recursion agree."""
    assert root_of(hashes(size)) == reference.mth(entries(size))


@given(st.lists(st.integers(0, 300), max_size=12))
@settings(max_examples=60, deadline=None)
def test_cut_into_rows_does_not_matter(rows: list[int]) -> None:
    """However leaves are cut into rows, the state and the full tiles are those of one row."""
    total = sum(rows)
    leaves = hashes(total)
    whole, pieces = Tree(), Tree()
    expected = whole.extend(leaves)
    got, start = [], 0
    for count in rows:
        got += pieces.extend(leaves[start : start + count])
        start += count
    assert state(pieces) == state(whole)
    assert sorted(got, key=lambda t: (t.level, t.index)) == sorted(expected, key=lambda t: (t.level, t.index))


def test_full_tiles_and_edge_hold_every_stored_hash() -> None:
    """Of 70,000 leaves 273 full tiles and a partial one of 112, then one full and 17, then 1 (tlog-tiles'
    example).
    """
    tree = Tree()
    leaves = hashes(70_000)
    rng = random.Random(1)
    tiles, start = [], 0
    while start < len(leaves):
        stop = start + rng.randrange(1, 3_000)
        tiles += tree.extend(leaves[start:stop])
        start = stop
    level0 = [tile for tile in tiles if tile.level == 0]
    level1 = [tile for tile in tiles if tile.level == 1]
    assert [tile.index for tile in level0] == list(range(273))
    assert [tile.index for tile in level1] == [0]
    assert len(tiles) == 274
    assert edge_widths(70_000) == [112, 17, 1]
    assert b"".join(tile.data for tile in level0) + tree.edge()[0] == b"".join(leaves)
    roots = [root_of(split_row(tile.data)) for tile in level0]
    assert level1[0].data + tree.edge()[1] == b"".join(roots)
    assert tree.edge()[2] == root_of(split_row(level1[0].data))


@pytest.mark.parametrize("size", [0, 1, 2, 3, 127, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 66_000])
def test_restored_tree_goes_on_like_the_first(size: int) -> None:
    """Size and partial tiles are the whole state: a restored tree has the root and grows the same."""
    tree = Tree()
    tree.extend(hashes(size))
    restored = Tree.restore(tree.size, tree.edge())
    assert state(restored) == state(tree)
    more = [leaf_hash(b"more %d" % number) for number in range(700)]
    assert restored.extend(more) == tree.extend(more)
    assert state(restored) == state(tree)


def test_size_whose_partial_tiles_are_empty() -> None:
    """256 leaves have an empty partial tile at level 0 and one hash at level 1."""
    tree = Tree()
    tree.extend(hashes(256))
    assert [len(row) for row in tree.edge()] == [0, HASH_BYTES]


@pytest.mark.parametrize(
    ("size", "rows"),
    [(1, []), (1, [b"\x00" * 64]), (0, [b""]), (257, [b"\x00" * 32]), (256, [b"\x00" * 32, b""])],
)
def test_edge_that_does_not_fit_is_refused(size: int, rows: list[bytes]) -> None:
    """Partial tiles of other widths than the size demands restore nothing."""
    with pytest.raises(TileError, match="E_TILE_EDGE"):
        Tree.restore(size, rows)


@pytest.mark.parametrize("size", [0, 1, 5, 255, 256, 300])
@pytest.mark.parametrize("more", [0, 1, 2, 300])
def test_root_ahead_changes_nothing(size: int, more: int) -> None:
    """The root with k more leaves is known without appending them: a header names the root before its own
    leaf.
    """
    tree = Tree()
    leaves = hashes(size + more)
    tree.extend(leaves[:size])
    before = state(tree)
    assert tree.root_with(leaves[size:]) == root_of(leaves)
    assert state(tree) == before


def test_copy_is_independent() -> None:
    """What is appended to a copy does not reach the tree."""
    tree = Tree()
    tree.extend(hashes(300))
    before = state(tree)
    other = tree.copy()
    other.extend(hashes(300))
    assert state(tree) == before
    assert other.size == 600


def test_caller_keeps_its_row() -> None:
    """The list of leaf hashes that is passed in is not changed."""
    tree = Tree()
    tree.extend(hashes(1))
    row = hashes(5)
    tree.extend(row)
    assert row == hashes(5)


@pytest.mark.parametrize("row", [[b""], [b"\x00" * 31], [b"\x00" * 33]])
def test_hash_of_another_length_is_our_own_bug(row: list[bytes]) -> None:
    """Leaf hashes have 32 bytes, and a refused row leaves the tree as it was."""
    tree = Tree()
    with pytest.raises(AssertionError):
        tree.extend(row)
    assert state(tree) == state(Tree())


def test_size_has_a_limit() -> None:
    """A tree never grows beyond 2^63 - 1 leaves."""
    edge = [b"\x00" * HASH_BYTES * width for width in edge_widths(SIZE_MAX)]
    tree = Tree.restore(SIZE_MAX, edge)
    with pytest.raises(AssertionError, match="limit"):
        tree.extend([b"\x00" * HASH_BYTES])


def test_leaf_is_never_an_inner_node() -> None:
    """The prefixes keep a leaf that looks like two hashes apart from their parent."""
    left, right = hashes(2)
    assert leaf_hash(left + right) != node_hash(left, right)
