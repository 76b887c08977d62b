"""Index pages: every pair is found after any number of merges, cut off or not; overfull pages overflow."""

import random
from collections import defaultdict

import pytest
from fake_kv import MemoryKv

from ledger import keyspace, store_pages
from ledger.errors import StoreDamagedError
from ledger.store_pages import Merger, all_keys, find_heights, heights_in, run_operations


def _buckets(pairs: list[tuple[bytes, int]]) -> list[bytearray]:
    buckets = [bytearray() for _ in range(256)]
    for key, height in pairs:
        buckets[key[0]] += key + height.to_bytes(6, "big")
    return buckets


def test_pairs_are_found_only_at_their_places() -> None:
    """A key that happens to stand across two pairs is no hit; one behind such a place still is."""
    key = bytes(range(16))
    neighbours = b"\xaa" * 21 + key[:1] + key[1:] + b"\xbb" * 7
    assert len(neighbours) % 22 == 0
    assert neighbours.find(key) == 21
    assert heights_in(neighbours, key) == set()
    assert heights_in(neighbours + key + b"\0\0\0\0\1\2" + key + b"\0\0\0\0\0\3", key) == {258, 3}
    assert heights_in(b"", key) == set()


@pytest.mark.parametrize("runs", [1, 15, 16, 17, 40, 256, 300])
def test_every_pair_is_found_through_all_merges(runs: int) -> None:
    """Whatever was merged so far, a lookup gives exactly the heights that were written, and pages stay
    few.
    """
    rng = random.Random(runs)
    kv = MemoryKv()
    merger = Merger(kv, 0)
    written: dict[bytes, set[int]] = defaultdict(set)
    for run in range(runs):
        pairs = [(rng.randbytes(16), run) for _ in range(12)]
        pairs += [(key, run) for key in rng.sample(sorted(written), min(3, len(written)))]
        for key, height in pairs:
            written[key].add(height)
        kv.write(run_operations(_buckets(pairs), run), sync=False)
        merger.run_written(run + 1)
        for _ in range(rng.randrange(600)):
            merger.step()
        probe = rng.choice(sorted(written))
        assert find_heights(kv, probe, merger.floors) == written[probe]
    while merger.pending:
        merger.step()
    for key, heights in written.items():
        assert find_heights(kv, key, merger.floors) == heights
        assert find_heights(kv, key) == heights
    assert find_heights(kv, bytes(16)) == set()
    assert sum(len(keys) for keys in all_keys(kv)) == sum(map(len, written.values()))
    left = [keyspace.page_run(key) for key in kv.all_keys() if key[:2] == b"p\x00"]
    assert all(run >= runs // 16 * 16 for run in left)


def test_a_merge_that_was_cut_off_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A restart in the middle of merging, at any step, loses and doubles nothing."""
    monkeypatch.setattr(store_pages, "_TOP_LEVEL", 1)
    rng = random.Random(1)
    pairs = [(rng.randbytes(16), run) for run in range(16) for _ in range(20)]
    for steps in (0, 1, 100, 255, 256, 257):
        kv = MemoryKv()
        for run in range(16):
            kv.write(run_operations(_buckets([pair for pair in pairs if pair[1] == run]), run), sync=False)
        merger = Merger(kv, 0)
        merger.run_written(16)
        for _ in range(steps):
            merger.step()
        again = Merger(kv, 16)
        assert all(find_heights(kv, key, again.floors) == {height} for key, height in pairs)
        while again.pending:
            again.step()
        assert again.floors == (16, 0, 0)
        assert all(find_heights(kv, key, again.floors) == {height} for key, height in pairs)
        assert sum(len(keys) for keys in all_keys(kv)) == len(pairs)
        again.step()


def test_an_overfull_bucket_overflows_into_more_pages() -> None:
    """Chosen commitments that all fall into one bucket make more pages, each bounded, all of them read."""
    kv = MemoryKv()
    pairs = [(b"\xff\xff" + bytes(10) + number.to_bytes(4, "big"), number) for number in range(10_000)]
    kv.write(run_operations(_buckets(pairs), 0), sync=False)
    pages = kv.scan(*keyspace.pages_range(), limit=100)
    assert [len(page) // 22 for _, page in pages] == [4096, 4096, 1808]
    merger = Merger(kv, 0)
    merger.run_written(16)
    while merger.pending:
        merger.step()
    assert [len(page) // 22 for _, page in kv.scan(*keyspace.pages_range(), limit=100)] == [4096, 4096, 1808]
    for number in (0, 4095, 4096, 9_999):
        assert find_heights(kv, pairs[number][0], merger.floors) == {number}


@pytest.mark.parametrize("page", [b"", bytes(21), bytes(23), bytes(22 * 4097)])
def test_an_impossible_page_is_damage(page: bytes) -> None:
    """A page is 1 to 4,096 whole pairs."""
    kv = MemoryKv()
    kv.write([(keyspace.index_page(0, 0, 0, 0), page)], sync=False)
    with pytest.raises(StoreDamagedError):
        find_heights(kv, bytes(16))


def test_more_pages_than_one_scan_takes() -> None:
    """Many pages of one prefix are read in several scans, without a gap."""
    kv = MemoryKv()
    key = bytes(16)
    for run in range(200):
        kv.write(run_operations(_buckets([(key, run)]), run), sync=False)
    assert find_heights(kv, key) == set(range(200))
    assert find_heights(kv, key, (150, 0, 0)) == set(range(150, 200))
