"""Record leaves: 128 bytes, one spelling, checked one by one or by columns with the same result."""

from dataclasses import replace
from hashlib import sha256
from typing import Any

import ledger_world as world
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutations import mutations

from ledger import record
from ledger.errors import BodyError
from ledger.record import (
    RecordLeaf,
    check_leaves,
    commitment_keys,
    decode_leaf,
    encode_leaf,
    encode_leaves,
    leaf_slices,
)

RECORD = RecordLeaf(bytes(range(32)), "BROKER", "PUSH.SMS", 1001, "SMS-NTC-01", 258)

RECORDS = st.builds(
    RecordLeaf,
    st.binary(min_size=32, max_size=32),
    st.just("BROKER"),
    st.from_regex(r"\A[A-Z0-9.-]{1,24}\Z"),
    st.none() | st.integers(0, 2**63 - 1),
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=32),
    st.integers(0, 0xFFFF),
)


def joined(records: list[RecordLeaf]) -> bytes:
    """The fast path's bytes for records of one institution."""
    return encode_leaves(
        "BROKER",
        commitments=[one.commitment for one in records],
        sources=[one.source for one in records],
        source_seqs=[one.source_seq for one in records],
        templates=[one.template for one in records],
        template_versions=[one.template_version for one in records],
    )


def code_of(call: Any, *args: Any) -> str:
    """The code with which a call is refused."""
    with pytest.raises(BodyError) as caught:
        call(*args)
    return caught.value.code


def verdict(call: Any, *args: Any) -> str:
    """The code with which a call is refused, or ``good``."""
    try:
        call(*args)
    except BodyError as error:
        return error.code
    return "good"


def test_layout() -> None:
    """Every field stands at its offset, as docs/formats/ledger.md says."""
    leaf = encode_leaf(RECORD)
    assert leaf == b"".join(
        (
            b"\x01\x01\x01\x01",
            (1001).to_bytes(8, "big"),
            bytes(range(32)),
            b"BROKER" + bytes(10),
            b"PUSH.SMS" + bytes(16),
            b"SMS-NTC-01" + bytes(22),
            b"\x01\x02",
            bytes(10),
        )
    )
    assert encode_leaf(replace(RECORD, source_seq=None))[3:12] == bytes(9)


@given(RECORDS)
def test_a_record_is_read_back(one: RecordLeaf) -> None:
    """Decoding gives the record that was encoded, sequence number 0 and none included."""
    assert decode_leaf(encode_leaf(one)) == one


@given(st.lists(RECORDS, min_size=1, max_size=9))
def test_the_fast_path_is_the_leaves_in_a_row(records: list[RecordLeaf]) -> None:
    """Columns give the same bytes as one leaf after the other, each behind 0x00, and pass the check."""
    leaves = joined(records)
    assert leaves == b"".join(b"\x00" + encode_leaf(one) for one in records)
    assert check_leaves(leaves, "BROKER") == len(records)
    assert leaf_slices(leaves) == tuple(b"\x00" + encode_leaf(one) for one in records)
    assert commitment_keys(leaves) == tuple(one.commitment[:16] for one in records)


def test_a_changed_byte_is_refused_or_another_record() -> None:
    """Whatever a changed leaf still says, it is not what it said, and it has no other spelling."""
    for source_seq in (None, 1001):
        one = replace(RECORD, source_seq=source_seq)
        for bad in mutations(encode_leaf(one)):
            try:
                found = decode_leaf(bad)
            except BodyError:
                continue
            assert found != one
            assert encode_leaf(found) == bad


def test_the_check_by_columns_agrees_with_the_check_by_leaf() -> None:
    """A changed byte in the middle of a body is refused with the code that the single leaf gets."""
    before, after = (b"\x00" + encode_leaf(replace(RECORD, source_seq=number)) for number in (1, None))
    good = encode_leaf(RECORD)
    for bad in mutations(good):
        if len(bad) != len(good):
            continue
        leaves = before + b"\x00" + bad + after
        expected = verdict(decode_leaf, bad)
        if expected == "good" and decode_leaf(bad).institution != "BROKER":
            expected = "E_LEAF_INSTITUTION"
        assert verdict(check_leaves, leaves, "BROKER") == expected


@pytest.mark.parametrize(
    ("at", "value", "code"),
    [
        (0, 0x9D, "E_LEAF_KIND"),
        (1, 2, "E_LEAF_KIND"),
        (2, 2, "E_LEAF_KIND"),
        (3, 2, "E_LEAF_FLAGS"),
        (3, 0x81, "E_LEAF_FLAGS"),
        (3, 0, "E_LEAF_SEQUENCE"),
        (4, 0x80, "E_LEAF_SEQUENCE"),
        (44, 0, "E_LEAF_INSTITUTION"),
        (44, ord("b"), "E_LEAF_INSTITUTION"),
        (59, ord("X"), "E_LEAF_INSTITUTION"),
        (60, 0, "E_LEAF_SOURCE"),
        (63, ord("_"), "E_LEAF_SOURCE"),
        (83, ord("X"), "E_LEAF_SOURCE"),
        (84, 0, "E_LEAF_TEMPLATE"),
        (85, 0x20, "E_LEAF_TEMPLATE"),
        (85, 0x7F, "E_LEAF_TEMPLATE"),
        (85, 0xC3, "E_LEAF_TEMPLATE"),
        (115, ord("X"), "E_LEAF_TEMPLATE"),
        (118, 1, "E_LEAF_RESERVED"),
        (127, 1, "E_LEAF_RESERVED"),
    ],
)
def test_each_rule_of_the_layout(at: int, value: int, code: str) -> None:
    """Every rule of the table refuses with its own code, for a leaf alone and in a row of equal ones."""
    bad = bytearray(encode_leaf(RECORD))
    bad[at] = value
    assert code_of(decode_leaf, bytes(bad)) == code
    assert code_of(check_leaves, (b"\x00" + bytes(bad)) * 3, "BROKER") == code


def test_sizes() -> None:
    """Leaves come whole, at least one, and behind a zero."""
    leaf = encode_leaf(RECORD)
    assert code_of(decode_leaf, leaf[:-1]) == "E_LEAF_SIZE"
    assert code_of(decode_leaf, b"") == "E_LEAF_SIZE"
    assert code_of(check_leaves, b"", "BROKER") == "E_LEAF_SIZE"
    assert code_of(check_leaves, b"\x00" + leaf + b"\x00", "BROKER") == "E_LEAF_SIZE"
    assert code_of(check_leaves, b"\x01" + leaf, "BROKER") == "E_LEAF_KIND"
    assert code_of(check_leaves, b"\x00" + leaf, "MARKET") == "E_LEAF_INSTITUTION"


def test_zero_padding_only_at_the_right() -> None:
    """A zero inside a text is no padding."""
    leaf = bytearray(encode_leaf(RECORD))
    leaf[46] = 0
    assert code_of(decode_leaf, bytes(leaf)) == "E_LEAF_INSTITUTION"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"commitment": bytes(31)}, "E_LEAF_COMMITMENT"),
        ({"institution": "broker"}, "E_LEAF_INSTITUTION"),
        ({"institution": ""}, "E_LEAF_INSTITUTION"),
        ({"source": "A" * 25}, "E_LEAF_SOURCE"),
        ({"source": "A\x00"}, "E_LEAF_SOURCE"),
        ({"template": ""}, "E_LEAF_TEMPLATE"),
        ({"template": "短信"}, "E_LEAF_TEMPLATE"),
        ({"template_version": 65536}, "E_LEAF_VERSION"),
        ({"template_version": -1}, "E_LEAF_VERSION"),
        ({"source_seq": -1}, "E_LEAF_SEQUENCE"),
        ({"source_seq": 2**63}, "E_LEAF_SEQUENCE"),
        ({"source_seq": 1.5}, "E_LEAF_SEQUENCE"),
    ],
)
def test_nothing_else_is_encoded(change: dict[str, Any], code: str) -> None:
    """A record that no leaf can hold is refused before any byte is made."""
    assert code_of(encode_leaf, replace(RECORD, **change)) == code


def test_header_leaves_are_never_record_leaves() -> None:
    """A header leaf begins with another byte, so no leaf is read as both kinds."""
    assert code_of(decode_leaf, b"\x9d" + encode_leaf(RECORD)[1:]) == "E_LEAF_KIND"


def test_a_full_body_is_checked() -> None:
    """5,000 leaves, numbered ones and others mixed, pass as what they are."""
    leaves = world.leaves(0, 5000)
    assert check_leaves(leaves, "BROKER") == 5000
    assert record.leaf_slices(leaves)[4999][13:45] == sha256(b"record 4999").digest()
