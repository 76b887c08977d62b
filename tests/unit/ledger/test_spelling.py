"""Numbers, base64 and names have one spelling each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutations import mutations

from ledger.errors import EncodingError
from ledger.spelling import base64_bytes, base64_text, decimal, hash_bytes, is_name


@pytest.mark.parametrize("number", [0, 1, 9, 10, 2**63 - 1])
def test_decimal_spells_its_number(number: int) -> None:
    """Plain digits are read."""
    assert decimal(str(number), "it") == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        "01",
        "+1",
        "-1",
        "-0",
        " 1",
        "1 ",
        "1\n",
        "1_0",
        "1.0",
        "0x1",
        "١",
        "²",
        "1e3",
        str(2**63),
        "9" * 99,
    ],
)
def test_other_decimals_are_refused(text: str) -> None:
    """Signs, zeros in front, other digits, other notations and too large numbers are refused."""
    with pytest.raises(EncodingError, match="E_DECIMAL"):
        decimal(text, "it")


@given(st.binary(max_size=80))
def test_base64_gives_back_its_bytes(data: bytes) -> None:
    """Writing and reading are inverse."""
    assert base64_bytes(base64_text(data), "it") == data


@pytest.mark.parametrize(
    "text", ["A", "AA", "AAA", "AA=", "AB==", "AAB=", "AA==AA==", "AA==\n", "A A=", "-_==", "ＡＡ=="]
)
def test_other_base64_is_refused(text: str) -> None:
    """Missing padding, loose bits, white space, the URL alphabet and non-ASCII are refused."""
    with pytest.raises(EncodingError, match="E_BASE64"):
        base64_bytes(text, "it")


def test_changed_base64_is_refused_or_spells_what_it_spells() -> None:
    """Any small change is refused, or is the one spelling of other bytes."""
    for changed in mutations(base64_text(bytes(range(20))).encode()):
        text = changed.decode("latin-1")
        try:
            data = base64_bytes(text, "it")
        except EncodingError:
            continue
        assert base64_text(data) == text


@pytest.mark.parametrize("length", [0, 31, 33])
def test_hash_has_32_bytes(length: int) -> None:
    """Base64 of another length is no hash."""
    with pytest.raises(EncodingError, match="E_HASH_LENGTH"):
        hash_bytes(base64_text(bytes(length)), "it")


@pytest.mark.parametrize(
    "text", ["a", "example.com/log42", "MARKET/market-1", "铁证", "é", "a" * 255, "#", "—"]
)
def test_names(text: str) -> None:
    """Whatever is not white space, plus or control may be a name."""
    assert is_name(text)


@pytest.mark.parametrize(
    "text", ["", "a b", "a+b", "a\tb", "a\nb", "\x00", "\x1f", "\x7f", "a\x85", "a\xa0b"]
)
@pytest.mark.parametrize("more", ["", "\u2003", "\u2028", "\u3000", "\udc80", "a" * 256, "铁" * 86])
def test_what_is_no_name(text: str, more: str) -> None:
    """Empty texts, white space of any script, plus, controls, lone surrogates and more than 255 bytes are
    refused.
    """
    assert not is_name(text + more)
    assert not is_name(more)


def test_every_white_space_is_excluded() -> None:
    """No character that Python's Unicode tables call white space may stand in a name."""
    assert [hex(code) for code in range(0x110000) if chr(code).isspace() and is_name(chr(code))] == []
