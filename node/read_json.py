"""The JSON documents of the read door. Keys are promised: some may be added, none renamed or dropped.

Rules kept here: hashes and bytes in lower-case hexadecimal; every key is always there; zero sizes mean
"none yet" where a size can never be zero in earnest (the tree holds the genesis header from the start).
Refuses: words for people.
"""

from ledger.body import BodyKind
from node.reader import Block
from node.standing import Standing

_KINDS = {
    BodyKind.ENVELOPES: "records",
    BodyKind.GOVERNANCE: "governance",
    BodyKind.EMPTY: "empty",
    BodyKind.GENESIS: "genesis",
}


def status_document(standing: Standing) -> dict[str, object]:
    """Return the document of ``/v1/status``; the fields are those of the read door's StatusReply."""
    return {
        "chain_id": standing.chain_id,
        "node_id": standing.node_id,
        "institution": standing.institution,
        "role": str(standing.role),
        "reason": standing.reason,
        "leader": standing.leader,
        "term": standing.term,
        "last_height": standing.last_height,
        "commit_height": standing.commit_height,
        "applied_height": standing.applied_height,
        "tree_size": standing.size,
        "root": standing.root.hex(),
        "final_size": standing.final_size or 0,
        "final_height": standing.final_height or 0,
        "cosigners": [
            {"institution": row.institution, "node_id": row.node_id, "size": row.size, "time_s": row.time_s}
            for row in standing.cosigners
        ],
        "convicted": list(standing.convicted),
        "following": standing.following.source if standing.following is not None else "",
        "version": standing.version,
    }


def block_document(block: Block, root: bytes, *, final: bool) -> dict[str, object]:
    """Return the document of ``/v1/blocks/HEIGHT``; `root` is the checkpoint's root at the block's end."""
    header = block.header
    return {
        "height": block.height,
        "term": block.term,
        "hash": block.block_hash.hex(),
        "final": final,
        "kind": _KINDS[header.kind],
        "proposer": block.body.proposer,
        "checkpoint": {"size": block.tree_size, "root": root.hex()},
        "first_index": block.first_index,
        "header": {
            "chain_id": header.chain_id,
            "prev": header.prev.hex(),
            "timestamp_ms": header.timestamp_ms,
            "body_digest": header.body_digest.hex(),
            "records": header.records,
            "tree_size": header.tree_size,
            "root": header.root.hex(),
            "governance_hash": header.governance_hash.hex(),
        },
        "header_leaf": block.header_leaf.hex(),
        "envelopes": [
            {"institution": one.institution, "key_id": one.key_id, "records": one.count}
            for one in block.body.envelopes
        ],
    }
