"""The derived store: exactly some block's state, restorable, comparable with the chain store, never
believed.
"""

from pathlib import Path

import ledger_world as world
import pytest
from store_world import CHAIN_ID, GENESIS, INSTANCE, NODE, Pair, append, bodies, memory_chain, replay, stored

from ledger import keyspace, proof, store_index
from ledger.chain import Chain
from ledger.errors import DerivedDamagedError, StoreDamagedError, StoreError, StoreFatalError
from ledger.governance_proposal import SetLimits
from ledger.governance_state import Limits
from ledger.merkle import leaf_hash
from ledger.store_chain import ChainBatch, ChainStore, HardState
from ledger.store_derived import DerivedStore


def _pair(count: int = 7) -> Pair:
    pair = Pair()
    for body in bodies(count):
        pair.apply(body)
    return pair


def _reopen(pair: Pair) -> DerivedStore:
    return DerivedStore.attach(pair.derived_kv, pair.chain)


# --- what was written is what is read
# --------------------------------------------------------------------------


@pytest.mark.parametrize("reopened", [False, True])
def test_blocks_and_positions(reopened: bool) -> None:
    """Headers, first indexes, the block of every leaf, and every leaf itself."""
    pair = _pair(8)
    derived = _reopen(pair) if reopened else pair.derived
    assert derived.applied() == 8
    assert derived.size == pair.blocks[-1].tree_size
    leaves: list[bytes] = []
    for block in pair.blocks:
        assert derived.header_leaf(block.height) == block.header_leaf
        assert derived.header(block.height) == block.header
        assert derived.first_index(block.height) == block.first_index
        for index in range(block.first_index, block.tree_size):
            assert derived.block_at(index) == block.height
        for envelope in block.body.envelopes:
            leaves += [envelope.leaves[at + 1 : at + 129] for at in range(0, len(envelope.leaves), 129)]
        leaves.append(block.header_leaf)
    assert len(leaves) == derived.size
    for start in range(derived.size):
        for count in (1, 2, derived.size - start):
            if start + count <= derived.size:
                assert derived.entries(start, count) == leaves[start : start + count]
    for index, leaf in enumerate(leaves):
        path = proof.prove_inclusion(index, derived.size, derived.hashes)
        proof.verify_inclusion(leaf_hash(leaf), index, derived.size, path, pair.blocks[-1].root)


def test_beyond_the_end() -> None:
    """What is not applied yet is refused as such."""
    derived = _pair(3).derived
    for call in (derived.header, derived.header_leaf, derived.first_index, derived.governance):
        with pytest.raises(StoreError, match="E_STORE_HEIGHT"):
            call(4)
    with pytest.raises(StoreError, match="E_STORE_INDEX"):
        derived.block_at(derived.size)
    with pytest.raises(StoreError, match="E_STORE_INDEX"):
        derived.entries(derived.size - 1, 2)
    with pytest.raises(StoreError, match="E_STORE_INDEX"):
        derived.block_at(-1)
    assert derived.root_at(derived.size + 1) is None


def test_roots_at_every_block() -> None:
    """The root at each block's size is the one its checkpoint has: the head file's mark is judged by it."""
    pair = _pair(8)
    for block in pair.blocks:
        assert pair.derived.root_at(block.tree_size) == block.root


def test_records_are_found() -> None:
    """By commitment, and as whole leaves, with the counts."""
    pair = _pair(8)
    derived = _reopen(pair)
    block = pair.blocks[5]
    leaves = block.body.envelopes[0].leaves
    assert derived.known(leaves) == list(range(block.first_index, block.first_index + 3))
    assert derived.find(leaves[129 + 13 : 129 + 45]) == [(5, block.first_index + 1)]
    assert derived.known(world.leaves(900, 2)) == [None, None]
    assert derived.records == sum(b.header.records for b in pair.blocks)


def test_governance_by_height() -> None:
    """The state after each height, before and behind a change, and where the changes are."""
    pair = _pair(2)
    limits = SetLimits(Limits(attest_every=7))
    pair.apply(world.governance_body(pair.fold.state, limits, ms=10))
    pair.apply(world.empty_body(ms=11))
    for derived in (pair.derived, _reopen(pair)):
        assert [derived.governance(h).limits.attest_every for h in range(5)] == [1, 1, 1, 7, 7]
        assert derived.governance(4) == pair.fold.state
        assert derived.governance_heights() == [0, 3]
        fold = derived.restore()
        assert fold is not None
        assert fold.state == pair.fold.state


def test_notes() -> None:
    """Notes are kept by name and replaced."""
    pair = _pair(1)
    assert pair.derived.note("final") is None
    pair.derived.put_note("final", b"one\n")
    pair.derived.put_note("final", b"two\n")
    pair.derived.put_note("era/3", b"three\n")
    assert _reopen(pair).notes() == {"era/3": b"three\n", "final": b"two\n"}
    assert _reopen(pair).note("final") == b"two\n"


# --- restart
# ---------------------------------------------------------------------------------------------------


def test_the_restored_chain_goes_on_alike() -> None:
    """From every height the restored fold makes the same next blocks, byte for byte."""
    made = bodies(9)
    reference = _pair(9)
    for height in range(9):
        pair = _pair(height)
        fold = _reopen(pair).restore()
        assert fold is not None
        assert (fold.height, fold.root, fold.point) == (height, pair.fold.root, pair.fold.point)
        for body in made[height:]:
            block = fold.apply(fold.height + 1, 1, body)
            assert block.header_leaf == reference.blocks[block.height].header_leaf
            assert block.root == reference.blocks[block.height].root


def test_an_empty_store_restores_nothing() -> None:
    """Before genesis is applied there is no chain to go on with."""
    _, chain = memory_chain()
    pair = Pair()
    derived = DerivedStore.create_in(pair.derived_kv.__class__(), chain)
    assert derived.applied() == -1
    assert derived.restore() is None
    fold, block = Chain.start(GENESIS)
    derived.write([])
    derived.write([block])
    assert derived.applied() == 0
    restored = derived.restore()
    assert restored is not None
    assert restored.point == fold.point


def test_nothing_is_synced_and_every_crash_leaves_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever prefix of the unsynced writes a power cut leaves, the store stands at some block, and replay
    from the chain store ends where the node was.
    """
    monkeypatch.setattr(store_index, "RUN_RECORDS", 5)
    pair = _pair(9)
    assert pair.derived_kv.syncs == 1
    full = pair.derived_kv
    seen = set()
    for keep in range(full.unsynced + 1):
        kv = full.copy()
        for batch in full._unsynced[:keep]:
            kv.write(batch, sync=False)
        derived = DerivedStore.attach(kv, pair.chain)
        seen.add(derived.applied())
        fold = replay(pair.chain, derived, derived.restore())
        assert fold.point == pair.fold.point
        assert derived.applied() == 9
        assert derived.root_at(derived.size) == pair.blocks[-1].root
        for block in pair.blocks:
            for envelope in block.body.envelopes:
                first = block.first_index
                assert derived.known(envelope.leaves) == list(range(first, first + envelope.count))
    assert seen == set(range(-1, 10))


def test_a_store_ahead_of_the_chain_is_not_used() -> None:
    """The chain store has lost its end, or holds another entry there: what was derived is refused."""
    pair = _pair(6)
    shorter = ChainStore.create_in(type(pair.chain_kv)(), GENESIS.raw, node_id=NODE, instance=INSTANCE)
    append(shorter, *bodies(5))
    with pytest.raises(DerivedDamagedError, match="at height 6, and the chain store ends at 5"):
        DerivedStore.attach(pair.derived_kv, shorter)
    append(shorter, world.empty_body(ms=77))
    with pytest.raises(DerivedDamagedError, match="another entry at height 6"):
        DerivedStore.attach(pair.derived_kv, shorter)
    append(shorter, world.empty_body(ms=78))
    with pytest.raises(DerivedDamagedError, match="another entry at height 6"):
        DerivedStore.attach(pair.derived_kv, shorter)


def test_a_longer_chain_is_simply_ahead() -> None:
    """Uncommitted and committed entries above the applied height are the normal case."""
    pair = _pair(3)
    append(pair.chain, *bodies(2, first=20), commit=3)
    assert _reopen(pair).applied() == 3
    entries = stored(pair.chain, bodies(1, first=30), 2, after=3)
    pair.chain.write(ChainBatch(pair.chain.counter() + 1, HardState(2, "", 3), 4, entries))
    assert _reopen(pair).applied() == 3


def test_foreign_stores_are_refused_and_kept() -> None:
    """Another node's, another instance's: a person has mixed folders, nothing is thrown away."""
    pair = _pair(1)
    for node, instance in (("market-1", INSTANCE), (NODE, bytes(16))):
        other = ChainStore.create_in(type(pair.chain_kv)(), GENESIS.raw, node_id=node, instance=instance)
        with pytest.raises(StoreError, match="E_STORE_FOREIGN"):
            DerivedStore.attach(pair.derived_kv, other)
    with pytest.raises(StoreError, match="E_STORE_FOREIGN"):
        DerivedStore.attach(pair.chain_kv, pair.chain)


# --- damage
# ----------------------------------------------------------------------------------------------------


def _use(pair: Pair) -> None:
    """Do everything a node does with the store, and compare with the truth."""
    derived = _reopen(pair)
    fold = derived.restore()
    assert fold is not None
    fold = replay(pair.chain, derived, fold)
    assert fold.point == pair.fold.point
    for block in pair.blocks:
        assert derived.header(block.height) == block.header
        assert derived.block_at(block.first_index) == block.height
        assert derived.root_at(block.tree_size) == block.root
        assert derived.governance(block.height) == block.state
        for envelope in block.body.envelopes:
            assert derived.known(envelope.leaves)[0] == block.first_index


def test_any_lost_key_is_noticed() -> None:
    """Whichever key is gone, using the store ends in "rebuild", never in a wrong answer."""
    for key in _pair(5).derived_kv.all_keys():
        pair = _pair(5)
        pair.derived_kv.forge(key, None)
        code = "E_STORE_FOREIGN" if key == keyspace.DERIVED_META else "E_DERIVED_DAMAGED"
        with pytest.raises(StoreError, match=code):
            _use(pair)


def test_any_unreadable_key_is_noticed() -> None:
    """A bad checksum anywhere is "rebuild" as well."""
    for key in _pair(4).derived_kv.all_keys():
        pair = _pair(4)
        pair.derived_kv.damage(key)
        with pytest.raises(DerivedDamagedError):
            _use(pair)


def test_a_forged_store_is_not_believed() -> None:
    """A header, an edge, a state or a point that somebody has changed with a good checksum does not
    restore.
    """
    for key in (
        keyspace.derived_header(5),
        keyspace.derived_edge(0),
        keyspace.derived_governance(0),
        keyspace.DERIVED_APPLIED,
    ):
        value = _pair(5).derived_kv.get(key)
        assert value is not None
        for at in range(0, len(value), 1 + len(value) // 40):
            pair = _pair(5)
            pair.derived_kv.forge(key, value[:at] + bytes((value[at] ^ 1,)) + value[at + 1 :])
            try:
                fold = _reopen(pair).restore()
            except DerivedDamagedError:
                continue
            assert fold is not None
            assert fold.point == pair.fold.point, (key, at)


def test_chain_damage_is_not_mistaken_for_derived_damage() -> None:
    """A body that is damaged is the chain store's matter: nothing is rebuilt because of it."""
    pair = _pair(4)
    pair.chain_kv.damage(keyspace.chain_body(2))
    with pytest.raises(StoreDamagedError) as caught:
        _reopen(pair)
    assert not isinstance(caught.value, DerivedDamagedError)


def test_failed_writes_reach_the_caller() -> None:
    """A full disk is fatal; the store on it still stands at a block."""
    pair = _pair(2)
    pair.derived_kv.fail_after = 0
    with pytest.raises(StoreFatalError):
        pair.apply(bodies(1, first=9)[0])
    after = DerivedStore.attach(pair.derived_kv.crash(keep=2), pair.chain)
    assert after.applied() in (0, 1, 2)


def test_blocks_are_written_in_order() -> None:
    """A gap is our bug."""
    pair = _pair(3)
    fresh = Pair()
    with pytest.raises(AssertionError):
        fresh.derived.write([pair.blocks[2]])


def test_on_a_disk(tmp_path: Path) -> None:
    """Create, write, close, open and go on, with real files."""
    chain = ChainStore.create(tmp_path / "chain", GENESIS.raw, node_id=NODE, instance=INSTANCE)
    append(chain, *bodies(8))
    derived = DerivedStore.create(tmp_path / "derived", chain)
    fold = replay(chain, derived, None)
    derived.close()
    again = DerivedStore.open(tmp_path / "derived", chain)
    restored = again.restore()
    assert restored is not None
    assert restored.point == fold.point
    assert restored.chain_id == CHAIN_ID
    again.close()
    with pytest.raises(StoreError, match="E_STORE_MISSING"):
        DerivedStore.open(tmp_path / "none", chain)
    with pytest.raises(StoreError, match="E_STORE_EXISTS"):
        DerivedStore.create(tmp_path / "derived", chain)
    chain.close()
