"""The tree on the disk gives every stored hash, every tile of every width, and nothing it does not have."""

import random
from hashlib import sha256

import pytest
from fake_kv import MemoryKv

from ledger import keyspace, proof
from ledger.errors import DerivedDamagedError, TileError
from ledger.merkle import Tree, root_of
from ledger.store_tiles import TileShelf


def _leaf(number: int) -> bytes:
    return sha256(b"leaf %d" % number).digest()


def _grow(kv: MemoryKv, shelf: TileShelf, tree: Tree, count: int) -> None:
    tiles = tree.extend([_leaf(number) for number in range(tree.size, tree.size + count)])
    kv.write(shelf.operations(tiles, tree.edge()), sync=False)
    shelf.publish(tree.size, tree.edge())


def _shelf(size: int, step: int = 1000) -> tuple[MemoryKv, TileShelf]:
    kv = MemoryKv(rebuildable=True)
    shelf, tree = TileShelf(kv, 0, cache_tiles=4), Tree()
    while tree.size < size:
        _grow(kv, shelf, tree, min(step, size - tree.size))
    return kv, shelf


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 70_000])
def test_a_reopened_shelf_is_the_same_tree(size: int) -> None:
    """Edge, root and every right-edge hash are those of the tree that was written."""
    kv, shelf = _shelf(size)
    again = TileShelf(kv, size)
    leaves = [_leaf(number) for number in range(size)]
    assert again.edge == shelf.edge
    assert Tree.restore(size, again.edge).root() == root_of(leaves)
    for at in {0, 1, size // 2, size - 1, size} & set(range(size + 1)):
        assert again.root_at(at) == root_of(leaves[:at])
    assert again.root_at(size + 1) is None


def test_proofs_from_tiles_verify() -> None:
    """Inclusion and consistency proofs at any index and size lead to the right roots, cold and warm."""
    _, shelf = _shelf(70_000)
    rng = random.Random(7)
    for _ in range(60):
        size = rng.randrange(1, 70_001)
        index = rng.randrange(size)
        root = shelf.root_at(size)
        assert root is not None
        path = proof.prove_inclusion(index, size, shelf.hashes)
        proof.verify_inclusion(_leaf(index), index, size, path, root)
        old = rng.randrange(size + 1)
        old_root = shelf.root_at(old)
        assert old_root is not None
        steps = proof.prove_consistency(old, size, shelf.hashes)
        proof.verify_consistency(old, old_root, size, root, steps)


def test_every_tile_and_width() -> None:
    """A tile's first hashes are the same whether it is asked for as full, partial or once partial."""
    _, shelf = _shelf(700)
    leaves = [_leaf(number) for number in range(700)]
    for index, have in ((0, 256), (1, 256), (2, 188)):
        for width in (1, 2, 100, have):
            expected = b"".join(leaves[index * 256 : index * 256 + width])
            assert shelf.tile(0, index, width) == expected
    parents = [root_of(leaves[start : start + 256]) for start in (0, 256)]
    assert shelf.tile(1, 0, 2) == b"".join(parents)
    assert shelf.hashes([(8, 0), (8, 1), (7, 3), (0, 699)]) == [
        *parents,
        root_of(leaves[384:512]),
        leaves[699],
    ]


@pytest.mark.parametrize(
    ("level", "index", "width"), [(0, 2, 189), (0, 3, 1), (1, 0, 3), (2, 0, 1), (64, 0, 1), (0, 0, 256)]
)
def test_what_the_tree_does_not_have_is_refused(level: int, index: int, width: int) -> None:
    """No hash is made up, however near the edge."""
    _, shelf = _shelf(700 if width < 256 else 255)
    with pytest.raises(TileError, match="E_TILE_ABSENT"):
        shelf.tile(level, index, width)


@pytest.mark.parametrize("coordinate", [(0, 700), (8, 2), (9, 1), (16, 0), (3, 87), (600, 0)])
def test_an_incomplete_subtree_has_no_hash(coordinate: tuple[int, int]) -> None:
    """Only complete subtrees are stored hashes."""
    _, shelf = _shelf(700)
    with pytest.raises(TileError):
        shelf.hashes([(0, 5), coordinate])


def test_only_changed_rows_are_written() -> None:
    """A small block rewrites the lowest partial tile and leaves the upper ones alone."""
    kv, shelf = _shelf(70_000)
    tree = Tree.restore(70_000, shelf.edge)
    tiles = tree.extend([_leaf(70_000)])
    keys = [key for key, _ in shelf.operations(tiles, tree.edge())]
    assert keys == [keyspace.derived_edge(0)]
    assert kv.syncs == 0


def test_full_tiles_are_read_once() -> None:
    """A second proof near by asks the disk for nothing."""
    kv, shelf = _shelf(70_000)
    proof.prove_inclusion(5, 70_000, shelf.hashes)
    for key in kv.all_keys():
        kv.damage(key)
    proof.prove_inclusion(9, 70_000, shelf.hashes)
    with pytest.raises(DerivedDamagedError):
        proof.prove_inclusion(30_000, 70_000, shelf.hashes)


def test_lost_or_cut_rows_are_damage() -> None:
    """A tile that should be there and is not, or is short, is told at the read; an edge at the start."""
    kv, shelf = _shelf(700)
    kv.forge(keyspace.derived_tile(0, 1), None)
    with pytest.raises(DerivedDamagedError, match="tile 1 of level 0"):
        shelf.tile(0, 1)
    kv.forge(keyspace.derived_tile(0, 0), bytes(8191))
    with pytest.raises(DerivedDamagedError):
        shelf.tile(0, 0, 3)
    for row in (None, bytes(32 * 187), bytes(32 * 189)):
        kv.forge(keyspace.derived_edge(0), row)
        with pytest.raises(DerivedDamagedError, match="partial tile of level 0"):
            TileShelf(kv, 700)


def test_a_tree_only_grows() -> None:
    """Publishing a smaller tree is our bug."""
    _, shelf = _shelf(10)
    with pytest.raises(AssertionError):
        shelf.publish(9, ())
