"""Governance: who may do what, folded from genesis and governance blocks alone. The door to its parts.

Why on the chain: which keys count, and how many institutions make a quorum, is as much evidence as the
records. A reader of the chain learns it from the chain, at every height, and trusts nobody's list.

Parts, each standing on those before it: ``governance_state`` (values, questions by height),
``governance_codec`` (bytes), ``governance_rules`` (which states may exist), ``governance_proposal`` (what
institutions sign), ``governance_actions`` (the step), ``governance_policy`` (policy text and governance
hash).

Rules kept here:
- Genesis is checked like every later state. A proposal in block h rules from h + 1.
- The block that changes keys is itself signed with the old ones: judge the checkpoint of block h by the
  state that rules h, which is the one after h - 1.

Refuses: votes taken on line. Proposals are signed elsewhere and arrive complete.
"""

from ledger.body import BODY_BYTES_MAX, Body, BodyKind
from ledger.encoding import Value, pack, unpack
from ledger.errors import GovernanceError
from ledger.governance_actions import apply_action, check_proposal, check_signatures, fold
from ledger.governance_codec import decode_genesis, decode_state, encode_state, genesis_content
from ledger.governance_policy import governance_hash, governance_hash_of, policy_text
from ledger.governance_proposal import Action, Proposal, encode_proposal, parse_proposal, sign_proposal
from ledger.governance_rules import validate_genesis, validate_state
from ledger.governance_state import (
    Institution,
    Key,
    Limits,
    Node,
    NodeRole,
    State,
    Submitter,
    TlsPin,
)

__all__ = [
    "Action",
    "Institution",
    "Key",
    "Limits",
    "Node",
    "NodeRole",
    "Proposal",
    "State",
    "Submitter",
    "TlsPin",
    "apply_action",
    "check_proposal",
    "check_signatures",
    "decode_state",
    "encode_proposal",
    "encode_state",
    "fold",
    "genesis_content",
    "genesis_state",
    "governance_hash",
    "governance_hash_of",
    "new_genesis_content",
    "parse_proposal",
    "policy_text",
    "sign_proposal",
    "validate_state",
]


def genesis_state(body: Body) -> State:
    """Return the state that a genesis body founds; its chain id is derived from the body's digest.

    Raises GovernanceError E_GOVERNANCE_GENESIS for another kind of body, and whatever decoding and
    `governance_rules` refuse (EncodingError, PublicKeyError, GovernanceError).
    """
    if body.kind is not BodyKind.GENESIS or body.genesis is None:
        raise GovernanceError("E_GOVERNANCE_GENESIS", "a chain begins with a genesis body")
    state = decode_genesis(body.genesis, body.digest)
    validate_genesis(state)
    return state


def new_genesis_content(
    chain_name: str,
    *,
    f: int,
    quorum: int,
    institutions: tuple[Institution, ...],
    nodes: tuple[Node, ...],
    submitters: tuple[Submitter, ...],
    limits: Limits,
) -> list[Value]:
    """Return checked content for `body.encode_genesis_body`; lists may come in any order.

    Raises EncodingError, PublicKeyError, GovernanceError as `genesis_state` would.
    """
    state = State(
        chain_id=chain_name,
        f=f,
        quorum=quorum,
        next_sequence=0,
        institutions=tuple(sorted(institutions, key=lambda row: row.institution)),
        nodes=tuple(sorted(nodes, key=lambda row: row.node_id)),
        submitters=tuple(sorted(submitters, key=lambda row: (row.institution, row.key_id))),
        limits=limits,
    )
    content = genesis_content(chain_name, state)
    # Through the decoder, so that every field is checked as a reader will check it.
    decoded = unpack(pack(content), max_bytes=BODY_BYTES_MAX, what="genesis content")
    validate_genesis(decode_genesis(decoded, bytes(32)))
    return content
