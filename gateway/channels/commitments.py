"""The hash-only channel: JSON or NDJSON of commitment items becomes columns of checked records.

Why two ways through one format: a good batch is decoded straight into typed items and judged by its columns, at about a
microsecond per item; anything that is not plainly good is decoded again in the standard library's way, slowly, so that
the answer can name the item, the field and the reason. The slow way decides; the fast way may only agree.

Rules kept here:
- Strict JSON (RFC 8259): UTF-8 without byte order mark, no duplicate keys at any depth, no NaN, bounded nesting.
- One item object, ``{"items": [...]}`` with 1 to `max_items` items, or one item per line (NDJSON).
- An item that breaks a rule is refused alone; the others of the request go on. What breaks the document (syntax,
  encoding, duplicate keys, shape) refuses the request, or in NDJSON the line.

Why duplicates need care: the typed decoder takes the last of two equal keys in silence. A body without backslashes in
which the quotes are exactly those of the expected keys and strings has no room for another key; only then is the fast way
taken.

Source: RFC 8259, RFC 8785 2 (why duplicates are refused); ndjson.org for the line form. Refuses: other encodings, comments,
anything lenient.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from gateway.domain.record import NewRecords, accept_columns, item_errors
from gateway.errors import FieldError, RequestError

_NUMBER_DIGITS_MAX: Final = 20
_BEYOND: Final = 2**64  # stands for any integer too long to be worth reading: out of every range


class _Item(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    ref: str
    commitment: str
    source: str
    template: str
    template_version: int
    source_seq: int | msgspec.UnsetType | None = msgspec.UNSET


class _Batch(msgspec.Struct, forbid_unknown_fields=True):
    items: list[_Item]


_ITEM: Final = msgspec.json.Decoder(_Item)
_BATCH: Final = msgspec.json.Decoder(_Batch)
# Per item: 4 strings as values, 5 keys, and the key source_seq where it is present.
_ITEM_STRINGS: Final = 4
_ITEM_KEYS: Final = 5


@dataclass(frozen=True, slots=True)
class Parsed:
    """A request's records: `records` are the good ones, standing at `positions` of the request's `total` items.

    `refused` maps the position of each bad item to what is wrong with it. `single` is the form of one bare item.
    """

    records: NewRecords | None
    positions: Sequence[int]
    refused: dict[int, list[FieldError]]
    total: int
    single: bool


class _RefusedJsonError(Exception):
    """JSON that the standard decoder would let pass and we do not."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def parse_json(body: bytes, max_items: int) -> Parsed:
    """Return the records of a JSON document: one item, or ``{"items": [...]}``.

    Raises RequestError: E_JSON_ENCODING, E_JSON_SYNTAX, E_JSON_DUPLICATE_KEY, E_JSON_DEPTH, E_FIELD_TYPE,
    E_FIELD_UNKNOWN, E_BATCH_EMPTY, E_BATCH_TOO_LARGE.
    """
    fast = _fast_json(body, max_items)
    if fast is not None:
        return fast
    document = _decode(body)
    if not isinstance(document, dict):
        raise RequestError("E_FIELD_TYPE", "the document is a JSON object: one item, or items in a list")
    if "items" not in document:
        return _judge([document], [""], single=True)
    if set(document) != {"items"}:
        raise RequestError("E_FIELD_UNKNOWN", "beside the items no other key is known")
    items = document["items"]
    if not isinstance(items, list):
        raise RequestError(
            "E_FIELD_TYPE", "items is a list", [FieldError("items", "E_FIELD_TYPE", "not a list")]
        )
    _require_count(len(items), max_items)
    return _judge(items, [f"items[{at}]" for at in range(len(items))], single=False)


def parse_ndjson(body: bytes, max_items: int) -> Parsed:
    """Return the records of a document with one item per line; empty lines are passed over.

    Raises RequestError: E_JSON_ENCODING, E_BATCH_EMPTY, E_BATCH_TOO_LARGE.
    """
    lines = [line for line in body.split(b"\n") if line.strip(b" \t\r")]
    _require_count(len(lines), max_items)
    fast = _fast_ndjson(body)
    if fast is not None and fast.total == len(lines):
        return fast
    items: list[object] = []
    broken: dict[int, list[FieldError]] = {}
    for at, line in enumerate(lines):
        try:
            items.append(_decode(line))
        except RequestError as error:
            items.append(None)
            broken[at] = [FieldError(f"items[{at}]", error.code, error.message)]
    return _judge(items, [f"items[{at}]" for at in range(len(items))], single=False, broken=broken)


def _require_count(count: int, max_items: int) -> None:
    if not count:
        raise RequestError("E_BATCH_EMPTY", "a batch has at least one item")
    if count > max_items:
        raise RequestError("E_BATCH_TOO_LARGE", f"a batch has at most {max_items} items")


# --- the fast way ------------------------------------------------------------------------------------------------------


def _fast_json(body: bytes, max_items: int) -> Parsed | None:
    """Return the records of a plainly good document, None for every other."""
    try:
        if b'"items"' not in body[:64]:
            return _columns([_ITEM.decode(body)], body, outer_keys=0, single=True)
        items = _BATCH.decode(body).items
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return None
    if not 0 < len(items) <= max_items:
        return None
    return _columns(items, body, outer_keys=1, single=False)


def _fast_ndjson(body: bytes) -> Parsed | None:
    try:
        items = _ITEM.decode_lines(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return None
    return _columns(items, body, outer_keys=0, single=False) if items else None


def _columns(items: Sequence[_Item], body: bytes, *, outer_keys: int, single: bool) -> Parsed | None:
    """Return the records if all items are good and no key stands twice, else None."""
    seqs = [item.source_seq for item in items]
    keys = outer_keys + len(items) * _ITEM_KEYS + len(seqs) - seqs.count(msgspec.UNSET)
    if b"\\" in body or body.count(b'"') != 2 * (keys + len(items) * _ITEM_STRINGS):
        return None
    records = accept_columns(
        refs=[item.ref for item in items],
        commitments=[item.commitment for item in items],
        sources=[item.source for item in items],
        source_seqs=[None if seq is msgspec.UNSET else seq for seq in seqs],
        templates=[item.template for item in items],
        template_versions=[item.template_version for item in items],
    )
    if records is None:
        return None
    return Parsed(records, range(len(items)), {}, len(items), single)


# --- the slow way ------------------------------------------------------------------------------------------------------


def _decode(body: bytes) -> object:
    """Return a decoded document. Raises RequestError E_JSON_ENCODING, E_JSON_SYNTAX, E_JSON_DUPLICATE_KEY, E_JSON_DEPTH."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RequestError("E_JSON_ENCODING", f"not UTF-8 at byte {error.start}") from error
    try:
        decoded: object = json.loads(
            text, object_pairs_hook=_object, parse_int=_integer, parse_constant=_refuse_constant
        )
    except _RefusedJsonError as error:
        raise RequestError(error.code, error.message) from error
    except RecursionError as error:
        raise RequestError("E_JSON_DEPTH", "nested too deeply") from error
    except json.JSONDecodeError as error:
        raise RequestError("E_JSON_SYNTAX", f"not JSON: {error.msg} at character {error.pos}") from error
    return decoded


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    decoded = dict(pairs)
    if len(decoded) != len(pairs):
        raise _RefusedJsonError("E_JSON_DUPLICATE_KEY", "a key stands twice in one object")
    return decoded


def _integer(text: str) -> int:
    return int(text) if len(text) <= _NUMBER_DIGITS_MAX else _BEYOND


def _refuse_constant(_: str) -> None:
    raise _RefusedJsonError("E_JSON_SYNTAX", "NaN and Infinity are not JSON")


def _judge(
    items: Sequence[object],
    paths: Sequence[str],
    *,
    single: bool,
    broken: dict[int, list[FieldError]] | None = None,
) -> Parsed:
    """Look at decoded items one by one and return the good ones as columns."""
    refused = dict(broken or {})
    good: list[dict[str, Any]] = []
    positions: list[int] = []
    for at, (item, path) in enumerate(zip(items, paths, strict=True)):
        if at in refused:
            continue
        wrong = item_errors(item, path)
        if wrong:
            refused[at] = wrong
        else:
            assert isinstance(item, dict), "an item without errors is an object"
            good.append(item)
            positions.append(at)
    records = None
    if good:
        records = accept_columns(
            refs=[item["ref"] for item in good],
            commitments=[item["commitment"] for item in good],
            sources=[item["source"] for item in good],
            source_seqs=[item.get("source_seq") for item in good],
            templates=[item["template"] for item in good],
            template_versions=[item["template_version"] for item in good],
        )
        assert records is not None, "items without errors make good columns"
    return Parsed(records, positions, refused, len(items), single)
