"""Starting with a derived store in any state: it is used, or made anew with the reason told; nothing else is
deleted.
"""

import shutil
from pathlib import Path

import pytest
from store_world import GENESIS, INSTANCE, NODE, append, bodies, replay

from ledger.chain import Chain
from ledger.errors import StoreDamagedError, StoreError
from ledger.store_chain import ChainStore
from ledger.store_derived import DerivedStore
from ledger.store_prepare import CONDEMNED, condemn, discard, prepare


@pytest.fixture
def chain(tmp_path: Path) -> ChainStore:
    """A chain of nine blocks on a disk."""
    store = ChainStore.create(tmp_path / "chain", GENESIS.raw, node_id=NODE, instance=INSTANCE)
    append(store, *bodies(8))
    return store


def _filled(path: Path, chain: ChainStore) -> Chain:
    """Make a complete derived store with a note, and close it."""
    derived, fold, _ = prepare(path, chain)
    fold = replay(chain, derived, fold)
    derived.put_note("final", b"a note\n")
    derived.close()
    return fold


def test_a_good_store_is_used(tmp_path: Path, chain: ChainStore) -> None:
    """No words, and the chain stands where it stood."""
    fold = _filled(tmp_path / "derived", chain)
    derived, restored, words = prepare(tmp_path / "derived", chain)
    assert words == ""
    assert restored is not None
    assert restored.point == fold.point
    derived.close()


def test_a_missing_store_is_made(tmp_path: Path, chain: ChainStore) -> None:
    """A start may make it, because nothing can be lost with it; an empty folder counts as missing."""
    (tmp_path / "empty").mkdir()
    for name in ("derived", "empty"):
        derived, fold, words = prepare(tmp_path / name, chain)
        assert "built" in words
        assert fold is None
        assert derived.applied() == -1
        derived.close()


def test_a_condemned_store_is_rebuilt_with_its_notes(tmp_path: Path, chain: ChainStore) -> None:
    """Damage met while running is remembered in a file; the next start rebuilds and forgets the mark."""
    path = tmp_path / "derived"
    fold = _filled(path, chain)
    condemn(path)
    derived, none, words = prepare(path, chain)
    assert none is None
    assert "found damaged by an earlier run" in words
    assert not (path / CONDEMNED).exists()
    assert derived.notes() == {"final": b"a note\n"}
    assert replay(chain, derived, None).point == fold.point
    derived.close()
    assert prepare(path, chain)[2] == ""
    with pytest.raises(StoreError, match="E_STORE_OPEN"):
        condemn(tmp_path / "no" / "folder")


@pytest.mark.parametrize("name", ["CURRENT", "MANIFEST", ".log"])
def test_a_damaged_store_is_rebuilt(tmp_path: Path, chain: ChainStore, name: str) -> None:
    """Whatever file is spoilt, the start ends with a good store."""
    path = tmp_path / "derived"
    fold = _filled(path, chain)
    victim = next(file for file in sorted(path.iterdir()) if name in file.name and file.stat().st_size)
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 0x40
    victim.write_bytes(data)
    derived, restored, words = prepare(path, chain)
    assert restored is None
    assert "rebuilt" in words
    assert replay(chain, derived, None).point == fold.point
    derived.close()


def test_a_store_ahead_is_rebuilt(tmp_path: Path, chain: ChainStore) -> None:
    """An older chain store beside a newer derived one: the derived one goes."""
    path = tmp_path / "derived"
    _filled(path, chain)
    chain.close()
    older = ChainStore.create(tmp_path / "older", GENESIS.raw, node_id=NODE, instance=INSTANCE)
    append(older, *bodies(5))
    derived, restored, words = prepare(path, older)
    assert restored is None
    assert "ends at 5" in words
    assert replay(older, derived, None).height == 5
    derived.close()


def test_foreign_and_locked_stores_stay(tmp_path: Path, chain: ChainStore) -> None:
    """Somebody else's folder is never deleted, whatever this node would like to do."""
    path = tmp_path / "derived"
    other = ChainStore.create(tmp_path / "other", GENESIS.raw, node_id="market-1", instance=INSTANCE)
    DerivedStore.create(path, other).close()
    before = sorted(file.name for file in path.iterdir())
    with pytest.raises(StoreError, match="E_STORE_FOREIGN"):
        prepare(path, chain)
    assert {"CURRENT"} <= {file.name for file in path.iterdir()} & set(before)
    held, _, _ = prepare(tmp_path / "held", chain)
    with pytest.raises(StoreError, match="E_STORE_LOCKED"):
        prepare(tmp_path / "held", chain)
    with pytest.raises(StoreError, match="E_STORE_LOCKED"):
        discard(tmp_path / "held")
    held.close()


def test_chain_damage_deletes_nothing(
    tmp_path: Path, chain: ChainStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged body met while the index catches up is told, and the derived store is still there."""
    path = tmp_path / "derived"
    _filled(path, chain)

    def damaged(_: ChainStore, height: int) -> object:
        raise StoreDamagedError("E_STORE_DAMAGED", f"body {height}")

    with monkeypatch.context() as patch:
        patch.setattr(ChainStore, "entry", damaged)
        with pytest.raises(StoreDamagedError, match="body"):
            prepare(path, chain)
    assert prepare(path, chain)[2] == ""


def test_discarding_touches_only_database_files(tmp_path: Path, chain: ChainStore) -> None:
    """Other files in the folder, and a folder that does not exist, are left alone."""
    path = tmp_path / "derived"
    _filled(path, chain)
    (path / "mine.txt").write_text("mine")
    discard(path)
    assert [file.name for file in path.iterdir()] == ["mine.txt"]
    discard(tmp_path / "none")
    assert not (tmp_path / "none").exists()
    shutil.rmtree(path)
