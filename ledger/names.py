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
