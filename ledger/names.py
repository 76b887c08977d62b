"""The shapes of all identifiers, in one table.

Why: an identifier goes into signed bytes, policy files, URLs and file names alike. A narrow alphabet for each
means that none of those places ever needs escaping, and that two names which look alike are alike.

Rules kept here:
- Institutions are upper case, everything a program names itself is lower case, so the two never collide in a
  policy file (where node cosigners are ``INST/node-id`` and groups are institution ids).
- Key ids and node ids are never reused; that rule needs the state and lives in `governance`.
- Patterns are matched whole (`fullmatch`), never searched.

Refuses: case folding, trimming, any other normalisation.
"""

import re
from typing import Final

INSTITUTION: Final = re.compile(r"[A-Z0-9-]{1,16}")
NODE_ID: Final = re.compile(r"[a-z0-9-]{1,32}")
KEY_ID: Final = re.compile(r"[a-z0-9-]{1,32}")
CHAIN_NAME: Final = re.compile(r"[a-z0-9-]{1,40}")
CHAIN_ID: Final = re.compile(r"[a-z0-9-]{1,40}-[0-9a-f]{8}")
SOURCE: Final = re.compile(r"[A-Z0-9.-]{1,24}")
TEMPLATE: Final = re.compile(r"[!-~]{1,32}")
PROPOSER: Final = re.compile(r"(?:[a-z0-9-]{1,32})?")
"""A node id, or empty in a genesis body, which no node proposed."""


def chain_id(name: str, genesis_digest: bytes) -> str:
    """Return the chain id, which is also the checkpoints' origin: the name and 8 hex digits of the genesis
    digest.
    """
    assert CHAIN_NAME.fullmatch(name), "the chain name is checked before"
    assert len(genesis_digest) == 32, "a SHA-256 digest"
    return f"{name}-{genesis_digest[:4].hex()}"


USCC_ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
"""The 31 characters of 统一社会信用代码: no I, O, S, V or Z."""
USCC_LENGTH: Final = 18
REGISTRATION: Final = re.compile(r"[0-9A-Z-]{0,32}")
"""An institution's registration code; empty or of another length for those that have no 统一社会信用代码."""
DISPLAY_NAME: Final = re.compile(
    r"[^\x00-\x20\x7f-\xa0\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff]"
    r"(?:[^\x00-\x1f\x7f-\xa0\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff]{0,62}"
    r"[^\x00-\x20\x7f-\xa0\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff])?"
)
"""1 to 64 characters for people: no controls, no marks that turn or hide text, plain spaces inside only.

The ranges are written out because Unicode's own categories change with the Python version, and a rule of the
chain must not.
"""


def uscc_check_character(first_17: str) -> str:
    """Return the 18th character of a 统一社会信用代码 (GB 32100-2015: weights are powers of 3 modulo 31)."""
    assert len(first_17) == USCC_LENGTH - 1, "the check character follows 17 others"
    total = sum(USCC_ALPHABET.index(char) * pow(3, place, 31) for place, char in enumerate(first_17))
    return USCC_ALPHABET[-total % 31]


def registration_valid(code: str) -> bool:
    """Return whether a registration code may stand in the state.

    Eighteen characters must be a right 统一社会信用代码.
    """
    if not REGISTRATION.fullmatch(code):
        return False
    if len(code) != USCC_LENGTH:
        return True
    return set(code) <= set(USCC_ALPHABET) and uscc_check_character(code[:-1]) == code[-1]
