"""The chain: one fold, checked here against a slow computation that shares nothing with it."""

from dataclasses import replace
from hashlib import sha256
from typing import Any

import ledger_world as world
import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rfc6962_reference import mth

from ledger.body import (
    Body,
    BodyKind,
    EmptyReason,
    encode_envelopes_body,
    encode_genesis_body,
    encode_governance_body,
    parse_body,
)
from ledger.chain import AppliedBlock, Chain, verify_body
from ledger.errors import ChainError, TileError
from ledger.governance import Limits, governance_hash
from ledger.governance_proposal import (
    AddSubmitter,
    DemoteNode,
    RevokeSubmitter,
    RotateKey,
    SetLimits,
    SetQuorum,
)
from ledger.merkle import TILE_WIDTH


def small_chain() -> list[AppliedBlock]:
    """Genesis, term start, envelopes, governance, new era, a new term with envelopes of a new key."""
    chain, first = Chain.start(world.genesis_body())
    blocks = [first]

    def add(term: int, body: Body) -> None:
        blocks.append(chain.apply(chain.height + 1, term, body))

    add(1, world.empty_body(ms=1))
    add(1, world.envelopes_body(chain.chain_id, (0, 3), (3, 1), ms=2))
    add(1, world.envelopes_body(chain.chain_id, (4, 300), ms=2))
    new = AddSubmitter("MARKET", "gateway-2", 1, world.public("MARKET", "gateway-2"), world.tls_der("g2"))
    add(1, world.governance_body(chain.state, new, ms=3))
    add(1, world.empty_body(EmptyReason.NEW_ERA, ms=4))
    add(3, world.empty_body(ms=4, proposer="market-1"))
    envelope = world.envelope(chain.chain_id, 0, 2, by=("MARKET", "gateway-2"))
    add(3, parse_body(encode_envelopes_body("market-1", world.START_MS + 5, [envelope.raw])))
    return blocks


BLOCKS = small_chain()


def packed(array: list[Any]) -> bytes:
    """An array's bytes by msgpack itself."""
    data: bytes = msgpack.packb(array, use_bin_type=True)
    return data


def test_the_small_chain_is_what_a_slow_reader_computes() -> None:
    """Headers, hashes, roots and positions follow from the bodies, by code of this test alone."""
    leaves: list[bytes] = []
    prev, entry = bytes(32), bytes(32)
    chain_id = f"test-{sha256(BLOCKS[0].body.raw).hexdigest()[:8]}"
    for height, block in enumerate(BLOCKS):
        _, _, time_ms, kind, content = msgpack.unpackb(block.body.raw)
        digest = sha256(block.body.raw).digest()
        first = len(leaves)
        if kind == 1:
            for envelope in content:
                leaves += [envelope[3][at + 1 : at + 129] for at in range(0, len(envelope[3]), 129)]
        records, size, root = len(leaves) - first, len(leaves), mth(leaves)
        header = [1, kind, chain_id, height, block.term, 1, prev, time_ms, digest, records, size, root]
        header.append(governance_hash(block.state))
        leaves.append(packed(header))
        prev = sha256(b"\x00" + leaves[-1]).digest()
        entry = sha256(packed(["tiezheng/entry", 1, chain_id, entry, height, block.term, 1, digest])).digest()
        assert block.header_leaf == leaves[-1]
        assert block.block_hash == prev
        assert block.entry_hash == entry
        assert (block.first_index, block.tree_size, block.header_index) == (
            first,
            len(leaves),
            len(leaves) - 1,
        )
        assert block.root == mth(leaves)
        assert list(block.leaf_hashes) == [sha256(b"\x00" + leaf).digest() for leaf in leaves[first:]]


def test_tiles_and_edge_are_the_leaf_hashes() -> None:
    """Full tiles in order, and the edge behind them, are all the leaf hashes there are."""
    hashes = [one for block in BLOCKS for one in block.leaf_hashes]
    tiles = [tile for block in BLOCKS for tile in block.tiles if tile.level == 0]
    assert [tile.index for tile in tiles] == list(range(len(hashes) // TILE_WIDTH))
    assert b"".join(tile.data for tile in tiles) + BLOCKS[-1].edge[0] == b"".join(hashes)


def test_restoring_anywhere_goes_on_alike() -> None:
    """A chain restored after any block applies the rest to the same blocks."""
    for at, block in enumerate(BLOCKS[:-1]):
        chain = Chain.restore(block.point())
        assert (chain.height, chain.tree_size, chain.root) == (at, block.tree_size, block.root)
        assert chain.chain_id == block.state.chain_id
        assert chain.point == block.point()
        for later in BLOCKS[at + 1 :]:
            assert chain.apply(later.height, later.term, later.body) == later


def test_an_edge_that_does_not_fit_is_refused() -> None:
    """Restoring needs exactly the hashes that the size demands."""
    with pytest.raises(TileError):
        Chain.restore(replace(BLOCKS[3].point(), edge=(b"",)))


def test_governance_rules_from_the_next_height() -> None:
    """The block's own height is ruled by the state before; the state after it rules the next."""
    block = BLOCKS[4]
    assert block.governance_changed
    assert block.ruling is BLOCKS[3].state
    assert block.state.submitter_key("MARKET", "gateway-2", 4) is None
    assert block.state.submitter_key("MARKET", "gateway-2", 5) is not None
    assert block.header.governance_hash == governance_hash(block.state) != governance_hash(block.ruling)
    assert BLOCKS[5].ruling is block.state
    assert not BLOCKS[5].governance_changed


def point_code(chain: Chain, term: int, body: Body, height: int | None = None) -> str:
    """The code with which a body is refused; the chain stays as it was."""
    before = (chain.point, chain.root)
    with pytest.raises(ChainError) as caught:
        chain.apply(chain.height + 1 if height is None else height, term, body)
    assert (chain.point, chain.root) == before
    return caught.value.code


def fresh(limits: Limits | None = None) -> Chain:
    """A chain after its first term start."""
    chain, _ = Chain.start(world.genesis_body(limits=limits))
    chain.apply(1, 2, world.empty_body(ms=5))
    return chain


def test_heights_terms_and_times_go_one_way() -> None:
    """A gap, a repetition, an older term and an earlier time are refused; the same time is not."""
    chain = fresh()
    body = world.empty_body(ms=5)
    assert point_code(chain, 2, body, height=3) == "E_CHAIN_HEIGHT"
    assert point_code(chain, 2, body, height=1) == "E_CHAIN_HEIGHT"
    assert point_code(chain, 1, body) == "E_CHAIN_TERM"
    assert point_code(chain, 0, body) == "E_CHAIN_TERM"
    assert point_code(chain, 2, world.empty_body(ms=4)) == "E_CHAIN_TIME"
    with pytest.raises(ChainError) as caught:
        chain.verify(world.empty_body(ms=4))
    assert caught.value.code == "E_CHAIN_TIME"
    chain.apply(2, 2, body)


def test_term_zero_is_genesis_alone() -> None:
    """No election gives term 0."""
    chain, _ = Chain.start(world.genesis_body())
    assert point_code(chain, 0, world.empty_body()) == "E_CHAIN_TERM"


def test_one_genesis() -> None:
    """A genesis body never comes again, and nothing else comes first."""
    assert point_code(fresh(), 2, world.genesis_body()) == "E_CHAIN_GENESIS"
    with pytest.raises(ChainError) as caught:
        Chain.start(world.empty_body())
    assert caught.value.code == "E_GOVERNANCE_GENESIS"


def test_a_bad_genesis_founds_nothing() -> None:
    """The code of what is wrong with genesis comes through."""
    good = world.genesis_body()
    assert good.genesis is not None
    bad = parse_body(encode_genesis_body(good.timestamp_ms, ["test", 1, 2, *good.genesis[3:]]))
    with pytest.raises(ChainError) as caught:
        Chain.start(bad)
    assert caught.value.code == "E_GOVERNANCE_QUORUM_RULE"


def test_proposers_are_nodes() -> None:
    """Whoever proposed is a node of this chain; it need not be a voter any more."""
    chain = fresh()
    assert point_code(chain, 2, world.empty_body(ms=5, proposer="nobody")) == "E_CHAIN_PROPOSER"
    chain.apply(2, 2, world.governance_body(chain.state, DemoteNode("broker-1"), ms=5))
    chain.apply(3, 2, world.empty_body(EmptyReason.NEW_ERA, ms=5, proposer="broker-1"))


@pytest.mark.parametrize(
    ("limits", "ranges"),
    [
        (Limits(body_max_records=10, envelope_max_records=10), ((0, 6), (6, 5))),
        (Limits(body_max_records=10, envelope_max_records=5), ((0, 6),)),
        (Limits(body_max_bytes=131_072), ((0, 1020),)),
    ],
)
def test_limits_of_the_chain(limits: Limits, ranges: tuple[tuple[int, int], ...]) -> None:
    """A body beyond one of the chain's limits is refused."""
    chain = fresh(limits)
    assert point_code(chain, 2, world.envelopes_body(chain.chain_id, *ranges, ms=5)) == "E_CHAIN_LIMIT"


def test_limits_are_inclusive() -> None:
    """Exactly the limit passes."""
    chain = fresh(Limits(body_max_records=10, envelope_max_records=5))
    chain.apply(2, 2, world.envelopes_body(chain.chain_id, (0, 5), (5, 5), ms=5))


def test_envelopes_are_signed_by_open_submitters() -> None:
    """A revoked, foreign or unknown key, another chain's envelope and a forged one are refused."""
    chain = fresh()
    good = world.envelopes_body(chain.chain_id, (0, 2), ms=5)
    unknown = world.envelope(chain.chain_id, 0, 1, by=("BROKER", "gateway-9"))
    foreign = world.envelope(chain.chain_id, 0, 1, by=("MARKET", "gateway-1"))
    for envelope in (unknown, foreign):
        body = parse_body(encode_envelopes_body("broker-1", world.START_MS + 5, [envelope.raw]))
        assert point_code(chain, 2, body) == "E_CHAIN_SUBMITTER"
    moved = world.envelopes_body("test-00000000", (0, 2), ms=5)
    assert point_code(chain, 2, moved) == "E_ENVELOPE_SIGNATURE"
    envelope = good.envelopes[0]
    raw = bytearray(good.raw)
    raw[good.raw.index(envelope.leaves) + 20] ^= 1
    assert point_code(chain, 2, parse_body(bytes(raw))) == "E_ENVELOPE_SIGNATURE"
    revoke = world.governance_body(chain.state, RevokeSubmitter("BROKER", "gateway-1"), ms=5)
    chain.apply(2, 2, revoke)
    assert point_code(chain, 2, good) == "E_CHAIN_SUBMITTER"


def test_governance_bodies_are_judged() -> None:
    """A proposal that governance refuses is refused with its code."""
    chain = fresh()
    signed = world.signed_proposal(chain.state, SetQuorum(4), signers=("BROKER",))
    raw = encode_governance_body("broker-1", world.START_MS + 5, signed)
    assert point_code(chain, 2, parse_body(raw)) == "E_GOVERNANCE_QUORUM"
    body = world.governance_body(chain.state, SetQuorum(4), ms=5)
    chain.apply(2, 2, body)
    assert point_code(chain, 2, body) == "E_GOVERNANCE_SEQUENCE"


def test_a_repeated_leaf_is_no_breach() -> None:
    """The chain's validity hangs on no index: the same leaves may come again and get a second position."""
    chain = fresh()
    body = world.envelopes_body(chain.chain_id, (0, 2), ms=5)
    one, two = chain.apply(2, 2, body), chain.apply(3, 2, body)
    assert one.leaf_hashes[:2] == two.leaf_hashes[:2]


def test_verified_bodies_are_not_verified_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body verified for this height and state is applied as it is; any other is verified anew."""
    chain = fresh()
    body = world.envelopes_body(chain.chain_id, (0, 2), ms=5)
    verified = chain.verify(body)
    calls: list[Any] = []

    def counted(*args: Any) -> None:
        calls.append(args)

    monkeypatch.setattr("ledger.chain.verify_envelope", counted)
    chain.apply(2, 2, verified)
    assert not calls
    chain.apply(3, 2, verified)
    assert len(calls) == 1
    again = chain.verify(body)
    chain.apply(4, 2, world.governance_body(chain.state, SetLimits(Limits(attest_every=2)), ms=5))
    stale = replace(again, height=5)
    calls.clear()
    chain.apply(5, 2, stale)
    assert len(calls) == 1


def test_a_verified_body_does_not_outrun_the_clock() -> None:
    """The time is compared with the block that really came before."""
    chain = fresh()
    early = chain.verify(world.empty_body(ms=6))
    late = verify_body(chain.state, 3, 0, world.empty_body(ms=6))
    chain.apply(2, 2, world.empty_body(ms=7))
    with pytest.raises(ChainError) as caught:
        chain.apply(3, 2, late)
    assert caught.value.code == "E_CHAIN_TIME"
    with pytest.raises(ChainError):
        chain.apply(3, 2, early)


def test_rotation_does_not_touch_the_tree() -> None:
    """A governance block leaves only its header in the tree."""
    chain = fresh()
    size = chain.tree_size
    block = chain.apply(
        2,
        2,
        world.governance_body(chain.state, RotateKey("broker-1", "log", "l2", 1, world.public("l2")), ms=5),
    )
    assert block.header.kind is BodyKind.GOVERNANCE
    assert (block.tree_size, len(block.leaf_hashes)) == (size + 1, 1)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 600), min_size=1, max_size=5))
def test_any_run_of_blocks_has_the_slow_root(counts: list[int]) -> None:
    """Whatever the sizes of the blocks, the last root is that of RFC 6962 over all leaves."""
    chain, block = Chain.start(world.genesis_body())
    leaves = [block.header_leaf]
    number = 0
    for count in counts:
        body = world.envelopes_body(chain.chain_id, (number, count)) if count else world.empty_body()
        block = chain.apply(chain.height + 1, 1, body)
        if count:
            data = body.envelopes[0].leaves
            leaves += [data[at + 1 : at + 129] for at in range(0, len(data), 129)]
        leaves.append(block.header_leaf)
        number += count
    assert block.root == mth(leaves) == chain.root
