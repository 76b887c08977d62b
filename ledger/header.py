"""The header leaf: the last leaf of every block, derived by each node alone.

Why a leaf: whatever stands in the tree is covered by every cosignature over a checkpoint. So height, term,
time, body and governance of a block need no signature of their own, and a receipt can prove them with a
second path. The hash chain of blocks lives inside the tree: a block's hash is its header's leaf hash, and
`prev` names the one before.

Format: ``[1, kind, chain_id, height, term, hash_alg, prev, timestamp_ms, body_digest, records, tree_size,
root, governance_hash]`` (canonical array; its first byte 0x9d can never be a record leaf's, which is 0x01).

Rules kept here:
- `tree_size` and `root` are those *after* the block's records and *before* this leaf, so the header's own
  index in the tree is its `tree_size`; the governance hash is the one *after* the block.
- Genesis has height 0, term 0, `prev` of 32 zero bytes, no records and the empty tree; its header is leaf 0.
  Only genesis has height 0.

Refuses: headers from others as anything but bytes to compare with. Nobody is believed about a header.
"""

from dataclasses import dataclass
from typing import Final

from ledger import names
from ledger.algorithms import HASH_SHA256, require_hash
from ledger.body import BodyKind
from ledger.encoding import as_array, as_bytes, as_int, as_text, pack, require_format, unpack
from ledger.errors import EncodingError
from ledger.merkle import EMPTY_ROOT, leaf_hash

FORMAT: Final = 1
HEADER_BYTES_MAX: Final = 512
FIRST_BYTE: Final = 0x9D
NO_BLOCK: Final = bytes(32)
"""Stands for the block before genesis."""


@dataclass(frozen=True, slots=True)
class Header:
    """A block's header. Hashes have 32 bytes; `tree_size` is also the header leaf's own index in the tree."""

    kind: BodyKind
    chain_id: str
    height: int
    term: int
    prev: bytes
    timestamp_ms: int
    body_digest: bytes
    records: int
    tree_size: int
    root: bytes
    governance_hash: bytes


def encode_header(header: Header) -> bytes:
    """Return the header leaf's bytes, without the 0x00 prefix of its hash."""
    return pack(
        [
            FORMAT,
            int(header.kind),
            header.chain_id,
            header.height,
            header.term,
            HASH_SHA256,
            header.prev,
            header.timestamp_ms,
            header.body_digest,
            header.records,
            header.tree_size,
            header.root,
            header.governance_hash,
        ]
    )


def block_hash(header_leaf: bytes) -> bytes:
    """Return the hash of the block with this header leaf, which is its leaf hash in the tree."""
    return leaf_hash(header_leaf)


def parse_header(leaf: bytes) -> Header:
    """Return the header that a leaf's bytes spell.

    Raises EncodingError E_ENCODING_…, E_FIELD_…, E_FORMAT_UNKNOWN, E_ALGORITHM_…, and E_HEADER_GENESIS or
    E_HEADER_RECORDS for numbers that no chain can have.
    """
    fields = as_array(unpack(leaf, max_bytes=HEADER_BYTES_MAX, what="header"), "header", 13)
    require_format(fields[0], "header", FORMAT)
    kind = as_int(fields[1], "header kind", 1, max(BodyKind))
    require_hash(as_int(fields[5], "header hash algorithm"))
    header = Header(
        kind=BodyKind(kind),
        chain_id=as_text(fields[2], "header chain id", names.CHAIN_ID),
        height=as_int(fields[3], "header height"),
        term=as_int(fields[4], "header term"),
        prev=as_bytes(fields[6], "header prev", 32),
        timestamp_ms=as_int(fields[7], "header timestamp"),
        body_digest=as_bytes(fields[8], "header body digest", 32),
        records=as_int(fields[9], "header records"),
        tree_size=as_int(fields[10], "header tree size"),
        root=as_bytes(fields[11], "header root", 32),
        governance_hash=as_bytes(fields[12], "header governance hash", 32),
    )
    _require_possible(header)
    return header


def _require_possible(header: Header) -> None:
    genesis = header.kind is BodyKind.GENESIS
    start = (header.height, header.term, header.prev, header.tree_size, header.root)
    if genesis != (header.height == 0) or (genesis and start != (0, 0, NO_BLOCK, 0, EMPTY_ROOT)):
        raise EncodingError("E_HEADER_GENESIS", "the header is neither a genesis header nor a later one")
    if bool(header.records) != (header.kind is BodyKind.ENVELOPES):
        raise EncodingError("E_HEADER_RECORDS", "the number of records does not fit the kind of block")
    if header.records + header.height > header.tree_size:  # each earlier block has left at least its header
        raise EncodingError("E_HEADER_RECORDS", "the tree is too small for the block's records")
