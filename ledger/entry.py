"""The entry hash: what a node can say about a Raft entry the moment it appends it.

Why: acknowledgements must speak of content, not only of (height, term), or a leader could show two bodies to
two followers. The header cannot serve: it needs the tree, which grows only when an entry is committed. So
every entry also links, by this hash, to the one before it in the log, committed or not.

Format: ``SHA-256(pack(["tiezheng/entry", 1, chain_id, prev_entry_hash, height, term, hash_alg,
body_digest]))``. Genesis has height 0, term 0 and 32 zero bytes for `prev_entry_hash`.

Refuses: being a proof for outsiders. Outsiders get the header leaf, which is in the tree.
"""

from hashlib import sha256
from typing import Final

from ledger.algorithms import HASH_SHA256
from ledger.encoding import pack

PURPOSE: Final = "tiezheng/entry"
NO_ENTRY: Final = bytes(32)
"""Stands for the entry before genesis."""


def entry_hash(chain_id: str, prev: bytes, height: int, term: int, body_digest: bytes) -> bytes:
    """Return the 32-byte hash of the entry at `height`; `prev` is the entry hash at height - 1."""
    assert len(prev) == 32, "an entry hash has 32 bytes"
    assert len(body_digest) == 32, "a body digest has 32 bytes"
    return sha256(pack([PURPOSE, 1, chain_id, prev, height, term, HASH_SHA256, body_digest])).digest()
