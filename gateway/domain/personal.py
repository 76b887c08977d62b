"""References that look like a person: refused at the door, since a reference is stored, listed and shown for ever.

Why: callers reach for what is at hand, an identity number or a mobile number, as "unique id". Stored once, it can never
be forgotten again: the reference is the idempotency key.

Rules kept here (for the whole reference, not for parts of it, so that order numbers stay usable):
- 18 characters that read as a resident identity number (GB 11643: region, plausible birth date, sequence, check
  character). The check character is not computed: a mistyped identity number is still somebody's.
- 15 digits that read as the older form of it (two-digit year).
- 11 digits that read as a mainland mobile number, also with +86 before them.

Refuses: guessing at names or addresses. What callers must not do is in docs/api.md.
"""

import re
from collections.abc import Sequence
from typing import Final

_MONTH_DAY: Final = r"(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
_PERSONAL: Final = re.compile(
    r"^(?:"
    rf"[1-9]\d{{5}}(?:18|19|20)\d\d{_MONTH_DAY}\d{{3}}[\dXx]"
    rf"|[1-9]\d{{5}}\d\d{_MONTH_DAY}\d{{3}}"
    r"|(?:\+?86-?)?1[3-9]\d{9}"
    r")$",
    re.ASCII | re.MULTILINE,
)


def looks_personal(ref: str) -> bool:
    """Return whether the whole reference reads as an identity or mobile number. `ref` holds no line break."""
    return _PERSONAL.search(ref) is not None


def any_looks_personal(refs: Sequence[str]) -> bool:
    """Return whether one of many references does; the references are known to hold no line breaks."""
    return _PERSONAL.search("\n".join(refs)) is not None
