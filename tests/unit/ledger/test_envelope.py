"""Envelopes: signed batches of leaves of one institution, for one chain."""

from hashlib import sha256
from typing import Any

import ledger_world as world
import pytest
from mutations import mutations

from ledger.encoding import pack
from ledger.envelope import Envelope, parse_envelope, seal_envelope, signed_message, verify_envelope
from ledger.errors import BodyError, EncodingError, LedgerError

CHAIN = "test-00112233"
SEED, PUBLIC = world.seed("BROKER", "gateway-1"), world.public("BROKER", "gateway-1")


def sealed(count: int = 2) -> Envelope:
    """A good envelope."""
    return seal_envelope(CHAIN, "BROKER", "gateway-1", world.leaves(0, count), SEED)


def raw_with(at: int, value: Any) -> bytes:
    """A good envelope's bytes with one field replaced."""
    good = sealed()
    fields: list[Any] = [good.institution, good.key_id, good.count, good.leaves, good.sig_alg, good.signature]
    fields[at] = value
    return pack(fields)


def test_sealed_is_parsed_and_verified() -> None:
    """What a submitter seals, everybody reads the same and finds signed."""
    good = sealed()
    assert parse_envelope(good.raw) == good
    verify_envelope(good, CHAIN, PUBLIC)


@pytest.mark.parametrize(
    ("at", "value", "error", "code"),
    [
        (0, "broker", EncodingError, "E_FIELD_PATTERN"),
        (0, "MARKET", BodyError, "E_LEAF_INSTITUTION"),
        (1, "", EncodingError, "E_FIELD_PATTERN"),
        (2, 0, EncodingError, "E_FIELD_RANGE"),
        (2, 3, BodyError, "E_ENVELOPE_COUNT"),
        (2, 2**40, BodyError, "E_ENVELOPE_COUNT"),
        (3, b"", BodyError, "E_LEAF_SIZE"),
        (3, bytes(258), BodyError, "E_LEAF_KIND"),
        (3, "text", EncodingError, "E_FIELD_TYPE"),
        (4, 0, EncodingError, "E_ALGORITHM_UNKNOWN"),
        (4, 2, EncodingError, "E_ALGORITHM_UNSUPPORTED"),
        (5, bytes(63), EncodingError, "E_FIELD_LENGTH"),
    ],
)
def test_each_field_is_judged(at: int, value: Any, error: type[LedgerError], code: str) -> None:
    """Every field has its rule and its code."""
    with pytest.raises(error) as caught:
        parse_envelope(raw_with(at, value))
    assert caught.value.code == code


def test_size_is_capped() -> None:
    """An envelope above the cap is refused before it is looked at."""
    with pytest.raises(EncodingError) as caught:
        parse_envelope(sealed().raw, max_bytes=300)
    assert caught.value.code == "E_ENCODING_SIZE"


def test_no_changed_byte_is_accepted() -> None:
    """Form and signature together refuse every change, whatever it was."""
    good = sealed(1)
    for bad in mutations(good.raw):
        with pytest.raises(LedgerError):
            verify_envelope(parse_envelope(bad), CHAIN, PUBLIC)


def test_the_signature_is_for_one_chain_and_key() -> None:
    """An envelope is not valid on another chain, nor under another key."""
    good = sealed()
    for chain, key in (("test-00112234", PUBLIC), (CHAIN, world.public("somebody"))):
        with pytest.raises(BodyError) as caught:
            verify_envelope(good, chain, key)
        assert caught.value.code == "E_ENVELOPE_SIGNATURE"


def test_the_signed_message() -> None:
    """What is signed names purpose, format, chain, signer, count, algorithm and digest of the leaves."""
    leaves = world.leaves(0, 1)
    digest = sha256(leaves).digest()
    expected = pack(["tiezheng/envelope", 1, CHAIN, "BROKER", "gateway-1", 1, 1, digest])
    assert signed_message(CHAIN, "BROKER", "gateway-1", 1, leaves) == expected


def test_bad_leaves_are_not_sealed() -> None:
    """A submitter cannot sign leaves that nobody would take."""
    with pytest.raises(BodyError):
        seal_envelope(CHAIN, "MARKET", "gateway-1", world.leaves(0, 1), SEED)
