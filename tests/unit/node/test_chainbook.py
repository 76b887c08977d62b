"""The chain as attestation asks for it, from real stores."""

import ledger_world as world
import pytest
import store_world
from core_world import Core

from ledger.algorithms import SIG_ED25519
from ledger.governance_proposal import RotateKey, SetLimits
from ledger.governance_state import Limits
from ledger.merkle import root_of
from node import chainbook
from node.chainbook import ChainBook
from node.cosigner import Point


def test_block_ends_come_from_memory_and_from_the_stores_alike() -> None:
    """By height and by size; what memory has forgotten is computed from the tree."""
    core = Core()
    book = ChainBook(core)
    core.on_applied(book.applied)
    for body in store_world.bodies(12):
        core.apply(body)
    blocks = core.pair.blocks
    again = ChainBook(core)  # knows the newest one only
    for block in blocks:
        expected = Point(block.height, block.tree_size, block.root, era_end=False)
        assert book.point(block.height) == again.point(block.height) == expected
        assert book.point_at(block.tree_size) == again.point_at(block.tree_size) == expected
        assert book.height_at(block.tree_size) == again.height_at(block.tree_size) == block.height
    hashes = [leaf for block in blocks for leaf in block.leaf_hashes]
    assert book.point_at(blocks[-1].tree_size - 1) is None
    assert book.point_at(0) is None
    assert book.root_at(5) == root_of(hashes[:5])


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Old block ends are forgotten, with their sizes."""
    monkeypatch.setattr(chainbook, "POINTS_MAX", 4)
    core = Core()
    book = ChainBook(core)
    for body in store_world.bodies(9):
        book.applied(core.apply(body))
    assert len(book._points) == len(book._heights) == 4
    assert book.point(2).size == core.pair.blocks[2].tree_size


def test_eras_end_at_governance_blocks_and_are_judged_by_the_state_before() -> None:
    """The block that rotates a key is judged with the old key; the next one with the new."""
    core = Core()
    book = ChainBook(core)
    core.on_applied(book.applied)
    core.apply(world.empty_body())
    public = world.public("market-1", "cosigner-2")
    action = RotateKey("market-1", "cosigner", "cosigner-2", SIG_ED25519, public)
    core.apply(world.governance_body(core.governance, action))
    core.apply(world.empty_body())
    for known in (book, ChainBook(core)):
        assert known.point(2).era_end
        assert not known.point(1).era_end
        assert not known.point(0).era_end
        assert [known.era_end_after(height) for height in (-1, 1, 2)] == [2, 2, None]
        publics = [
            {
                signer.public
                for signer in known.electorate(height).signers.values()
                if signer.node_id == "market-1"
            }
            for height in (0, 2, 3)
        ]
        old, new = world.public("market-1", "cosigner-1"), world.public("market-1", "cosigner-2")
        assert publics == [{old}, {old}, {new}]


def test_the_electorate_counts_what_it_says() -> None:
    """Quorum of institutions and majority of voters of the default network."""
    electorate = ChainBook(Core()).electorate(0)
    assert (electorate.quorum, electorate.majority) == (3, 2)
    signers = list(electorate.signers.values())
    assert electorate.institutions(signers) == 4
    assert electorate.voters(signers) == 3
    assert len(electorate.logs) == 4


def test_attest_every_follows_governance() -> None:
    """The limit in force for a height is that of the state before it."""
    core = Core()
    book = ChainBook(core)
    core.on_applied(book.applied)
    core.apply(world.governance_body(core.governance, SetLimits(Limits(attest_every=8))))
    core.apply(world.empty_body())
    assert [book.every(height) for height in (0, 1, 2)] == [1, 1, 8]
