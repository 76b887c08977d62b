"""Identifiers have narrow alphabets, and registration codes their check digit."""

import re
import sys

import pytest

from ledger import names


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (names.INSTITUTION, ["A", "BROKER-1", "A" * 16], ["", "a", "A" * 17, "A_", "A\n", "Ａ", "A "]),
        (names.NODE_ID, ["a", "broker-1", "a" * 32], ["", "A", "a" * 33, "a/b", "a.b", "a\n"]),
        (names.KEY_ID, ["log-1"], ["", "LOG", "a" * 33]),
        (names.CHAIN_NAME, ["dev", "a" * 40], ["", "a" * 41, "dev+"]),
        (names.CHAIN_ID, ["dev-0011aaff"], ["dev", "dev-0011AAFF", "-0011aaff", "dev-0011aaff0\n"]),
        (names.SOURCE, ["PUSH.SMS", "A" * 24], ["", "push", "A" * 25, "A_B"]),
        (names.TEMPLATE, ["SMS-NTC-01", "!~", "a" * 32], ["", "a b", "é", "a" * 33, "\x7f"]),
        (names.PROPOSER, ["", "broker-1"], ["A", "a" * 33]),
        (names.REGISTRATION, ["", "91990000123456789X"], ["a", "1" * 33, "1 2"]),
        (
            names.DISPLAY_NAME,
            ["样", "样例证券", "A b", "x" * 64],
            ["", " a", "a ", "a\n", "a\u202eb", "a\u3000", "x" * 65, "\ufeffa", "a\x00b"],
        ),
    ],
)
def test_alphabets(pattern: re.Pattern[str], good: list[str], bad: list[str]) -> None:
    """Each identifier takes what it should and nothing else, line ends included."""
    assert [text for text in good if not pattern.fullmatch(text)] == []
    assert [text for text in bad if pattern.fullmatch(text)] == []


def test_ascii_alphabets_have_no_other_characters() -> None:
    """No character outside ASCII ever passes a pattern for machines."""
    machine = (names.INSTITUTION, names.NODE_ID, names.SOURCE, names.TEMPLATE, names.REGISTRATION)
    others = [chr(point) for point in range(0x80, sys.maxunicode + 1)]
    assert not [char for pattern in machine for char in others if pattern.fullmatch(char)]


def test_chain_id_holds_the_genesis_digest() -> None:
    """The id is the name and the first four bytes of the genesis digest."""
    assert names.chain_id("dev", bytes.fromhex("00112233") + bytes(28)) == "dev-00112233"
    assert names.CHAIN_ID.fullmatch(names.chain_id("a" * 40, bytes(32)))


def test_check_character_of_the_standards_example() -> None:
    """GB 32100-2015 annex: the example's eighteenth character follows from the others."""
    assert names.uscc_check_character("91350100M000100Y4") == "3"
    assert names.registration_valid("91350100M000100Y43")


def test_one_wrong_character_is_noticed() -> None:
    """Every single wrong character of a code is noticed."""
    code = "91350100M000100Y43"
    for place in range(18):
        for char in names.USCC_ALPHABET:
            changed = code[:place] + char + code[place + 1 :]
            assert names.registration_valid(changed) == (changed == code)


@pytest.mark.parametrize(
    ("code", "good"), [("", True), ("LEI-5493", True), ("91350100I000100Y43", False), ("a", False)]
)
def test_other_codes(code: str, good: bool) -> None:
    """Codes of another length are taken as they are; eighteen characters must be of the standard's
    alphabet.
    """
    assert names.registration_valid(code) is good
