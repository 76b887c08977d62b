"""The strict reader of settings: unknown, missing, mistyped and out-of-range are all fatal, by their path."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from node.errors import ConfigError
from node.settings import build, read_document, reference, section, setting

# ruff: noqa: RUF009 - setting() and section() return dataclass fields


@dataclass(frozen=True, slots=True)
class Inner:
    """A section."""

    size: int = setting("A number.", 5, low=1, high=9)
    names: tuple[str, ...] = setting("Names.", ("a",))


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a table."""

    address: str = setting("Where.")


@dataclass(frozen=True, slots=True)
class Outer:
    """A whole document."""

    name: str = setting("Its name.")
    loud: bool = setting("Whether it shouts.", default=False)
    inner: Inner = section(Inner, "More.")
    entries: dict[str, Entry] = setting("Entries by name.", {})
    hidden: int = 0  # not a setting


def test_defaults_and_given_values() -> None:
    """What is not given is the default; what is given is taken as it is."""
    made = build(Outer, {"name": "x", "inner": {"size": 9}, "entries": {"e": {"address": "here"}}}, hidden=3)
    assert made == Outer(name="x", loud=False, inner=Inner(9, ("a",)), entries={"e": Entry("here")}, hidden=3)


@pytest.mark.parametrize(
    ("document", "code", "path"),
    [
        ({}, "E_CONFIG_MISSING", "name"),
        ({"name": "x", "nam": 1}, "E_CONFIG_UNKNOWN_KEY", "nam"),
        ({"name": "x", "hidden": 1}, "E_CONFIG_UNKNOWN_KEY", "hidden"),
        ({"name": "x", "inner": {"sise": 1}}, "E_CONFIG_UNKNOWN_KEY", "inner.sise"),
        ({"name": 5}, "E_CONFIG_TYPE", "name"),
        ({"name": "x", "loud": 1}, "E_CONFIG_TYPE", "loud"),
        ({"name": "x", "inner": {"size": True}}, "E_CONFIG_TYPE", "inner.size"),
        ({"name": "x", "inner": {"size": 1.5}}, "E_CONFIG_TYPE", "inner.size"),
        ({"name": "x", "inner": []}, "E_CONFIG_TYPE", "inner"),
        ({"name": "x", "inner": {"names": "a"}}, "E_CONFIG_TYPE", "inner.names"),
        ({"name": "x", "inner": {"names": [1]}}, "E_CONFIG_TYPE", "inner.names"),
        ({"name": "x", "inner": {"names": ["a"] * 65}}, "E_CONFIG_RANGE", "inner.names"),
        ({"name": "x", "inner": {"size": 0}}, "E_CONFIG_RANGE", "inner.size"),
        ({"name": "x", "inner": {"size": 10}}, "E_CONFIG_RANGE", "inner.size"),
        ({"name": "x", "entries": {"e": {}}}, "E_CONFIG_MISSING", "entries.e.address"),
        ({"name": "x", "entries": {"e": 1}}, "E_CONFIG_TYPE", "entries.e"),
        (
            {"name": "x", "entries": {str(n): {"address": "a"} for n in range(65)}},
            "E_CONFIG_RANGE",
            "entries",
        ),
    ],
)
def test_refusals_name_the_code_and_the_path(document: dict[str, Any], code: str, path: str) -> None:
    """An operator sees which setting is meant."""
    with pytest.raises(ConfigError) as caught:
        build(Outer, document)
    assert caught.value.code == code
    assert path in caught.value.message


def test_a_setting_without_words_is_our_bug() -> None:
    """Every setting is documented."""
    with pytest.raises(AssertionError):
        setting("")


def test_the_reference_lists_every_setting_with_default_and_words() -> None:
    """The page of settings is made from this."""
    rows = {row.path: row for row in reference(Outer)}
    assert set(rows) == {"name", "loud", "inner.size", "inner.names", "entries", "entries.NAME.address"}
    assert (rows["name"].kind, rows["name"].default) == ("text", "")
    assert rows["loud"].default == "false"
    assert (rows["inner.size"].default, rows["inner.size"].words) == ("5", "A number.")
    assert (rows["inner.names"].kind, rows["inner.names"].default) == ("list of text", '["a"]')


def test_unreadable_documents_are_one_error(tmp_path: Path) -> None:
    """Missing, not UTF-8, not TOML, too large: all E_CONFIG_UNREADABLE with the path."""
    path = tmp_path / "x.toml"
    for data in (None, b"\xff", b"a = ", b"a = 1\na = 2\n", b"#" * 262_145):
        if data is not None:
            path.write_bytes(data)
        with pytest.raises(ConfigError) as caught:
            read_document(path)
        assert caught.value.code == "E_CONFIG_UNREADABLE"
    path.write_bytes(b"a = 1\n")
    assert read_document(path) == {"a": 1}
