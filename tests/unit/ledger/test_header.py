"""Header leaves: derived bytes with one spelling, and numbers that a chain can have."""

from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from mutations import mutations

from ledger.body import BodyKind
from ledger.encoding import pack, unpack
from ledger.errors import EncodingError
from ledger.header import FIRST_BYTE, NO_BLOCK, Header, block_hash, encode_header, parse_header
from ledger.merkle import EMPTY_ROOT

HEADER = Header(
    kind=BodyKind.ENVELOPES,
    chain_id="test-00112233",
    height=7,
    term=2,
    prev=b"\x01" * 32,
    timestamp_ms=1_764_000_000_000,
    body_digest=b"\x02" * 32,
    records=3,
    tree_size=10,
    root=b"\x03" * 32,
    governance_hash=b"\x04" * 32,
)
GENESIS = replace(
    HEADER, kind=BodyKind.GENESIS, height=0, term=0, prev=NO_BLOCK, records=0, tree_size=0, root=EMPTY_ROOT
)


@pytest.mark.parametrize("header", [HEADER, GENESIS, replace(HEADER, kind=BodyKind.EMPTY, records=0)])
def test_a_header_is_read_back(header: Header) -> None:
    """Encoding and parsing are inverse, and the first byte tells the leaf from a record's."""
    leaf = encode_header(header)
    assert parse_header(leaf) == header
    assert leaf[0] == FIRST_BYTE


def test_the_block_hash_is_the_leaf_hash() -> None:
    """RFC 6962 leaf hash of the header's bytes."""
    leaf = encode_header(HEADER)
    assert block_hash(leaf) == sha256(b"\x00" + leaf).digest()


def test_a_changed_byte_is_refused_or_another_header() -> None:
    """Whatever is accepted differs from the original and has one spelling."""
    for bad in mutations(encode_header(HEADER)):
        try:
            found = parse_header(bad)
        except EncodingError:
            continue
        assert found != HEADER
        assert encode_header(found) == bad


@pytest.mark.parametrize(
    ("at", "value", "code"),
    [
        (0, 2, "E_FORMAT_UNKNOWN"),
        (1, 0, "E_FIELD_RANGE"),
        (1, 5, "E_FIELD_RANGE"),
        (1, 4, "E_HEADER_GENESIS"),
        (2, "test", "E_FIELD_PATTERN"),
        (3, 0, "E_HEADER_GENESIS"),
        (5, 2, "E_ALGORITHM_UNSUPPORTED"),
        (5, 9, "E_ALGORITHM_UNKNOWN"),
        (6, bytes(31), "E_FIELD_LENGTH"),
        (9, 0, "E_HEADER_RECORDS"),
        (9, 4, "E_HEADER_RECORDS"),
        (10, 9, "E_HEADER_RECORDS"),
        (11, "root", "E_FIELD_TYPE"),
        (12, bytes(33), "E_FIELD_LENGTH"),
    ],
)
def test_each_rule(at: int, value: Any, code: str) -> None:
    """Every rule of the header refuses with its own code."""
    fields = unpack(encode_header(HEADER), max_bytes=512, what="header")
    fields[at] = value
    with pytest.raises(EncodingError) as caught:
        parse_header(pack(fields))
    assert caught.value.code == code


@pytest.mark.parametrize(
    "change", [{"term": 1}, {"prev": b"\x01" * 32}, {"tree_size": 1}, {"root": bytes(32)}, {"height": 1}]
)
def test_genesis_begins_everything(change: dict[str, Any]) -> None:
    """A genesis header with a past is none."""
    with pytest.raises(EncodingError) as caught:
        parse_header(encode_header(replace(GENESIS, **change)))
    assert caught.value.code == "E_HEADER_GENESIS"


def test_size_is_capped() -> None:
    """A header leaf is small, or it is none."""
    with pytest.raises(EncodingError) as caught:
        parse_header(bytes(513))
    assert caught.value.code == "E_ENCODING_SIZE"
