"""A commitment item's rules: column-wise and one by one they are the same rules."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.record import NewRecords, accept_columns, item_errors

GOOD: dict[str, Any] = {
    "ref": "PUSH-20250319-000056",
    "commitment": "ab" * 32,
    "source": "PUSH.SMS",
    "source_seq": 1001,
    "template": "SMS-NTC-01",
    "template_version": 1,
}


def columns(items: list[dict[str, Any]]) -> NewRecords | None:
    """Return what the column-wise way makes of items with the right types."""
    return accept_columns(
        refs=[one["ref"] for one in items],
        commitments=[one["commitment"] for one in items],
        sources=[one["source"] for one in items],
        source_seqs=[one["source_seq"] for one in items],
        templates=[one["template"] for one in items],
        template_versions=[one["template_version"] for one in items],
    )


def test_a_good_item_is_good_both_ways() -> None:
    """The sample item passes, and its commitment comes out as 32 bytes."""
    assert item_errors(GOOD, "") == []
    records = columns([GOOD, {**GOOD, "ref": "PUSH-2", "source_seq": None}])
    assert records is not None
    assert records.commitments == [b"\xab" * 32, b"\xab" * 32]
    assert records.source_seqs == [1001, None]
    assert len(records) == 2


BAD = [
    ("ref", "", "E_FIELD_LENGTH"),
    ("ref", "x" * 129, "E_FIELD_LENGTH"),
    ("ref", "two words", "E_FIELD_PATTERN"),
    ("ref", "引用", "E_FIELD_PATTERN"),
    ("ref", "line\nbreak", "E_FIELD_PATTERN"),
    ("ref", "\ud800", "E_FIELD_PATTERN"),
    ("ref", "13800001234", "E_REF_PERSONAL"),
    ("commitment", "ab" * 31, "E_FIELD_LENGTH"),
    ("commitment", "ab" * 33, "E_FIELD_LENGTH"),
    ("commitment", "AB" * 32, "E_FIELD_PATTERN"),
    ("commitment", "zz" * 32, "E_FIELD_PATTERN"),
    ("commitment", "ab" * 31 + " b", "E_FIELD_PATTERN"),
    ("commitment", " " * 64, "E_FIELD_PATTERN"),
    ("source", "", "E_FIELD_LENGTH"),
    ("source", "S" * 25, "E_FIELD_LENGTH"),
    ("source", "push.sms", "E_FIELD_PATTERN"),
    ("template", "", "E_FIELD_LENGTH"),
    ("template", "T" * 33, "E_FIELD_LENGTH"),
    ("template", "T" * 10_000_000, "E_FIELD_LENGTH"),
    ("template", "模板", "E_FIELD_PATTERN"),
    ("template", "SMS NTC", "E_FIELD_PATTERN"),
    ("template_version", 0, "E_FIELD_RANGE"),
    ("template_version", 65_536, "E_FIELD_RANGE"),
    ("template_version", -1, "E_FIELD_RANGE"),
    ("source_seq", -1, "E_FIELD_RANGE"),
    ("source_seq", 2**63, "E_FIELD_RANGE"),
]


@pytest.mark.parametrize(("field", "value", "code"), BAD, ids=[f"{f}-{i}" for i, (f, _, _) in enumerate(BAD)])
def test_a_bad_value_is_refused_with_its_code(field: str, value: Any, code: str) -> None:
    """Every breach has its code and path, in whichever item, and the message never repeats the value."""
    errors = item_errors({**GOOD, field: value}, "items[7]")
    assert [(e.path, e.code) for e in errors] == [(f"items[7].{field}", code)]
    text = str(value)
    assert len(text) < 4 or text not in errors[0].message
    assert columns([GOOD, {**GOOD, field: value}]) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ref", 5), ("ref", None), ("commitment", 5), ("commitment", ["ab"]), ("source", {}), ("template", 1.5),
        ("template_version", True), ("template_version", 1.0), ("template_version", "1"), ("template_version", None),
        ("source_seq", True), ("source_seq", 1.0), ("source_seq", "1"),
    ],
)  # fmt: skip
def test_a_wrong_type_is_a_type_error(field: str, value: Any) -> None:
    """Booleans, floats and digits in text are never integers; nothing is converted."""
    assert [e.code for e in item_errors({**GOOD, field: value}, "")] == ["E_FIELD_TYPE"]


def test_missing_and_unknown_keys_are_told() -> None:
    """Each missing key is named; an unknown key is refused without repeating its name."""
    short = {key: value for key, value in GOOD.items() if key not in ("ref", "template")}
    assert [(e.path, e.code) for e in item_errors(short, "")] == [
        ("ref", "E_FIELD_REQUIRED"),
        ("template", "E_FIELD_REQUIRED"),
    ]
    unknown = item_errors({**GOOD, "customer 13800001234": 1}, "items[0]")
    assert [(e.path, e.code) for e in unknown] == [("items[0]", "E_FIELD_UNKNOWN")]
    assert "13800001234" not in unknown[0].message
    assert [e.code for e in item_errors([1], "items[2]")] == ["E_FIELD_TYPE"]


def test_source_seq_may_be_absent_or_null() -> None:
    """A source that does not number its records says nothing, or null."""
    assert item_errors({**GOOD, "source_seq": None}, "") == []
    assert item_errors({key: value for key, value in GOOD.items() if key != "source_seq"}, "") == []


def test_select_takes_rows() -> None:
    """Rows can be picked, in any order."""
    records = columns([{**GOOD, "ref": f"R-{n}", "source_seq": n} for n in range(4)])
    assert records is not None
    picked = records.select([2, 0])
    assert picked.refs == ["R-2", "R-0"]
    assert picked.source_seqs == [2, 0]


text = st.text(max_size=70) | st.sampled_from([str(GOOD["ref"]), "PUSH.SMS", "ab" * 32, "13800001234", "T-1"])
ITEMS = st.fixed_dictionaries(
    {
        "ref": text,
        "commitment": text | st.text("0123456789abcdefAB ", min_size=64, max_size=64),
        "source": text,
        "source_seq": st.none() | st.integers(-2, 2**64),
        "template": text,
        "template_version": st.integers(-1, 70_000),
    }
)


@given(st.lists(ITEMS | st.just(GOOD), min_size=1, max_size=4))
def test_both_ways_agree(items: list[dict[str, Any]]) -> None:
    """Columns are accepted exactly when no item has an error."""
    assert (columns(items) is None) == any(item_errors(one, "") for one in items)
