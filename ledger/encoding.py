"""Canonical bytes: the one spelling of everything we hash or sign that is not a record leaf.

Why: two nodes must never disagree about a hash, and a signature must never fit two meanings. So each value
has exactly one spelling, and whoever reads bytes refuses every other spelling before looking at their
meaning.

Rules kept here:
- The data model is arrays, unsigned integers of at most 2**63 - 1, byte strings and UTF-8 text. No maps,
  floats, negative numbers, booleans, nil or extensions.
- The spelling is msgpack's shortest form of each.
- Reading is strict, in this order: size cap; a walk over the bytes that allocates nothing and bounds depth
  and number of items (a header of five bytes may claim four thousand million elements); decoding; encoding
  again and comparing every byte.
- Shapes are checked field by field with the `as_…` helpers, whose errors name the field and the reason.

Sources: the msgpack specification; DESIGN of the formats in docs/formats/ledger.md.
The only module of the project's pure rooms that imports msgpack.
Refuses: optional fields, defaults, versions negotiated by presence. A format changes by its number.
"""

import re
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import msgpack

from ledger.errors import EncodingError

INT_MAX: Final = 2**63 - 1
DEPTH_MAX: Final = 8
"""Arrays inside arrays. The deepest format, a genesis body, needs six."""
ITEMS_MAX: Final = 131_072
"""Values of any kind in one message. A body of 4 MiB made of one-record envelopes needs about 127,000."""

Value: TypeAlias = "int | bytes | str | Sequence[Value]"

_ARRAY: Final = "array"
_FIXED: Final = "fixed"
# First byte -> (what follows the header, width in bytes of the big-endian length or of the integer itself).
_FORMS: Final = {
    0xC4: ("payload", 1),
    0xC5: ("payload", 2),
    0xC6: ("payload", 4),
    0xCC: (_FIXED, 1),
    0xCD: (_FIXED, 2),
    0xCE: (_FIXED, 4),
    0xCF: (_FIXED, 8),
    0xD9: ("payload", 1),
    0xDA: ("payload", 2),
    0xDB: ("payload", 4),
    0xDC: (_ARRAY, 2),
    0xDD: (_ARRAY, 4),
}


def pack(value: Value) -> bytes:
    """Return the canonical bytes of nested lists or tuples of ints, bytes and text.

    Anything outside the data model is our own bug, hence an AssertionError.
    """
    _assert_value(value, 1)
    packed: bytes = msgpack.packb(value, use_bin_type=True)
    return packed


def pack_joined(elements: Sequence[bytes]) -> bytes:
    """Return the array whose elements are already canonical bytes: nothing received is ever spelled again."""
    header: bytes = msgpack.Packer(use_bin_type=True).pack_array_header(len(elements))
    return header + b"".join(elements)


def unpack(data: bytes, *, max_bytes: int, what: str) -> list[Any]:
    """Return the array that `data` spells canonically.

    `what` names the thing in errors ("envelope"). Raises EncodingError: E_ENCODING_SIZE,
    E_ENCODING_TRUNCATED, E_ENCODING_TYPE, E_ENCODING_DEPTH, E_ENCODING_ITEMS, E_ENCODING_TRAILING,
    E_ENCODING_UTF8, E_ENCODING_RANGE (an integer above 2**63 - 1), E_ENCODING_FORM (not the shortest form),
    E_ENCODING_SHAPE (not an array).
    """
    if len(data) > max_bytes:
        raise EncodingError("E_ENCODING_SIZE", f"{what} has {len(data)} bytes, more than {max_bytes}")
    if _end_of(data, 0, what) != len(data):
        raise EncodingError("E_ENCODING_TRAILING", f"{what} is followed by other bytes")
    try:
        value = msgpack.unpackb(data, raw=False, use_list=True)
    except UnicodeDecodeError as error:
        raise EncodingError("E_ENCODING_UTF8", f"{what} holds text that is not UTF-8") from error
    if not isinstance(value, list):
        raise EncodingError("E_ENCODING_SHAPE", f"{what} is not an array")
    if msgpack.packb(value, use_bin_type=True) != data:
        raise EncodingError("E_ENCODING_FORM", f"{what} is not in its shortest form")
    return value


def element_slices(data: bytes, *, what: str) -> list[bytes]:
    """Return the bytes of each element of an array, as they stand in `data`.

    For data that `unpack` has accepted (alone or as part of a whole); raises EncodingError like it otherwise.
    """
    position, count = _header(data, 0, what)
    if count is None:
        raise EncodingError("E_ENCODING_SHAPE", f"{what} is not an array")
    slices = []
    for _ in range(count):
        end = _end_of(data, position, what)
        slices.append(data[position:end])
        position = end
    if position != len(data):
        raise EncodingError("E_ENCODING_TRAILING", f"{what} is followed by other bytes")
    return slices


def _header(data: bytes, start: int, what: str) -> tuple[int, int | None]:
    """Return (position behind this item's header and payload, number of elements if it is an array)."""
    if start >= len(data):
        raise EncodingError("E_ENCODING_TRUNCATED", f"{what} ends too early")
    first = data[start]
    position = start + 1
    count = None
    if first <= 0x7F:  # small integer
        pass
    elif 0x90 <= first <= 0x9F:
        count = first - 0x90
    elif 0xA0 <= first <= 0xBF:  # short text
        position += first - 0xA0
    else:
        form, width = _FORMS.get(first, (None, 0))
        if form is None:
            raise EncodingError("E_ENCODING_TYPE", f"{what} holds a type that our formats do not have")
        number = int.from_bytes(data[position : position + width], "big")
        position += width
        if form == _ARRAY:
            count = number
        elif form == _FIXED:
            if number > INT_MAX:
                raise EncodingError("E_ENCODING_RANGE", f"{what} holds an integer above 2^63-1")
        else:
            position += number
    if position > len(data):
        raise EncodingError("E_ENCODING_TRUNCATED", f"{what} ends too early")
    return position, count


def _end_of(data: bytes, start: int, what: str) -> int:
    """Return the position behind the item that begins at `start`, within the limits of depth and number."""
    position = start
    items = 1
    left = [1]  # elements still to come, per open array; the item itself is the outermost
    while left:
        if not left[-1]:
            left.pop()
            continue
        left[-1] -= 1
        position, count = _header(data, position, what)
        if count is not None:
            items += count
            if items > ITEMS_MAX:
                raise EncodingError("E_ENCODING_ITEMS", f"{what} holds more than {ITEMS_MAX} values")
            if len(left) > DEPTH_MAX:
                raise EncodingError("E_ENCODING_DEPTH", f"{what} nests more than {DEPTH_MAX} arrays")
            left.append(count)
    return position


def _assert_value(value: object, depth: int) -> None:
    kind = type(value)  # exact: bool is a subclass of int and has no place here
    if kind is int:
        assert 0 <= value <= INT_MAX, "integers are 0 to 2**63 - 1"  # type: ignore[operator]
    elif kind is list or kind is tuple:
        assert depth <= DEPTH_MAX, "too many nested arrays"
        for item in value:  # type: ignore[attr-defined]
            _assert_value(item, depth + 1)
    else:
        assert kind is bytes or kind is str, f"{kind.__name__} has no canonical bytes"


def as_array(
    value: object, what: str, length: int | None = None, *, max_length: int = ITEMS_MAX
) -> list[Any]:
    """Return `value` if it is an array of exactly `length` (or of at most `max_length`) elements.

    Raises EncodingError E_FIELD_TYPE or E_FIELD_LENGTH.
    """
    if not isinstance(value, list):
        raise EncodingError("E_FIELD_TYPE", f"{what} is not an array")
    if length is not None and len(value) != length:
        raise EncodingError("E_FIELD_LENGTH", f"{what} has {len(value)} elements, not {length}")
    if len(value) > max_length:
        raise EncodingError("E_FIELD_LENGTH", f"{what} has {len(value)} elements, more than {max_length}")
    return value


def as_int(value: object, what: str, low: int = 0, high: int = INT_MAX) -> int:
    """Return `value` if it is an integer in [low, high]. Raises EncodingError E_FIELD_TYPE or
    E_FIELD_RANGE.
    """
    if type(value) is not int:
        raise EncodingError("E_FIELD_TYPE", f"{what} is not an integer")
    if not low <= value <= high:
        raise EncodingError("E_FIELD_RANGE", f"{what} is {value}, not within {low} to {high}")
    return value


def as_bytes(value: object, what: str, length: int | None = None, *, max_length: int = INT_MAX) -> bytes:
    """Return `value` if it is a byte string of exactly `length` (or of at most `max_length`) bytes.

    Raises EncodingError E_FIELD_TYPE or E_FIELD_LENGTH.
    """
    if not isinstance(value, bytes):
        raise EncodingError("E_FIELD_TYPE", f"{what} is not a byte string")
    if length is not None and len(value) != length:
        raise EncodingError("E_FIELD_LENGTH", f"{what} has {len(value)} bytes, not {length}")
    if len(value) > max_length:
        raise EncodingError("E_FIELD_LENGTH", f"{what} has {len(value)} bytes, more than {max_length}")
    return value


def as_text(value: object, what: str, pattern: re.Pattern[str]) -> str:
    """Return `value` if it is text that `pattern` matches whole.

    Raises EncodingError E_FIELD_TYPE or E_FIELD_PATTERN; the text itself is not repeated, it may be long.
    """
    if not isinstance(value, str):
        raise EncodingError("E_FIELD_TYPE", f"{what} is not text")
    if not pattern.fullmatch(value):
        raise EncodingError("E_FIELD_PATTERN", f"{what} does not match {pattern.pattern}")
    return value


def require_format(value: object, what: str, number: int = 1) -> None:
    """Return if `value` is the format number we know. Raises EncodingError E_FORMAT_UNKNOWN or
    E_FIELD_TYPE.
    """
    if as_int(value, f"{what} format") != number:
        raise EncodingError("E_FORMAT_UNKNOWN", f"{what} has format {value}; this program knows {number}")
