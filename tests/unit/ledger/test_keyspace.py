"""Every key has one place, sorts by number, and no range catches a key of another kind."""

import pytest

from ledger import keyspace


def test_heights_sort_by_number_and_come_back() -> None:
    """Keys of rising heights rise, over every byte's border."""
    heights = [0, 1, 255, 256, 65_535, 65_536, 2**32, keyspace.HEIGHT_MAX]
    for make in (keyspace.chain_body, keyspace.chain_entry, keyspace.derived_header):
        keys = [make(height) for height in heights]
        assert keys == sorted(keys)
    assert [keyspace.chain_height(keyspace.chain_body(height)) for height in heights] == heights
    assert [keyspace.derived_start_index(keyspace.derived_start(n)) for n in heights] == heights


def _derived_keys() -> list[bytes]:
    numbers = (0, 1, 255, 256, 2**63 - 1)
    keys = [
        keyspace.DERIVED_META,
        keyspace.DERIVED_APPLIED,
        keyspace.INDEX_STATE,
        keyspace.derived_note("final"),
    ]
    for number in numbers:
        keys += [
            keyspace.derived_header(number),
            keyspace.derived_start(number),
            keyspace.derived_tile(63, number),
        ]
        keys += [keyspace.derived_tile(0, number), keyspace.derived_governance(number)]
    for prefix in (0, 1, 0xFEFF, 0xFFFF):
        for level in (0, 1, 2):
            keys += [
                keyspace.index_page(level, prefix, run, n) for run in (0, 2**32 - 1) for n in (0, 65_535)
            ]
    return [*keys, *(keyspace.derived_edge(level) for level in (0, 7, 63))]


def test_no_two_keys_are_equal() -> None:
    """The two databases' keys are each pairwise different."""
    keys = _derived_keys()
    assert len(set(keys)) == len(keys)
    chain = [keyspace.CHAIN_META, keyspace.CHAIN_STATE, keyspace.chain_body(0), keyspace.chain_entry(0)]
    assert len(set(chain)) == len(chain)


@pytest.mark.parametrize(
    ("bounds", "prefix"),
    [
        (keyspace.notes_range(), b"n"),
        (keyspace.governance_range(), b"g"),
        (keyspace.starts_range(), b"s"),
        (keyspace.pages_range(), b"p"),
        (
            (keyspace.page_prefix(2, 0xFFFF), keyspace.after(keyspace.page_prefix(2, 0xFFFF))),
            b"p\x02\xff\xff",
        ),
        ((keyspace.page_prefix(0, 0), keyspace.after(keyspace.page_prefix(0, 0))), b"p\x00\x00\x00"),
    ],
)
def test_a_range_holds_exactly_its_own_kind(bounds: tuple[bytes, bytes], prefix: bytes) -> None:
    """A key is inside a range if and only if it begins with the range's prefix; the last bucket included."""
    start, stop = bounds
    inside = [key for key in _derived_keys() if start <= key < stop]
    assert inside
    assert inside == [key for key in _derived_keys() if key.startswith(prefix)]


def test_pages_of_a_prefix_sort_by_run() -> None:
    """A range may end at a run, and a key tells its run."""
    keys = [keyspace.index_page(1, 0x1230, run, part) for run in (0, 15, 16, 2**31) for part in (0, 1)]
    assert keys == sorted(keys)
    assert [keyspace.page_run(key) for key in keys[::2]] == [0, 15, 16, 2**31]


def test_chain_entries_range() -> None:
    """The range of entries holds the highest height and nothing else of the chain."""
    start, stop = keyspace.entries_range()
    assert start <= keyspace.chain_entry(2**63 - 1) < stop
    assert not start <= keyspace.chain_body(2**63 - 1) < stop
    assert not start <= keyspace.CHAIN_STATE < stop


def test_numbers_beyond_the_limit_are_our_bug() -> None:
    """A height of 2**63 has no key."""
    with pytest.raises(AssertionError):
        keyspace.chain_body(2**63)
    with pytest.raises(AssertionError):
        keyspace.chain_body(-1)
    with pytest.raises(AssertionError):
        keyspace.after(b"\xff\xff")


@pytest.mark.parametrize("name", ["", "x" * 65, "é", "a\nb"])
def test_a_note_name_is_short_and_plain(name: str) -> None:
    """Names of notes are ours; an odd one is a bug."""
    with pytest.raises(AssertionError):
        keyspace.derived_note(name)
