"""Record ids and cursors as callers see them: opaque, in one spelling, strictly read.

Why opaque: callers keep ids and cursors; what stands behind them may change, their spelling may not be guessed at.
Refuses: anything that does not spell back to the same text.
"""

import base64
import binascii
import re
from typing import Final

from gateway.errors import RequestError

_ID: Final = re.compile(r"r([1-9][0-9]{0,17})")
_CURSOR: Final = re.compile(rb"1:([1-9][0-9]{0,17})")


def format_id(record_id: int) -> str:
    """Return a record's id as callers see it."""
    return f"r{record_id}"


def parse_id(text: str) -> int:
    """Return the row id that an id stands for. Raises RequestError E_RECORD_UNKNOWN: no such id was ever given."""
    match = _ID.fullmatch(text)
    if match is None:
        raise RequestError("E_RECORD_UNKNOWN", "no record has this id")
    return int(match[1])


def format_cursor(after_id: int) -> str:
    """Return the cursor of the page behind a row."""
    return base64.urlsafe_b64encode(b"1:%d" % after_id).decode("ascii").rstrip("=")


def parse_cursor(text: str) -> int:
    """Return the row id behind which a page begins. Raises RequestError E_CURSOR."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)) if len(text) <= 64 else b""
    except (binascii.Error, ValueError) as error:
        raise RequestError("E_CURSOR", "not a cursor of this gateway") from error
    match = _CURSOR.fullmatch(raw)
    if match is None or format_cursor(int(match[1])) != text:
        raise RequestError("E_CURSOR", "not a cursor of this gateway")
    return int(match[1])
