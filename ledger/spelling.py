"""One spelling per value in text formats: decimals, base64 and key names.

Why: if a number or a hash can be written in two ways, a proof can be changed without becoming wrong, and two
verifiers can disagree. So a text is taken only if writing the value again gives the same text.

Rules kept here:
- Decimals: ASCII digits, no sign, no leading zero, bounded before they are converted.
- Base64: RFC 4648 section 4, padded, unused bits zero, no white space.
- Names: non-empty UTF-8, at most 255 bytes, without `+`, ASCII controls and Unicode white space. The white
  space characters are written out, so that another Unicode version cannot change what a name is.

Sources: RFC 4648; C2SP signed-note ("Key names MUST be non-empty ..."); 255 bytes is the limit of the
ML-DSA-44 message in C2SP tlog-cosignature.
Refuses: trimming, repairing, guessing.
"""

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from typing import Final

from ledger.errors import EncodingError
from ledger.merkle import HASH_BYTES, SIZE_MAX

NAME_BYTES_MAX: Final = 255

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_NOT_IN_NAMES = re.compile(
    "[\\x00-\\x20+\\x7f-\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000\\ud800-\\udfff]"
)


def decimal(text: str, what: str) -> int:
    """Return the number 0 .. 2**63 - 1 that `text` spells. Raises EncodingError E_DECIMAL; `what` names the
    thing.
    """
    if not _DECIMAL.fullmatch(text) or int(text) > SIZE_MAX:
        raise EncodingError("E_DECIMAL", f"{what} is not a plain decimal number up to 2^63 - 1")
    return int(text)


def base64_text(data: bytes) -> str:
    """Return the standard padded base64 of `data`."""
    return b64encode(data).decode("ascii")


def base64_bytes(text: str, what: str) -> bytes:
    """Return the bytes that `text` spells in base64. Raises EncodingError E_BASE64; `what` names the
    thing.
    """
    try:
        data = b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, Base64Error, ValueError):
        data = b""
    if base64_text(data) != text:
        raise EncodingError("E_BASE64", f"{what} is not canonical base64")
    return data


def hash_bytes(text: str, what: str) -> bytes:
    """Return the 32 bytes that `text` spells in base64. Raises EncodingError E_BASE64, or E_HASH_LENGTH."""
    data = base64_bytes(text, what)
    if len(data) != HASH_BYTES:
        raise EncodingError("E_HASH_LENGTH", f"{what} has {len(data)} bytes, not 32")
    return data


def is_name(text: str) -> bool:
    """Return whether `text` may be the name of a key, a witness or a group."""
    return bool(text) and not _NOT_IN_NAMES.search(text) and len(text.encode("utf-8")) <= NAME_BYTES_MAX
