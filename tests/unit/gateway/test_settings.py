"""Strict configuration reading."""

# ruff: noqa: RUF009 - setting() and section() return dataclass fields
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import ConfigError
from gateway.settings import build, read_document, reference, section, setting


@dataclass(frozen=True, slots=True)
class Inner:
    """A table."""

    number: int = setting("A number.", 5, low=1, high=9)
    flag: bool = setting("A flag.", False)


@dataclass(frozen=True, slots=True)
class Outer:
    """The document."""

    name: str = setting("A name.")
    parts: dict[str, Inner] = setting("Tables by id.")
    inner: Inner = section(Inner, "A table.")


GOOD: dict[str, Any] = {"name": "x", "parts": {"a": {"number": 2}}, "inner": {"flag": True}}


def test_a_good_document_becomes_values() -> None:
    """Defaults fill what is not said."""
    made = build(Outer, GOOD)
    assert made == Outer("x", {"a": Inner(2, False)}, Inner(5, True))


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"nam": 1}, "E_CONFIG_UNKNOWN_KEY", "nam"),
        ({"inner": {"numbr": 1}}, "E_CONFIG_UNKNOWN_KEY", "inner.numbr"),
        ({"parts": {"a": {"x": 1}}}, "E_CONFIG_UNKNOWN_KEY", "parts.a.x"),
        ({"name": 5}, "E_CONFIG_TYPE", "name"),
        ({"inner": {"number": True}}, "E_CONFIG_TYPE", "inner.number"),
        ({"inner": {"number": 1.0}}, "E_CONFIG_TYPE", "inner.number"),
        ({"inner": 5}, "E_CONFIG_TYPE", "inner"),
        ({"parts": {"a": 5}}, "E_CONFIG_TYPE", "parts.a"),
        ({"inner": {"number": 0}}, "E_CONFIG_RANGE", "inner.number"),
        ({"inner": {"number": 10}}, "E_CONFIG_RANGE", "inner.number"),
        ({"parts": {}}, "E_CONFIG_RANGE", "parts"),
        ({"parts": {f"n{n}": {} for n in range(65)}}, "E_CONFIG_RANGE", "parts"),
    ],
)
def test_a_bad_document_is_fatal_and_named(change: dict[str, Any], code: str, words: str) -> None:
    """With the dotted path."""
    with pytest.raises(ConfigError, match=words) as caught:
        build(Outer, {**GOOD, **change})
    assert caught.value.code == code


def test_what_only_the_operator_knows_has_no_default() -> None:
    """The message says what the setting is."""
    with pytest.raises(ConfigError, match=r"E_CONFIG_MISSING: name is missing: A name\."):
        build(Outer, {"parts": {"a": {}}})


def test_the_reference_lists_every_setting() -> None:
    """In order, with kind, default and words."""
    rows = [(row.path, row.kind, row.default) for row in reference(Outer)]
    assert rows == [
        ("name", "text", ""),
        ("parts.ID", "table", ""),
        ("parts.ID.number", "number", "5"),
        ("parts.ID.flag", "yes/no", "false"),
        ("inner.number", "number", "5"),
        ("inner.flag", "yes/no", "false"),
    ]


@pytest.mark.parametrize("content", [b"= broken", b"\xff", b"#" * 300_000])
def test_an_unreadable_file_is_said(tmp_path: Path, content: bytes) -> None:
    """No TOML, no UTF-8, too large, not there."""
    path = tmp_path / "x.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="E_CONFIG_UNREADABLE"):
        read_document(path)
    with pytest.raises(ConfigError, match="E_CONFIG_UNREADABLE"):
        read_document(tmp_path / "none")
