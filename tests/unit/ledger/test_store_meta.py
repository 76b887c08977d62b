"""A store says what it is, and one of another format, kind or owner is refused in plain words."""

import pytest

from ledger.encoding import pack
from ledger.errors import StoreDamagedError, StoreError
from ledger.store_meta import CHAIN, DERIVED, PURPOSE, StoreMeta, decode_meta, encode_meta, require_meta

META = StoreMeta(CHAIN, "test-01234567", "broker-1", bytes(range(16)))


def test_what_is_written_comes_back() -> None:
    """Encoding and decoding are inverse."""
    assert decode_meta(encode_meta(META), "here") == META


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (None, "E_STORE_FOREIGN"),
        (pack(["other/store", 1]), "E_STORE_FOREIGN"),
        (pack([]), "E_STORE_FOREIGN"),
        (pack([PURPOSE, 2, 1, CHAIN, "test-01234567", "broker-1", bytes(16)]), "E_STORE_VERSION"),
        (pack([PURPOSE, 1, 2, CHAIN, "test-01234567", "broker-1", bytes(16)]), "E_STORE_VERSION"),
        (pack([PURPOSE, 7, 9, "whatever", "comes", "then"]), "E_STORE_VERSION"),
        (pack([PURPOSE]), "E_STORE_DAMAGED"),
        (pack([PURPOSE, 1, 1, CHAIN, "test-01234567", "broker-1"]), "E_STORE_DAMAGED"),
        (pack([PURPOSE, 1, 1, CHAIN, "test-01234567", "broker-1", bytes(15)]), "E_STORE_DAMAGED"),
        (b"\xff", "E_STORE_DAMAGED"),
    ],
)
def test_everything_else_is_refused(value: bytes | None, code: str) -> None:
    """Not ours, another layout, a newer program needed, damaged: four different answers."""
    with pytest.raises(StoreError) as caught:
        decode_meta(value, "/srv/chain")
    assert caught.value.code == code
    assert isinstance(caught.value, StoreDamagedError) == (code == "E_STORE_DAMAGED")


def test_the_words_name_both_versions() -> None:
    """An operator reads which format was found and which one this program knows."""
    with pytest.raises(StoreError, match=r"format 3 and needs a program of level 5.*knows format 1"):
        decode_meta(pack([PURPOSE, 3, 5]), "here")


def test_kind_and_owner_are_compared() -> None:
    """The derived folder in the chain's place, and another node's folder, are foreign."""
    require_meta(META, kind=CHAIN, node_id="broker-1", where="here")
    with pytest.raises(StoreError, match=r"E_STORE_FOREIGN.*chain store, not a derived"):
        require_meta(META, kind=DERIVED, node_id="broker-1", where="here")
    with pytest.raises(StoreError, match=r"E_STORE_FOREIGN.*broker-1.*market-1"):
        require_meta(META, kind=CHAIN, node_id="market-1", where="here")


def test_no_byte_of_it_can_change_unseen() -> None:
    """Every changed byte gives another meta or a refusal, never the same one."""
    good = encode_meta(META)
    for at in range(len(good)):
        bad = good[:at] + bytes((good[at] ^ 1,)) + good[at + 1 :]
        try:
            assert decode_meta(bad, "here") != META
        except StoreError:
            continue
