"""Canonical bytes have one spelling, and nothing else is read."""

import re
import struct
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutations import mutations

from ledger import encoding
from ledger.encoding import element_slices, pack, pack_joined, unpack
from ledger.errors import EncodingError

VALUES = st.recursive(
    st.integers(0, encoding.INT_MAX) | st.binary(max_size=300) | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=5),
    max_leaves=12,
)


def read(data: bytes) -> list[Any]:
    """Unpack with room enough."""
    return unpack(data, max_bytes=1 << 20, what="thing")


def refusal(data: bytes) -> str:
    """The code with which data is refused."""
    with pytest.raises(EncodingError) as caught:
        read(data)
    return caught.value.code


def depth(value: object) -> int:
    """How many arrays are inside each other."""
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@given(st.lists(VALUES, max_size=5))
def test_what_is_packed_is_read_back(value: list[Any]) -> None:
    """Packing and reading are each other's inverse, for everything within the depth limit."""
    if depth(value) <= encoding.DEPTH_MAX:
        assert read(pack(value)) == value


@given(st.binary(max_size=200))
def test_whatever_is_read_has_no_other_spelling(data: bytes) -> None:
    """Any bytes are either refused or the one spelling of what they say."""
    try:
        value = read(data)
    except EncodingError:
        return
    assert pack(value) == data


@given(st.binary(max_size=80))
def test_msgpack_never_reads_what_the_walk_did_not_bound(data: bytes) -> None:
    """The walk refuses, with a stable code, everything that msgpack itself cannot read as one value."""
    try:
        msgpack.unpackb(data, raw=False)
    except Exception:  # noqa: BLE001 - whatever msgpack raises
        with pytest.raises(EncodingError):
            read(data)


def test_one_byte_changes_are_refused_or_mean_something_else() -> None:
    """No changed byte leaves the meaning as it was."""
    value: list[Any] = [1, "tiezheng/x", 2**40, b"\x00" * 40, ["a", [], 127, 128, "ü"], b""]
    good = pack(value)
    for bad in mutations(good):
        try:
            assert read(bad) != value
        except EncodingError:
            continue
        assert pack(read(bad)) == bad


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "E_ENCODING_TRUNCATED"),
        (b"\x92\x01", "E_ENCODING_TRUNCATED"),
        (b"\x91\xc4\x05ab", "E_ENCODING_TRUNCATED"),
        (b"\x91\xcd\x01", "E_ENCODING_TRUNCATED"),
        (b"\x91\x01\x01", "E_ENCODING_TRAILING"),
        (b"\x01", "E_ENCODING_SHAPE"),
        (b"\xc4\x01a", "E_ENCODING_SHAPE"),
        (b"\x91\xc0", "E_ENCODING_TYPE"),
        (b"\x91\xc2", "E_ENCODING_TYPE"),
        (b"\x91\xff", "E_ENCODING_TYPE"),
        (b"\x91\xd0\x80", "E_ENCODING_TYPE"),
        (b"\x91\xcb" + struct.pack(">d", 1.5), "E_ENCODING_TYPE"),
        (b"\x91\x80", "E_ENCODING_TYPE"),
        (b"\x91\xd4\x01\x01", "E_ENCODING_TYPE"),
        (b"\x91\xc7\x01\x01\x01", "E_ENCODING_TYPE"),
        (b"\x91\xc1", "E_ENCODING_TYPE"),
        (b"\x91\xcf" + b"\xff" * 8, "E_ENCODING_RANGE"),
        (b"\x91\xcf\x80" + b"\x00" * 7, "E_ENCODING_RANGE"),
        (b"\x91\xcc\x7f", "E_ENCODING_FORM"),
        (b"\x91\xcd\x00\xff", "E_ENCODING_FORM"),
        (b"\x91\xc5\x00\x01a", "E_ENCODING_FORM"),
        (b"\x91\xd9\x01a", "E_ENCODING_FORM"),
        (b"\xdc\x00\x01\x01", "E_ENCODING_FORM"),
        (b"\x91\xa2\xff\xfe", "E_ENCODING_UTF8"),
        (b"\x91\xa3\xed\xa0\x80", "E_ENCODING_UTF8"),
        (b"\x91\xa2\xc0\x80", "E_ENCODING_UTF8"),
        (b"\x91" * 9 + b"\x01", "E_ENCODING_DEPTH"),
        (b"\x91" * 5000, "E_ENCODING_DEPTH"),
        (b"\xdd\xff\xff\xff\xff", "E_ENCODING_ITEMS"),
        (b"\xdd\x00\x02\x00\x00" + b"\x90" * 131_072, "E_ENCODING_ITEMS"),
    ],
)
def test_every_other_spelling_is_refused(data: bytes, code: str) -> None:
    """Each way of not being canonical has its own code."""
    assert refusal(data) == code


def test_size_is_judged_first() -> None:
    """Too many bytes are refused unread, and the error says what and how many."""
    with pytest.raises(EncodingError, match="thing has 3 bytes, more than 2") as caught:
        unpack(b"\xff\xff\xff", max_bytes=2, what="thing")
    assert caught.value.code == "E_ENCODING_SIZE"


def test_limits_are_wide_enough() -> None:
    """The deepest and the most numerous message within the limits is read."""
    assert read(b"\x91" * 8 + b"\x01") == [[[[[[[[1]]]]]]]]
    most = b"\xdd" + (encoding.ITEMS_MAX - 1).to_bytes(4, "big") + b"\x01" * (encoding.ITEMS_MAX - 1)
    assert len(read(most)) == encoding.ITEMS_MAX - 1


@pytest.mark.parametrize("value", [[True], [None], [1.0], [-1], [2**63], [{}], [{1}], [[[[[[[[[1]]]]]]]]]])
def test_packing_anything_else_is_our_own_bug(value: Any) -> None:
    """Values outside the data model are never packed."""
    with pytest.raises(AssertionError):
        pack(value)


def test_tuples_are_arrays() -> None:
    """A tuple is spelled like a list."""
    assert pack((1, ("a", b"b"))) == pack([1, ["a", b"b"]])


@given(st.lists(VALUES, max_size=40))
def test_elements_are_cut_where_they_were_joined(values: list[Any]) -> None:
    """Joining canonical elements gives the canonical array, and cutting gives the very elements back."""
    parts = [pack(value) for value in values]
    joined = pack_joined(parts)
    assert element_slices(joined, what="thing") == parts
    if max(map(depth, values), default=0) < encoding.DEPTH_MAX:
        assert joined == pack(values)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x01", "E_ENCODING_SHAPE"),
        (b"\x91\x01\x01", "E_ENCODING_TRAILING"),
        (b"\x92\x01", "E_ENCODING_TRUNCATED"),
    ],
)
def test_cutting_refuses_what_is_no_array(data: bytes, code: str) -> None:
    """Cutting checks its input like reading."""
    with pytest.raises(EncodingError) as caught:
        element_slices(data, what="thing")
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda: encoding.as_array(1, "x"), "E_FIELD_TYPE"),
        (lambda: encoding.as_array([1], "x", 2), "E_FIELD_LENGTH"),
        (lambda: encoding.as_array([1, 2], "x", max_length=1), "E_FIELD_LENGTH"),
        (lambda: encoding.as_int("1", "x"), "E_FIELD_TYPE"),
        (lambda: encoding.as_int(True, "x"), "E_FIELD_TYPE"),
        (lambda: encoding.as_int(5, "x", 6), "E_FIELD_RANGE"),
        (lambda: encoding.as_int(8, "x", 6, 7), "E_FIELD_RANGE"),
        (lambda: encoding.as_bytes("a", "x"), "E_FIELD_TYPE"),
        (lambda: encoding.as_bytes(b"a", "x", 2), "E_FIELD_LENGTH"),
        (lambda: encoding.as_bytes(b"ab", "x", max_length=1), "E_FIELD_LENGTH"),
        (lambda: encoding.as_text(b"a", "x", re.compile("a")), "E_FIELD_TYPE"),
        (lambda: encoding.as_text("ab", "x", re.compile("a")), "E_FIELD_PATTERN"),
        (lambda: encoding.as_text("a\n", "x", re.compile("a$")), "E_FIELD_PATTERN"),
        (lambda: encoding.require_format(2, "x"), "E_FORMAT_UNKNOWN"),
        (lambda: encoding.require_format("1", "x"), "E_FIELD_TYPE"),
    ],
)
def test_fields_are_refused_by_name(call: Any, code: str) -> None:
    """A field of another shape is refused with a code, and the message begins with the field's name."""
    with pytest.raises(EncodingError) as caught:
        call()
    assert caught.value.code == code
    assert caught.value.message.startswith("x")


def test_fields_are_returned() -> None:
    """A field of the right shape comes back as it is."""
    assert encoding.as_array([1], "x", 1) == [1]
    assert encoding.as_int(6, "x", 6, 6) == 6
    assert encoding.as_bytes(b"ab", "x", 2) == b"ab"
    assert encoding.as_text("a", "x", re.compile("a")) == "a"
    encoding.require_format(1, "x")
