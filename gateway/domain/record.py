"""What a commitment item must look like: the rules of each field, once for whole columns and once for one item.

Why twice: a batch of 1,000 good items is judged by its columns (sets of distinct values, one joined hex string) in well
under a microsecond per item; only when a column is not good are the items looked at one by one, to say which field of
which item and why. Both ways keep the same rules, and a property test holds them together.

Rules kept here:
- ref: 1 to 128 printable ASCII characters without space, and not a person's number (`personal`). It is the idempotency
  key within (institution, source), for ever.
- commitment: 64 lower-case hex digits, the caller's own 32 bytes.
- source, template: the alphabets of the record leaf (docs/formats/ledger.md). source_seq: null or 0 to 2^63-1.
  template_version: 1 to 65535.
- No other key; booleans and floats are never integers.

Refuses: trimming, case folding, defaults. Messages never repeat a value.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.domain.personal import any_looks_personal, looks_personal
from gateway.errors import FieldError
from ledger import names

REF_MAX: Final = 128
COMMITMENT_DIGITS: Final = 64
SEQUENCE_MAX: Final = 2**63 - 1
VERSION_MAX: Final = 65_535

_REF: Final = re.compile(r"[!-~]{1,128}")
_HEX: Final = re.compile(r"[0-9a-f]{64}")
REQUIRED: Final = ("ref", "commitment", "source", "template", "template_version")
FIELDS: Final = frozenset({*REQUIRED, "source_seq"})


@dataclass(frozen=True, slots=True)
class NewRecords:
    """Records as the gateway takes them in, by column; every column has one element per record, already checked.

    `commitments` are 32 bytes each; `source_seqs` holds None where a source does not number its records.
    """

    refs: Sequence[str]
    commitments: Sequence[bytes]
    sources: Sequence[str]
    source_seqs: Sequence[int | None]
    templates: Sequence[str]
    template_versions: Sequence[int]

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.refs)

    def select(self, positions: Sequence[int]) -> "NewRecords":
        """Return the records at `positions`, in that order."""
        return NewRecords(
            refs=[self.refs[at] for at in positions],
            commitments=[self.commitments[at] for at in positions],
            sources=[self.sources[at] for at in positions],
            source_seqs=[self.source_seqs[at] for at in positions],
            templates=[self.templates[at] for at in positions],
            template_versions=[self.template_versions[at] for at in positions],
        )


def accept_columns(
    *,
    refs: Sequence[str],
    commitments: Sequence[str],
    sources: Sequence[str],
    source_seqs: Sequence[int | None],
    templates: Sequence[str],
    template_versions: Sequence[int],
) -> NewRecords | None:
    """Return the checked columns, or None when at least one item breaks a rule (then ask `item_errors` of each).

    The types are the caller's promise; `commitments` are the hex texts.
    """
    if not refs:
        return None
    joined = "".join(refs)
    lengths = set(map(len, refs))
    if (
        not (joined.isascii() and joined.isprintable())
        or " " in joined
        or 0 in lengths
        or max(lengths) > REF_MAX
    ):
        return None
    raw = _hex_column(commitments)
    if raw is None:
        return None
    if not all(map(names.SOURCE.fullmatch, set(sources))) or not all(
        map(names.TEMPLATE.fullmatch, set(templates))
    ):
        return None
    numbers = [number for number in source_seqs if number is not None]
    if numbers and (min(numbers) < 0 or max(numbers) > SEQUENCE_MAX):
        return None
    if min(template_versions) < 1 or max(template_versions) > VERSION_MAX:
        return None
    if any_looks_personal(refs):
        return None
    return NewRecords(refs, raw, sources, source_seqs, templates, template_versions)


def _hex_column(texts: Sequence[str]) -> list[bytes] | None:
    """Return 32 bytes per text of 64 lower-case hex digits, or None when one is not."""
    joined = "".join(texts)
    if set(map(len, texts)) != {COMMITMENT_DIGITS} or joined != joined.lower():
        return None
    try:
        raw = bytes.fromhex(joined)
    except ValueError:
        return None
    # fromhex skips white space, which would shift every later commitment: the length shows it.
    if len(raw) != 32 * len(texts):
        return None
    return [raw[at : at + 32] for at in range(0, len(raw), 32)]


def item_errors(item: object, path: str) -> list[FieldError]:
    """Return everything that is wrong with one decoded item; an empty list means good.

    `path` is the JSON path of the item ("" for a single one).
    """
    if not isinstance(item, Mapping):
        return [FieldError(path or "$", "E_FIELD_TYPE", "an item is a JSON object")]
    prefix = f"{path}." if path else ""
    found = [
        FieldError(f"{prefix}{name}", "E_FIELD_REQUIRED", "this field is required")
        for name in REQUIRED
        if name not in item
    ]
    if not FIELDS.issuperset(item):
        known = ", ".join((*REQUIRED, "source_seq"))
        found.append(FieldError(path or "$", "E_FIELD_UNKNOWN", f"a key that is not one of: {known}"))
    for name, check in _CHECKS.items():
        if name in item:
            wrong = check(item[name])
            if wrong is not None:
                found.append(FieldError(f"{prefix}{name}", *wrong))
    return found


def _check_ref(value: Any) -> tuple[str, str] | None:
    if not isinstance(value, str):
        return "E_FIELD_TYPE", "ref is text"
    if not 1 <= len(value) <= REF_MAX:
        return "E_FIELD_LENGTH", f"ref has 1 to {REF_MAX} characters"
    if not _REF.fullmatch(value):
        return "E_FIELD_PATTERN", "ref is printable ASCII without spaces"
    if looks_personal(value):
        return "E_REF_PERSONAL", "ref reads as an identity or mobile number; use a number of your own system"
    return None


def _check_commitment(value: Any) -> tuple[str, str] | None:
    if not isinstance(value, str):
        return "E_FIELD_TYPE", "commitment is text"
    if len(value) != COMMITMENT_DIGITS:
        return "E_FIELD_LENGTH", f"commitment has {COMMITMENT_DIGITS} hex digits"
    if not _HEX.fullmatch(value):
        return "E_FIELD_PATTERN", "commitment is lower-case hex"
    return None


def _check_source(value: Any) -> tuple[str, str] | None:
    if not isinstance(value, str):
        return "E_FIELD_TYPE", "source is text"
    if not 1 <= len(value) <= 24:
        return "E_FIELD_LENGTH", "source has 1 to 24 characters"
    if not names.SOURCE.fullmatch(value):
        return "E_FIELD_PATTERN", f"source matches {names.SOURCE.pattern}"
    return None


def _check_source_seq(value: Any) -> tuple[str, str] | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        return "E_FIELD_TYPE", "source_seq is an integer or null"
    if not 0 <= value <= SEQUENCE_MAX:
        return "E_FIELD_RANGE", "source_seq is 0 to 2^63-1"
    return None


def _check_template(value: Any) -> tuple[str, str] | None:
    if not isinstance(value, str):
        return "E_FIELD_TYPE", "template is text"
    if not 1 <= len(value) <= 32:
        return "E_FIELD_LENGTH", "template has 1 to 32 characters"
    if not names.TEMPLATE.fullmatch(value):
        return "E_FIELD_PATTERN", "template is printable ASCII without spaces"
    return None


def _check_version(value: Any) -> tuple[str, str] | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return "E_FIELD_TYPE", "template_version is an integer"
    if not 1 <= value <= VERSION_MAX:
        return "E_FIELD_RANGE", f"template_version is 1 to {VERSION_MAX}"
    return None


_CHECKS: Final = {
    "ref": _check_ref,
    "commitment": _check_commitment,
    "source": _check_source,
    "source_seq": _check_source_seq,
    "template": _check_template,
    "template_version": _check_version,
}
