"""The hash-only channel: strict JSON and NDJSON, fast when good, precise when not."""

import json
from typing import Any

import pytest
from gateway_web import item
from hypothesis import given
from hypothesis import strategies as st

from gateway.channels import commitments as module
from gateway.channels.commitments import Parsed, parse_json, parse_ndjson
from gateway.errors import RequestError

MAX = 10


def encode(document: Any) -> bytes:
    """Return JSON bytes."""
    return json.dumps(document).encode()


def refs(parsed: Parsed) -> list[str]:
    """Return the accepted references."""
    return [] if parsed.records is None else list(parsed.records.refs)


@pytest.fixture
def fast_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the slow way an error."""

    def slow(*_: object) -> None:
        raise AssertionError("the slow way was taken")

    monkeypatch.setattr(module, "_decode", slow)


@pytest.mark.usefixtures("fast_only")
def test_plainly_good_documents_take_the_fast_way() -> None:
    """One item, a batch, lines; with source_seq, null or without; with any white space."""
    one, two = item(1), item(2, source_seq=None)
    three = {key: value for key, value in item(3).items() if key != "source_seq"}
    single = parse_json(encode(one), MAX)
    assert (refs(single), single.single, single.total) == ([one["ref"]], True, 1)
    batch = parse_json(json.dumps({"items": [one, two, three]}, indent=2).encode(), MAX)
    assert refs(batch) == [one["ref"], two["ref"], three["ref"]]
    assert batch.records is not None
    assert list(batch.records.source_seqs) == [1001, None, None]
    assert batch.single is False
    lines = b"\n".join(map(encode, [one, two, three])) + b"\n"
    assert refs(parse_ndjson(lines, MAX)) == refs(batch)


def test_both_ways_give_the_same_records() -> None:
    """An escape in a key forces the slow way; the outcome is the same."""
    good = {"items": [item(1), item(2, source_seq=None)]}
    slow = encode(good).replace(b'"ref"', b'"\\u0072ef"')
    assert parse_json(slow, MAX) == Parsed(**{**_as_dict(parse_json(encode(good), MAX)), "positions": [0, 1]})


def _as_dict(parsed: Parsed) -> dict[str, Any]:
    return {name: getattr(parsed, name) for name in parsed.__slots__}


DUPLICATES = [
    b'{"ref":"A","ref":"B"}',
    encode(item(1))[:-1] + b',"ref":"B"}',
    encode(item(1))[:-1] + b',"ref" :"B"}',
    encode(item(1))[:-1] + b',"\\u0072ef":"B"}',
    encode(item(1))[:-1] + b',"template_version":1}',
    b'{"items":[' + encode(item(1)) + b'],"items":[]}',
    b'{"items":[' + encode(item(1))[:-1] + b',"source":"CRM"}]}',
]


@pytest.mark.parametrize("body", DUPLICATES)
def test_a_key_that_stands_twice_is_refused(body: bytes) -> None:
    """Wherever and however it is spelled: the last one never wins in silence."""
    with pytest.raises(RequestError, match="E_JSON_DUPLICATE_KEY"):
        parse_json(body, MAX)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "E_JSON_SYNTAX"),
        (b"nonsense", "E_JSON_SYNTAX"),
        (encode(item(1)) + b"x", "E_JSON_SYNTAX"),
        (encode(item(1)) * 2, "E_JSON_SYNTAX"),
        (b'{"ref":NaN}', "E_JSON_SYNTAX"),
        (b'{"ref":Infinity}', "E_JSON_SYNTAX"),
        (b"\xef\xbb\xbf" + encode(item(1)), "E_JSON_SYNTAX"),
        (b'{"ref":"\xff"}', "E_JSON_ENCODING"),
        (encode(item(1)).decode().encode("utf-16"), "E_JSON_ENCODING"),
        (b"[" * 200_000, "E_JSON_DEPTH"),
        (b'{"items":' + b"[" * 200_000, "E_JSON_DEPTH"),
        (b'{"a":' * 100_000, "E_JSON_DEPTH"),
        (b"[]", "E_FIELD_TYPE"),
        (b"null", "E_FIELD_TYPE"),
        (b'"text"', "E_FIELD_TYPE"),
        (b'{"items":{}}', "E_FIELD_TYPE"),
        (b'{"items":null}', "E_FIELD_TYPE"),
        (b'{"items":[]}', "E_BATCH_EMPTY"),
        (b'{"items":[],"more":1}', "E_FIELD_UNKNOWN"),
        (encode({"items": [item(n) for n in range(MAX + 1)]}), "E_BATCH_TOO_LARGE"),
    ],
)
def test_a_document_that_is_none_is_refused_whole(body: bytes, code: str) -> None:
    """Syntax, encoding, depth, shape and size refuse the request."""
    with pytest.raises(RequestError) as caught:
        parse_json(body, MAX)
    assert caught.value.code == code


@pytest.mark.parametrize("digits", [25, 5_000, 200_000])
def test_endless_numbers_are_out_of_range_not_read(digits: int) -> None:
    """A number of any length is refused without being computed."""
    body = encode(item(1)).replace(b'"template_version": 1', b'"template_version": ' + b"9" * digits)
    parsed = parse_json(body, MAX)
    assert [e.code for e in parsed.refused[0]] == ["E_FIELD_RANGE"]


def test_bad_items_are_refused_alone() -> None:
    """Good items keep their places; each bad one says what is wrong with it."""
    batch = [item(1), item(2, commitment="xyz"), 5, item(4), item(5, extra=1)]
    parsed = parse_json(encode({"items": batch}), MAX)
    assert refs(parsed) == [item(1)["ref"], item(4)["ref"]]
    assert list(parsed.positions) == [0, 3]
    assert {at: [(e.path, e.code) for e in errors] for at, errors in parsed.refused.items()} == {
        1: [("items[1].commitment", "E_FIELD_LENGTH")],
        2: [("items[2]", "E_FIELD_TYPE")],
        4: [("items[4]", "E_FIELD_UNKNOWN")],
    }
    alone = parse_json(encode(item(1, template_version=True)), MAX)
    assert (alone.records, alone.single) == (None, True)
    assert [(e.path, e.code) for e in alone.refused[0]] == [("template_version", "E_FIELD_TYPE")]


def test_a_broken_line_is_refused_alone() -> None:
    """In NDJSON syntax, encoding, duplicates and depth concern one line; empty lines are passed over."""
    lines = [
        encode(item(1)),
        b"",
        b"nonsense",
        b'{"a":1,"a":2}',
        b'{"ref":"\xff"}',
        b"[" * 50_000,
        b"  \r",
        encode(item(2)),
    ]
    parsed = parse_ndjson(b"\r\n".join(lines), MAX)
    assert refs(parsed) == [item(1)["ref"], item(2)["ref"]]
    assert list(parsed.positions) == [0, 5]
    assert {at: errors[0].code for at, errors in parsed.refused.items()} == {
        1: "E_JSON_SYNTAX",
        2: "E_JSON_DUPLICATE_KEY",
        3: "E_JSON_ENCODING",
        4: "E_JSON_DEPTH",
    }


def test_lines_have_their_limits_too() -> None:
    """No line at all, and too many."""
    for body, code in ((b"\n\n", "E_BATCH_EMPTY"), (b"{}\n" * (MAX + 1), "E_BATCH_TOO_LARGE")):
        with pytest.raises(RequestError) as caught:
            parse_ndjson(body, MAX)
        assert caught.value.code == code


def test_two_documents_on_one_line_are_no_lines() -> None:
    """The decoder of lines is not more lenient than the rule: one item per line."""
    parsed = parse_ndjson(encode(item(1)) + b" " + encode(item(2)) + b"\n", MAX)
    assert parsed.records is None
    assert parsed.refused[0][0].code == "E_JSON_SYNTAX"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
MUTATED = st.dictionaries(
    st.sampled_from([*item(1), "extra"]), JSON | st.sampled_from(list(item(1).values())), max_size=7
)


@given(st.lists(MUTATED | st.just(item(1)), min_size=1, max_size=3))
def test_any_items_are_accepted_or_refused_never_both(items: list[dict[str, Any]]) -> None:
    """Every item is either among the records or among the refused, and nothing else is ever raised."""
    parsed = parse_json(encode({"items": items}), MAX)
    assert sorted([*parsed.positions, *parsed.refused]) == list(range(len(items)))
    lines = parse_ndjson(b"\n".join(map(encode, items)), MAX)
    assert sorted([*lines.positions, *lines.refused]) == list(range(len(items)))


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_bytes_are_refused_in_words(body: bytes) -> None:
    """Garbage never raises anything but a refusal."""
    for parse in (parse_json, parse_ndjson):
        try:
            parsed = parse(body, MAX)
        except RequestError:
            continue
        assert parsed.records is None
        assert parsed.refused


@given(st.integers(0, 400), st.integers(0, 255))
def test_one_changed_byte_never_yields_other_than_an_item_or_a_refusal(at: int, value: int) -> None:
    """A good document with any byte changed is the same item, another valid item, or refused."""
    good = encode({"items": [item(1)]})
    body = bytearray(good)
    body[at % len(body)] = value
    try:
        parsed = parse_json(bytes(body), MAX)
    except RequestError:
        return
    assert parsed.total == 1
    if parsed.records is not None:
        document = json.loads(bytes(body))
        found = document["items"][0] if "items" in document else document
        assert found["ref"] == parsed.records.refs[0]
        assert found["commitment"] == parsed.records.commitments[0].hex()
