"""Tiles: coordinates, names, folding and bundles are those of C2SP tlog-tiles, in one spelling."""

from collections.abc import Sequence

import pytest
from golden import load
from hypothesis import given
from hypothesis import strategies as st
from mutations import mutations

from ledger.errors import TileError
from ledger.merkle import Tree, leaf_hash, root_of, split_row
from ledger.proof import Coordinate, prove_consistency, prove_inclusion, verify_consistency, verify_inclusion
from ledger.tile import (
    TILE_INDEX_MAX,
    ExpandedTile,
    TilePath,
    encode_bundle,
    expand,
    format_path,
    hash_in,
    locate,
    parse_bundle,
    parse_path,
    read_hashes,
    tiles_of,
    width_at,
)

GOOD = {
    "tile/0/000": TilePath(0, 0),
    "tile/0/255.p/1": TilePath(0, 255, 1),
    "tile/3/x001/x234/067": TilePath(3, 1_234_067),
    "tile/63/x999/000.p/255": TilePath(63, 999_000, 255),
    "tile/entries/x001/000": TilePath(None, 1_000),
    "tile/entries/000.p/17": TilePath(None, 0, 17),
}


@pytest.mark.parametrize(("path", "tile"), GOOD.items())
def test_path_and_tile_are_one(path: str, tile: TilePath) -> None:
    """Each path names its tile and is the tile's name."""
    assert parse_path(path) == tile
    assert format_path(tile) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/00/000",
        "tile/64/000",
        "tile/99/000",
        "tile/-1/000",
        "tile/0/x000/001",  # a group more than needed
        "tile/0/001/234",
        "tile/0/x001/x234",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/999",
        "tile/0/000.p/",
        "/tile/0/000",
        "tile/0/000/",
        "tile/0/000\n",
        "tile/0/٠٠٠",
        "Tile/0/000",
        "tile/entry/000",
        "tile/0/" + "x999/" * 20 + "999",
        format_path(TilePath(0, TILE_INDEX_MAX)).replace("/0/", "/0/x9"),
    ],
)
def test_other_spellings_are_refused(path: str) -> None:
    """A path has one spelling."""
    with pytest.raises(TileError, match="E_TILE_PATH"):
        parse_path(path)


def test_sumdb_paths_differ_by_the_tile_height() -> None:
    """The Go checksum database puts the tile height first; without it the good ones are ours, and never with
    it.

    An exception to the corpus on purpose: tlog-tiles dropped that element.
    """
    corpus = load("signed-note/sumdb-tlog.json")
    for path in corpus["tile_paths"]:
        with pytest.raises(TileError):
            parse_path(path)
        _, _height, level, rest = path.split("/", 3)
        assert format_path(parse_path(f"tile/{level}/{rest}")) == f"tile/{level}/{rest}"
    for path in corpus["bad_tile_paths"]:
        _, _height, level, rest = path.split("/", 3)
        for spelling in (path, f"tile/{level}/{rest}"):
            with pytest.raises(TileError):
                parse_path(spelling)


@given(st.one_of(st.none(), st.integers(0, 63)), st.integers(0, TILE_INDEX_MAX), st.integers(1, 256))
def test_every_tile_has_a_name(level: int | None, index: int, width: int) -> None:
    """Formatting and parsing are inverse over the whole range."""
    tile = TilePath(level, index, width)
    assert parse_path(format_path(tile)) == tile


@pytest.mark.parametrize("path", GOOD)
def test_changed_paths_are_refused_or_name_what_they_say(path: str) -> None:
    """Any small change is refused, or is itself the one spelling of another tile."""
    for changed in mutations(path.encode()):
        text = changed.decode("latin-1")
        try:
            tile = parse_path(text)
        except TileError:
            continue
        assert format_path(tile) == text


def test_widths_of_the_documents_example() -> None:
    """A tree of 70,000: 273 full tiles and 112, then one full and 17, then width 1."""
    assert [width_at(0, index, 70_000) for index in (0, 272, 273, 274)] == [256, 256, 112, 0]
    assert [width_at(1, index, 70_000) for index in (0, 1, 2)] == [256, 17, 0]
    assert [width_at(2, index, 70_000) for index in (0, 1)] == [1, 0]
    assert tiles_of(70_000) == [TilePath(0, 273, 112), TilePath(1, 1, 17), TilePath(2, 0, 1)]
    assert tiles_of(256) == [TilePath(0, 0), TilePath(1, 0, 1)]
    assert tiles_of(0) == []


def test_locate_folds_inside_one_tile() -> None:
    """A stored hash lies in the tile of the tile level at or below it, folded as often as it is above."""
    assert locate(0, 0) == (0, 0, 0, 0)
    assert locate(0, 256) == (0, 1, 0, 0)
    assert locate(7, 3) == (0, 1, 7, 1)
    assert locate(8, 300) == (1, 1, 0, 44)
    assert locate(17, 5) == (2, 0, 1, 5)


class Tiles:
    """The tiles of a tree, as a store would have them after writing all that `Tree` hands out."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        tree = Tree()
        self.rows = {(tile.level, tile.index): tile.data for tile in tree.extend(leaves)}
        for level, row in enumerate(tree.edge()):
            if row:
                self.rows[level, tree.size >> 8 * (level + 1)] = row
        self.reads = 0

    def __call__(self, level: int, index: int, width: int) -> ExpandedTile:
        """Read one tile."""
        self.reads += 1
        row = self.rows[level, index]
        assert len(row) >= 32 * width
        return expand(row)


def test_proofs_come_out_of_tiles() -> None:
    """Proofs at old and present sizes are made from the present tiles, reading each tile once."""
    leaves = [leaf_hash(b"%d" % number) for number in range(66_000)]
    tiles = Tiles(leaves)

    def reader(coordinates: Sequence[Coordinate]) -> list[bytes]:
        return read_hashes(coordinates, tiles)

    for size in (1, 255, 256, 257, 1_000, 65_536, 65_537, 66_000):
        root = root_of(leaves[:size])
        for index in sorted({0, 1 % size, size // 2, size - 1}):
            tiles.reads = 0
            path = prove_inclusion(index, size, reader)
            verify_inclusion(leaves[index], index, size, path, root)
            assert tiles.reads <= 5
        for old in sorted({1, size // 2, size - 1} - {0}):
            proof = prove_consistency(old, size, reader)
            verify_consistency(old, root_of(leaves[:old]), size, root, proof)


@pytest.mark.parametrize("width", [1, 2, 3, 127, 128, 255, 256])
def test_expanded_tile_holds_all_complete_subtrees(width: int) -> None:
    """Every complete subtree inside a tile is at its fold and offset, and nothing beyond."""
    leaves = [leaf_hash(b"%d" % number) for number in range(width)]
    tile = expand(b"".join(leaves))
    for fold in range(8):
        count = width >> fold
        for offset in range(count):
            assert hash_in(tile, fold, offset) == root_of(leaves[offset << fold : (offset + 1) << fold])
        with pytest.raises(TileError, match="E_TILE_WIDTH"):
            hash_in(tile, fold, count)


@pytest.mark.parametrize("length", [0, 31, 33, 8_193, 8_224])
def test_bytes_that_are_no_tile_are_refused(length: int) -> None:
    """A tile is 1 to 256 whole hashes."""
    with pytest.raises(TileError, match="E_TILE_BYTES"):
        expand(bytes(length))


def test_row_splits_into_its_hashes() -> None:
    """A joined row gives back its hashes."""
    leaves = [leaf_hash(b"%d" % number) for number in range(5)]
    assert split_row(b"".join(leaves)) == leaves


@given(st.lists(st.binary(max_size=70), min_size=1, max_size=256))
def test_bundle_gives_back_its_entries(entries: list[bytes]) -> None:
    """A bundle of known width is its entries and nothing else."""
    data = encode_bundle(entries)
    assert parse_bundle(data, len(entries)) == entries
    for wrong in (data + b"\x00", data[:-1]):
        with pytest.raises(TileError, match="E_BUNDLE"):
            parse_bundle(wrong, len(entries))


def test_bundle_form() -> None:
    """Lengths are two bytes, big-endian, before each entry."""
    assert encode_bundle([b"ab", b""]) == b"\x00\x02ab\x00\x00"
    assert parse_bundle(encode_bundle([bytes(65_535)]), 1) == [bytes(65_535)]


def test_changed_bundles_are_refused_or_say_what_they_say() -> None:
    """Any small change is refused or is itself the one spelling of other entries."""
    data = encode_bundle([b"one", b"", b"three"])
    for changed in mutations(data):
        try:
            entries = parse_bundle(changed, 3)
        except TileError:
            continue
        assert encode_bundle(entries) == changed
