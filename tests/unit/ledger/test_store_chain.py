"""The chain store: one batch or nothing, nothing committed is ever cut, and nothing unchecked is handed
out.
"""

from dataclasses import replace
from pathlib import Path

import ledger_world as world
import pytest
from fake_kv import MemoryKv
from store_world import CHAIN_ID, GENESIS, INSTANCE, NODE, append, bodies, memory_chain, stored

from ledger import keyspace
from ledger.entry import NO_ENTRY, entry_hash
from ledger.errors import BodyError, EncodingError, StoreDamagedError, StoreError, StoreFatalError
from ledger.store_chain import ChainBatch, ChainStore, EntryId, HardState, chain_id_of, write_buffer_for
from ledger.store_kv import Options, create_database


def _reopen(kv: MemoryKv) -> ChainStore:
    return ChainStore.attach(kv, node_id=NODE)


# --- life
# ------------------------------------------------------------------------------------------------------


def test_a_new_store_holds_genesis_and_promises_nothing() -> None:
    """Height 0, term 0, no vote, batch 0; and the chain id comes from genesis."""
    kv, store = memory_chain()
    for each in (store, _reopen(kv)):
        digest = entry_hash(CHAIN_ID, NO_ENTRY, 0, 0, GENESIS.digest)
        assert each.last() == EntryId(0, 0, digest)
        assert each.hard_state() == HardState(0, "", 0)
        assert each.counter() == 0
        assert each.chain_id == CHAIN_ID
        assert each.entry(0).body_raw == GENESIS.raw
        assert (each.facts().node_id, each.facts().instance) == (NODE, INSTANCE)
    assert kv.syncs == 1


def test_creation_is_one_batch() -> None:
    """A creation that was cut off leaves something that is none of our stores."""
    kv = MemoryKv()
    kv.fail_after = 0
    with pytest.raises(StoreFatalError):
        ChainStore.create_in(kv, GENESIS.raw, node_id=NODE, instance=INSTANCE)
    with pytest.raises(StoreError, match="E_STORE_FOREIGN"):
        _reopen(kv.crash())


@pytest.mark.parametrize("raw", [b"", b"\x00", world.empty_body().raw])
def test_only_a_genesis_body_founds_a_store(tmp_path: Path, raw: bytes) -> None:
    """Anything else is refused before a folder is made."""
    with pytest.raises((StoreError, EncodingError, BodyError)):
        ChainStore.create(tmp_path / "chain", raw, node_id=NODE, instance=INSTANCE)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StoreError, match="E_STORE_GENESIS"):
        chain_id_of(world.empty_body().raw)


def test_on_a_disk(tmp_path: Path) -> None:
    """Create, write, close, open: everything is there; a second `create`, a missing or foreign folder is
    refused.
    """
    path = tmp_path / "chain"
    store = ChainStore.create(path, GENESIS.raw, node_id=NODE, instance=INSTANCE)
    append(store, *bodies(4))
    facts = store.facts()
    store.close()
    with pytest.raises(StoreError, match="E_STORE_EXISTS"):
        ChainStore.create(path, GENESIS.raw, node_id=NODE, instance=INSTANCE)
    with pytest.raises(StoreError, match="E_STORE_MISSING"):
        ChainStore.open(tmp_path / "other", node_id=NODE)
    with pytest.raises(StoreError, match=r"E_STORE_FOREIGN.*broker-1.*market-1"):
        ChainStore.open(path, node_id="market-1")
    foreign = create_database(tmp_path / "foreign", Options(65_536))
    foreign.write([(b"k", b"v")], sync=True)
    foreign.close()
    with pytest.raises(StoreError, match="E_STORE_FOREIGN"):
        ChainStore.open(tmp_path / "foreign", node_id=NODE)
    again = ChainStore.open(path, node_id=NODE)
    assert again.facts() == facts
    assert [entry.height for entry in again.entries(0, 9, max_bytes=1 << 20)] == [0, 1, 2, 3, 4]
    again.close()


def test_each_node_flushes_at_another_moment() -> None:
    """Write buffers are 4 to 8 MiB and differ between the nodes of a network."""
    sizes = [write_buffer_for(node) for node in ("broker-1", "market-1", "auditor-1", "regulator-1")]
    assert len(set(sizes)) == 4
    assert all(4 << 20 <= size <= 8 << 20 for size in sizes)


# --- batches
# ---------------------------------------------------------------------------------------------------


def test_a_batch_is_all_or_nothing_and_synced() -> None:
    """Counter, hard state, truncation and entries go in one synced write; a failed one changes nothing we
    say.
    """
    kv, store = memory_chain()
    append(store, *bodies(3), term=1, commit=1)
    before = store.facts()
    new = stored(store, bodies(2, first=10), term=2, after=1)
    batch = ChainBatch(2, HardState(2, "market-1", 1), 2, new)
    kv.fail_after = 0
    with pytest.raises(StoreFatalError):
        store.write(batch)
    assert store.facts() == before
    assert _reopen(kv.crash()).facts() == before

    kv, store = memory_chain()
    append(store, *bodies(3), term=1, commit=1)
    kv.fail_after, kv.failed_is_there = 0, True
    with pytest.raises(StoreFatalError):
        store.write(batch)
    after = _reopen(kv.crash(keep=1))
    assert (after.counter(), after.hard_state(), after.last().height) == (2, HardState(2, "market-1", 1), 3)


def test_truncation_replaces_the_tail() -> None:
    """After it only the new entries are there, also when the new tail is shorter."""
    kv, store = memory_chain()
    append(store, *bodies(5), term=1, commit=2)
    assert kv.syncs == 2
    new = stored(store, bodies(1, first=20), term=3, after=2)
    store.write(ChainBatch(2, HardState(3, "", 2), 3, new))
    assert kv.syncs == 3
    for each in (store, _reopen(kv.copy())):
        assert each.last() == EntryId(3, 3, new[0].entry_hash)
        assert each.entry(3) == new[0]
        with pytest.raises(StoreError, match="E_STORE_HEIGHT"):
            each.entry(4)
        with pytest.raises(StoreError, match="E_STORE_HEIGHT"):
            each.term_and_hash(5)
    store.write(ChainBatch(3, None, 3))
    assert store.last().height == 2
    assert _reopen(kv).last() == store.last()
    assert not [key for key in kv.all_keys() if key == keyspace.chain_body(3)]


def test_a_batch_may_hold_promises_alone() -> None:
    """Term and vote without entries; entries without a new hard state."""
    _, store = memory_chain()
    store.write(ChainBatch(1, HardState(4, "market-1", 0)))
    assert store.hard_state() == HardState(4, "market-1", 0)
    store.write(ChainBatch(2, None, None, stored(store, bodies(1), term=4)))
    assert store.hard_state() == HardState(4, "market-1", 0)
    assert (store.last().term, store.last().height) == (4, 1)
    assert store.facts().vote == "market-1"


def _bad_batches(store: ChainStore) -> list[ChainBatch]:
    entries = stored(store, bodies(2, first=30), term=2)
    hard = HardState(2, NODE, 2)
    return [
        ChainBatch(1, hard),  # repeated number
        ChainBatch(3, hard),  # gap
        ChainBatch(2, HardState(0, "", 2)),  # term falls
        ChainBatch(2, HardState(1, NODE, 1)),  # commit falls
        ChainBatch(2, HardState(1, "market-1", 2)),  # second vote in a term
        ChainBatch(2, HardState(1, "", 2)),  # vote taken back
        ChainBatch(2, HardState(2, "", 4)),  # commit above the last height
        ChainBatch(2, None, 2),  # truncation at commit
        ChainBatch(2, None, 1),  # truncation below commit
        ChainBatch(2, None, 4),  # truncation above the last height
        ChainBatch(2, HardState(1, NODE, 3), 3),  # truncation at the new commit
        ChainBatch(2, HardState(1, NODE, 2), None, entries),  # entries of a term that is not ours yet
        ChainBatch(2, hard, None, entries[1:]),  # gap in heights
        ChainBatch(2, hard, 3, entries),  # gap behind a truncation
        ChainBatch(2, hard, None, (replace(entries[0], term=0),)),  # terms fall along the log
        ChainBatch(2, hard, None, (replace(entries[0], entry_hash=b"short"),)),
        ChainBatch(2, hard, None, (replace(entries[0], body_raw=b""),)),
        ChainBatch(2, hard, None, (replace(entries[0], body_raw=bytes(4 * 1024 * 1024 + 1)),)),
        ChainBatch(2, HardState(2, "Not a node", 2)),
    ]


@pytest.mark.parametrize("number", range(19))
def test_our_own_mistakes_are_caught_before_they_are_written(number: int) -> None:
    """Each broken promise is an assertion, and the disk is untouched."""
    kv, store = memory_chain()
    append(store, *bodies(3), term=1, commit=2)
    batches = _bad_batches(store)
    assert len(batches) == 19
    writes = kv.writes
    with pytest.raises(AssertionError):
        store.write(batches[number])
    assert kv.writes == writes
    assert store.counter() == 1


# --- reading
# ---------------------------------------------------------------------------------------------------


def test_entries_are_bounded_by_bytes_and_by_the_end() -> None:
    """At least one entry, then as many as fit; nothing above the last height."""
    _, store = memory_chain()
    append(store, *bodies(6))
    sizes = [len(store.entry(height).body_raw) for height in range(7)]
    heights = [entry.height for entry in store.entries(1, 7, max_bytes=sizes[1] + sizes[2])]
    assert heights == [1, 2]
    assert [entry.height for entry in store.entries(2, 7, max_bytes=0)] == [2]
    assert [entry.height for entry in store.entries(5, 99, max_bytes=1 << 30)] == [5, 6]
    assert store.entries(7, 9, max_bytes=1) == []
    assert store.entries(0, 1, max_bytes=1)[0].body_raw == GENESIS.raw
    with pytest.raises(StoreError, match="E_STORE_HEIGHT"):
        store.entries(9, 12, max_bytes=1)
    with pytest.raises(AssertionError):
        store.entries(3, 3, max_bytes=1)


def test_terms_and_hashes_are_those_written() -> None:
    """The cheap look agrees with the checked one at every height."""
    _, store = memory_chain()
    append(store, *bodies(2), term=1)
    append(store, *bodies(2, first=5), term=4)
    for height in range(5):
        entry = store.entry(height)
        assert store.term_and_hash(height) == (entry.term, entry.entry_hash)
    with pytest.raises(AssertionError):
        store.term_and_hash(-1)


def test_a_changed_byte_anywhere_is_never_served() -> None:
    """Bodies, entries, state and description, each byte forged with a good checksum: refused at the start or
    at the read of what it spoils, and what is handed out is what was written.
    """
    kv, store = memory_chain()
    append(store, *bodies(3))
    good = {entry.height: entry for entry in store.entries(0, 9, max_bytes=1 << 30)}
    for key in kv.all_keys():
        value = kv.get(key)
        assert value is not None
        for at in {*range(0, len(value), 37), len(value) - 1}:
            forged = kv.copy()
            forged.forge(key, value[:at] + bytes((value[at] ^ 0x10,)) + value[at + 1 :])
            try:
                opened = _reopen(forged)
            except StoreError:
                continue
            for height, entry in good.items():
                try:
                    assert opened.entry(height) == entry, (key, at)
                except StoreDamagedError:
                    continue
            # The hard state's own words cannot be checked here: the head file keeps them a second time.
            assert key != keyspace.CHAIN_META or opened.meta != store.meta


@pytest.mark.parametrize("height", [0, 1, 2, 3])
def test_a_missing_key_is_damage_not_absence(height: int) -> None:
    """What lies below the last height must be there."""
    for key in (keyspace.chain_body(height), keyspace.chain_entry(height)):
        kv, store = memory_chain()
        append(store, *bodies(3))
        kv.forge(key, None)
        with pytest.raises(StoreDamagedError):
            store.entry(height)
        with pytest.raises(StoreDamagedError):
            store.entries(0, 4, max_bytes=1 << 30)
        if height in (0, 3):
            with pytest.raises(StoreDamagedError):
                _reopen(kv)


def test_entries_above_the_last_height_are_damage() -> None:
    """A state that is older than the entries beside it comes from no batch of ours."""
    kv, store = memory_chain()
    append(store, *bodies(2))
    old = kv.get(keyspace.CHAIN_STATE)
    append(store, *bodies(1, first=4))
    kv.forge(keyspace.CHAIN_STATE, old)
    with pytest.raises(StoreDamagedError, match="above the last height"):
        _reopen(kv)


def test_a_swapped_body_is_damage() -> None:
    """A genuine body at another height is refused, although its own checksum is good."""
    kv, store = memory_chain()
    append(store, *bodies(3))
    kv.forge(keyspace.chain_body(2), kv.get(keyspace.chain_body(3)))
    with pytest.raises(StoreDamagedError, match="height 2"):
        store.entry(2)
    assert store.entry(1).height == 1
    assert store.entry(3).height == 3


def test_a_damaged_block_on_the_disk_reaches_the_caller() -> None:
    """The database's own complaint is passed on."""
    kv, store = memory_chain()
    append(store, *bodies(3))
    kv.damage(keyspace.chain_body(2))
    with pytest.raises(StoreDamagedError, match="E_STORE_DAMAGED"):
        store.entry(2)
    assert store.term_and_hash(2)[0] == 1


def test_a_read_sees_one_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A truncation by the writer in the middle of a read is not taken for damage."""
    _, store = memory_chain()
    append(store, *bodies(4), term=1, commit=1)
    old = store.entry(3)
    new = stored(store, bodies(2, first=40), term=2, after=1)
    checked = store._checked

    def cut_in(reader: object, height: int, prev: bytes) -> object:
        if store.counter() == 1:
            store.write(ChainBatch(2, HardState(2, "", 1), 2, new))
        return checked(reader, height, prev)  # type: ignore[arg-type]

    monkeypatch.setattr(ChainStore, "_checked", lambda _, reader, height, prev: cut_in(reader, height, prev))
    assert store.entry(3) == old
    assert store.entry(3) == new[1]
