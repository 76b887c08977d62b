"""The entry hash covers everything that an acknowledgement speaks of."""

from hashlib import sha256

import msgpack
import pytest

from ledger.entry import NO_ENTRY, entry_hash


def test_the_hash_is_of_the_documented_array() -> None:
    """An independent spelling of the format gives the same hash."""
    array = ["tiezheng/entry", 1, "test-00112233", b"\x01" * 32, 300, 7, 1, b"\x02" * 32]
    expected = sha256(msgpack.packb(array, use_bin_type=True)).digest()
    assert entry_hash("test-00112233", b"\x01" * 32, 300, 7, b"\x02" * 32) == expected


def test_every_part_counts() -> None:
    """Another chain, predecessor, height, term or body gives another hash."""
    base = ("test-00112233", NO_ENTRY, 1, 1, bytes(32))
    others = [
        ("test-00112234", *base[1:]),
        (base[0], b"\x01" * 32, *base[2:]),
        (*base[:2], 2, 1, bytes(32)),
        (*base[:3], 2, bytes(32)),
        (*base[:4], b"\x01" * 32),
    ]
    hashes = {entry_hash(*base), *(entry_hash(*other) for other in others)}
    assert len(hashes) == 6


def test_digests_have_32_bytes() -> None:
    """Hashing something else is our own bug."""
    with pytest.raises(AssertionError):
        entry_hash("test-00112233", b"", 1, 1, bytes(32))
    with pytest.raises(AssertionError):
        entry_hash("test-00112233", bytes(32), 1, 1, b"")
