"""The record index: all heights of a key, whatever lies in memory, in pages or was lost with a crash."""

import random
from collections import defaultdict

import pytest
from fake_kv import MemoryKv

from ledger import keyspace, store_index
from ledger.errors import StoreDamagedError, StoreFatalError
from ledger.store_index import RecordIndex


@pytest.fixture(autouse=True)
def _small_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of 100 records or 25 blocks and many merge steps, so that a small test goes through everything."""
    monkeypatch.setattr(store_index, "RUN_RECORDS", 100)
    monkeypatch.setattr(store_index, "RUN_HEIGHTS", 25)
    monkeypatch.setattr(store_index, "_STEP_CREDIT", 6)


def _blocks(seed: int, count: int) -> list[list[bytes]]:
    """Return made-up blocks of 0 to 30 keys, some of which were there before."""
    rng = random.Random(seed)
    blocks: list[list[bytes]] = []
    for _ in range(count):
        block = [rng.randbytes(16) for _ in range(rng.randrange(30))]
        old = [key for earlier in blocks[-50:] for key in earlier]
        block += rng.sample(old, min(2, len(old)))
        blocks.append(block)
    return blocks


def _expected(blocks: list[list[bytes]]) -> dict[bytes, list[int]]:
    found: dict[bytes, list[int]] = defaultdict(list)
    for height, block in enumerate(blocks):
        for key in block:
            if found[key][-1:] != [height]:
                found[key].append(height)
    return found


def test_every_height_of_every_key_is_found() -> None:
    """Through tail, pages and merges: exactly the heights that were added, rising, and all keys are
    suspects.
    """
    blocks = _blocks(1, 400)
    kv = MemoryKv()
    index = RecordIndex(kv)
    for height, block in enumerate(blocks):
        index.add(height, block)
    assert index.next_height == 400
    assert index.records == sum(map(len, blocks))
    for key, heights in _expected(blocks).items():
        assert index.heights(key) == heights
        assert index.suspects([key]) == [0]
    assert index.heights(bytes(16)) == []
    assert index.suspects([bytes(16)]) == []
    assert kv.syncs == 0


@pytest.mark.parametrize("crash_at", [0, 1, 5, 17, 60, 399])
def test_after_a_crash_the_blocks_above_the_pages_are_added_again(crash_at: int) -> None:
    """The pages say which height they cover; with the rest added again nothing is missing."""
    blocks = _blocks(2, 400)
    kv = MemoryKv()
    index = RecordIndex(kv)
    for height, block in enumerate(blocks[:crash_at]):
        index.add(height, block)
    for keep in {0, kv.unsynced // 2, kv.unsynced}:
        found = kv.copy().crash()
        for batch in kv._unsynced[:keep]:
            found.write(batch, sync=False)
        again = RecordIndex(found)
        assert again.next_height <= crash_at
        for height in range(again.next_height, 400):
            again.add(height, blocks[height])
        assert again.records == sum(map(len, blocks))
        for key, heights in _expected(blocks).items():
            assert again.heights(key) == heights
            assert again.suspects([key]) == [0]


def test_many_small_blocks_make_a_run_too() -> None:
    """Pages cover all but the last few blocks, also of a chain that is nearly idle."""
    kv = MemoryKv()
    index = RecordIndex(kv)
    for height in range(110):
        index.add(height, [height.to_bytes(16, "big")] if height % 10 == 0 else [])
    again = RecordIndex(kv)
    assert again.next_height == 100
    assert again.records == 10
    assert again.heights((90).to_bytes(16, "big")) == [90]


def test_blocks_come_in_order() -> None:
    """A gap or a repetition is our own bug."""
    index = RecordIndex(MemoryKv())
    index.add(0, [])
    for height in (0, 2):
        with pytest.raises(AssertionError):
            index.add(height, [])


def test_missing_pages_are_noticed_at_the_start() -> None:
    """The number of records in pages is remembered: a page that is gone makes the index damaged, to be
    rebuilt.
    """
    kv = MemoryKv()
    index = RecordIndex(kv)
    for height, block in enumerate(_blocks(3, 60)):
        index.add(height, block)
    pages = [key for key in kv.all_keys() if key.startswith(b"p")]
    assert pages
    kv.forge(pages[7], None)
    with pytest.raises(StoreDamagedError, match="missing"):
        RecordIndex(kv)
    kv.forge(keyspace.INDEX_STATE, b"short")
    with pytest.raises(StoreDamagedError):
        RecordIndex(kv)


def test_a_failed_page_write_is_fatal() -> None:
    """The disk is full when a run is due: the error reaches the writer."""
    kv = MemoryKv()
    index = RecordIndex(kv)
    kv.fail_after = 0
    with pytest.raises(StoreFatalError):
        index.add(0, _blocks(4, 1)[0] * 50 + [bytes(16)] * 100)


def test_a_reader_beside_the_writer_misses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked at the very moment between the pages' write and the new tail, a key is found once."""
    kv = MemoryKv()
    index = RecordIndex(kv)
    key = b"k" * 16
    seen = []
    write = kv.write

    def write_and_ask(operations: list[tuple[bytes, bytes | None]], *, sync: bool) -> None:
        seen.append(index.heights(key))
        write(operations, sync=sync)
        seen.append(index.heights(key))

    monkeypatch.setattr(kv, "write", write_and_ask)
    rng = random.Random(5)
    index.add(0, [key, *(rng.randbytes(16) for _ in range(120))])
    assert index.heights(key) == [0]
    assert seen[:2] == [[0], [0]]
