"""Ids and cursors have one spelling each."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import RequestError
from gateway.web.ids import format_cursor, format_id, parse_cursor, parse_id

NUMBERS = st.integers(1, 10**18 - 1)


@given(NUMBERS)
def test_ids_and_cursors_come_back(number: int) -> None:
    """What is given out is read again."""
    assert parse_id(format_id(number)) == number
    assert parse_cursor(format_cursor(number)) == number


@pytest.mark.parametrize(
    "text", ["", "1", "r", "r0", "r01", "R1", "r1 ", "r-1", "r1٣", "r" + "9" * 19, "r1/../2"]
)
def test_other_spellings_of_ids_are_unknown_records(text: str) -> None:
    """Nothing is trimmed, folded or guessed."""
    with pytest.raises(RequestError, match="E_RECORD_UNKNOWN"):
        parse_id(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "====",
        "MTo=",
        "MTo1=",
        " " + format_cursor(5),
        format_cursor(5) + "=",
        "A" * 65,
        "é",
        "MjoxMg",
    ]
    + [
        base64.urlsafe_b64encode(raw).decode().rstrip("=")
        for raw in (b"1:05", b"1:-5", b"1:5 ", b"2:5", b"1:")
    ],
)
def test_other_cursors_are_refused(text: str) -> None:
    """A cursor is ours, byte for byte."""
    with pytest.raises(RequestError, match="E_CURSOR"):
        parse_cursor(text)


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing else is ever raised, and what is read spells back."""
    try:
        number = parse_cursor(text)
    except RequestError:
        return
    assert format_cursor(number) == text
