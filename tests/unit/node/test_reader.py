"""Every answer is checked before it leaves, and what does not check is refused and told."""

from collections.abc import Callable

import ledger_world as world
import pytest
import store_world
from core_world import Core

from ledger.governance_policy import policy_text
from ledger.keyspace import chain_body, derived_edge, derived_header, derived_tile
from ledger.merkle import leaf_hash, root_of, split_row
from ledger.proof import verify_consistency, verify_inclusion, verify_range
from ledger.receipt import verify_receipt
from ledger.store_derived import DerivedStore
from ledger.tile import TilePath, tiles_of
from ledger.trust import parse_trust
from node.chainbook import ChainBook
from node.errors import ReadError
from node.findings import Attested
from node.reader import RANGES_MAX, Reader


class World:
    """A core with a few hundred leaves, a reader, and what it told."""

    def __init__(self, blocks: int = 20, records: int = 30) -> None:
        self.core = Core()
        for body in store_world.bodies(blocks, records=records):
            self.core.apply(body)
        self.told: list[tuple[str, bool]] = []
        self.reader = self.fresh()
        self.hashes = [leaf for block in self.core.pair.blocks for leaf in block.leaf_hashes]

    def fresh(self) -> Reader:
        """A reader that has nothing in memory."""
        return Reader(self.core, lambda words, chain: self.told.append((words, chain)))

    def final(self, height: int) -> Attested:
        """A final checkpoint at a block."""
        point = ChainBook(self.core).point(height)
        note = world.signed_note(
            world.genesis(), point.size, point.root, ("broker-1", "market-1", "auditor-1")
        )
        return Attested(point, note, ())


def refused(code: str, ask: Callable[[], object]) -> None:
    """The question is refused with this code."""
    with pytest.raises(ReadError) as caught:
        ask()
    assert caught.value.code == code


def test_blocks_and_leaves_are_what_was_applied() -> None:
    """Bodies, headers, block hashes, every leaf."""
    made = World()
    for block in made.core.pair.blocks:
        found = made.reader.block(block.height)
        assert (found.body.raw, found.header_leaf, found.term) == (
            block.body.raw,
            block.header_leaf,
            block.term,
        )
        assert (found.first_index, found.tree_size) == (block.first_index, block.tree_size)
        assert found.block_hash == block.block_hash
        assert made.reader.header(block.height) == block.header
    leaves = made.reader.leaves(0, len(made.hashes))
    assert [leaf_hash(leaf) for leaf in leaves] == made.hashes
    refused("E_READ_NOT_FOUND", lambda: made.reader.block(made.core.applied_height + 1))
    refused("E_READ_NOT_FOUND", lambda: made.reader.block(-1))
    refused("E_READ_NOT_FOUND", lambda: made.reader.leaf(len(made.hashes)))


def test_proofs_verify() -> None:
    """Inclusion, consistency and ranges, at block ends and between."""
    made = World()
    size = made.core.size
    for at in (size, size - 7, 100):
        root = root_of(made.hashes[:at])
        assert made.reader.root_at(at) == root
        leaf, path = made.reader.inclusion(50, at)
        verify_inclusion(leaf_hash(leaf), 50, at, path, root)
        proof = made.reader.consistency(33, at)
        verify_consistency(33, root_of(made.hashes[:33]), at, root, proof)
        ranges = [(0, at), (0, 1), (at - 1, 1), (17, 40)]
        for (start, count), ranged in zip(ranges, made.reader.ranges(at, ranges), strict=True):
            verify_range(made.hashes[start : start + count], start, at, ranged, root)


def test_impossible_questions_are_refused() -> None:
    """Beyond the tree, backwards, empty, too many."""
    made = World()
    size = made.core.size
    refused("E_READ_NOT_FOUND", lambda: made.reader.root_at(size + 1))
    refused("E_READ_NOT_FOUND", lambda: made.reader.inclusion(5, 5))
    refused("E_READ_NOT_FOUND", lambda: made.reader.inclusion(0, size + 1))
    refused("E_READ_NOT_FOUND", lambda: made.reader.consistency(9, 8))
    refused("E_READ_NOT_FOUND", lambda: made.reader.ranges(size, [(0, 0)]))
    refused("E_READ_NOT_FOUND", lambda: made.reader.ranges(size, [(size - 1, 2)]))
    refused("E_READ_LIMIT", lambda: made.reader.ranges(size, [(0, 1)] * (RANGES_MAX + 1)))
    refused("E_READ_COMMITMENT", lambda: made.reader.find(b"short"))
    assert made.told == []


def test_receipts_verify_offline() -> None:
    """At the newest final checkpoint, with and without the header; nothing that is not final has one."""
    made = World()
    text = policy_text(world.genesis())
    trust = parse_trust(text)
    final = made.final(15)
    block = made.core.pair.blocks[2]
    index = block.first_index + 4
    commitment = made.reader.leaf(index)[12:44]
    for with_header in (False, True):
        raw = made.reader.receipt(final, index, with_header=with_header)
        verified = verify_receipt(raw, trust, commitment)
        assert (verified.index, verified.size) == (index, final.point.size)
        assert verified.block == (block.header if with_header else None)
    refused("E_READ_NOT_FINAL", lambda: made.reader.receipt(None, index, with_header=False))
    refused("E_READ_NOT_FINAL", lambda: made.reader.receipt(final, final.point.size, with_header=False))
    refused("E_READ_NOT_RECORD", lambda: made.reader.receipt(final, block.header_index, with_header=False))
    refused("E_READ_NOT_FOUND", lambda: made.reader.receipt(final, made.core.size, with_header=False))


def test_commitments_are_found() -> None:
    """Height and index of a record by its digest; nothing for an unknown one."""
    made = World()
    block = made.core.pair.blocks[2]
    commitment = made.reader.leaf(block.first_index)[12:44]
    assert made.reader.find(commitment) == [(2, block.first_index)]
    assert made.reader.find(bytes(32)) == []


def test_tiles_are_the_tree() -> None:
    """All tiles at the right edge, full ones, and narrower cuts of them."""
    made = World(blocks=40, records=60)
    size = made.core.size
    assert size > 1_024
    for path in [*tiles_of(size), TilePath(0, 0), TilePath(0, 1, 7)]:
        row = split_row(made.reader.tile(path))
        assert len(row) == path.width
        if path.level == 0:
            assert row == made.hashes[path.index * 256 : path.index * 256 + path.width]
    refused("E_READ_NOT_FOUND", lambda: made.reader.tile(TilePath(0, size // 256, size % 256 + 1)))
    refused("E_READ_NOT_FOUND", lambda: made.reader.tile(TilePath(3, 0, 1)))


@pytest.mark.parametrize(
    ("key", "ask", "chain"),
    [
        (chain_body(2), lambda reader: reader.block(2), True),
        (derived_header(2), lambda reader: reader.header(2), False),
        (derived_header(2), lambda reader: reader.block(2), False),
        (derived_tile(0, 1), lambda reader: reader.tile(TilePath(0, 1)), False),
        (derived_tile(0, 1), lambda reader: reader.inclusion(300, 600), False),
        (derived_tile(0, 1), lambda reader: reader.leaf(262), False),
    ],
)
def test_a_flipped_bit_is_noticed(key: bytes, ask: Callable[[Reader], object], chain: bool) -> None:
    """Whatever is damaged below: the answer is refused, and the node is told whether it is its chain."""
    made = World(blocks=40, records=60)
    core = Core(pair=made.core.pair)
    kv = core.pair.chain_kv if chain else core.pair.derived_kv
    value = kv.get(key)
    assert value is not None
    core.pair.derived = DerivedStore.attach(core.pair.derived_kv, core.pair.chain)  # nothing in memory
    at = min(200, len(value) // 2)
    kv.write([(key, value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :])], sync=False)
    reader = Reader(core, lambda words, chain: made.told.append((words, chain)))
    refused("E_READ_DAMAGED", lambda: ask(reader))
    assert made.told[0][1] is chain


def test_the_right_edge_is_checked_too() -> None:
    """A partial tile that does not fold to the applied root is refused."""
    made = World()
    edge = made.core.pair.derived_kv.get(derived_edge(0))
    assert edge is not None
    damaged = bytes([edge[0] ^ 1]) + edge[1:]
    made.core.pair.derived_kv.write([(derived_edge(0), damaged)], sync=False)
    made.core.pair.derived = type(made.core.pair.derived).attach(
        made.core.pair.derived_kv, made.core.pair.chain
    )
    reader = made.fresh()
    refused("E_READ_DAMAGED", lambda: reader.tile(tiles_of(made.core.size)[0]))
