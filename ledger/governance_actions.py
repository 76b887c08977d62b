"""One governance action applied to one state: the step of the fold.

Why pure: every node, every restart and every audit folds the same proposals over the same genesis and must
end in the same state, or keys would mean different things to different institutions.

Rules kept here, in this order:
- The proposal is for this chain and carries the next sequence number.
- Every signature under it is good, by a governance key that is open at the block's height, one per
  institution; and at least `quorum` institutions signed. A proposal with a bad signature among enough good
  ones is refused too: nothing false enters the chain.
- The action finds what it speaks of in the state that it expects (a voter to demote, an observer to promote).
- The resulting state may exist (`governance_rules.validate_state`).
- What block h decides holds from h + 1.

Refuses: two changes of the voters in one action, and any action without effect.
"""

from dataclasses import replace
from typing import TypeVar

from ledger import ed25519
from ledger.body import SignedProposal
from ledger.errors import GovernanceError
from ledger.governance_proposal import (
    Action,
    AddInstitution,
    AddNode,
    AddSubmitter,
    DemoteNode,
    NewKey,
    PromoteNode,
    Proposal,
    RemoveInstitution,
    RemoveNode,
    RevokeSubmitter,
    RotateGovernanceKey,
    RotateKey,
    SetLimits,
    SetQuorum,
    parse_proposal,
)
from ledger.governance_rules import validate_state
from ledger.governance_state import Institution, Key, Node, NodeRole, State, Submitter, TlsPin

_Row = TypeVar("_Row", Key, TlsPin, Submitter)


def fold(state: State, height: int, signed: SignedProposal) -> State:
    """Return the state after the governance block at `height`, whose proposal is `signed`.

    A leader asks this before it proposes, a follower before it acknowledges, everybody when it is applied.
    Raises EncodingError and PublicKeyError as `parse_proposal`, and GovernanceError E_GOVERNANCE_…
    """
    proposal = parse_proposal(signed.proposal)
    check_proposal(state, proposal)
    signers = check_signatures(state, height, signed)
    if len(signers) < state.quorum:
        raise GovernanceError(
            "E_GOVERNANCE_QUORUM", f"{len(signers)} institutions signed; {state.quorum} are needed"
        )
    return apply_action(state, height, proposal.action)


def check_proposal(state: State, proposal: Proposal) -> None:
    """Return if the proposal is for this chain and comes next. Raises GovernanceError E_GOVERNANCE_CHAIN,
    …_SEQUENCE.
    """
    if proposal.chain_id != state.chain_id:
        raise GovernanceError("E_GOVERNANCE_CHAIN", f"the proposal is for chain {proposal.chain_id}")
    if proposal.sequence != state.next_sequence:
        raise GovernanceError(
            "E_GOVERNANCE_SEQUENCE",
            f"the proposal has sequence {proposal.sequence}; the next is {state.next_sequence}",
        )


def check_signatures(state: State, height: int, signed: SignedProposal) -> tuple[str, ...]:
    """Return the institutions that signed, all signatures being good at `height`.

    Raises GovernanceError E_GOVERNANCE_SIGNER, E_GOVERNANCE_SIGNATURE.
    """
    for line in signed.signatures:
        public = state.governance_key(line.institution, line.key_id, height)
        if public is None:
            raise GovernanceError(
                "E_GOVERNANCE_SIGNER", f"{line.institution} has no open governance key {line.key_id}"
            )
        if not ed25519.verify(public, line.signature, signed.proposal):
            raise GovernanceError("E_GOVERNANCE_SIGNATURE", f"the signature of {line.institution} is bad")
    return tuple(line.institution for line in signed.signatures)


def apply_action(state: State, height: int, action: Action) -> State:
    """Return the state that rules from height + 1 if `action` stands in the block at `height`.

    Signatures are not looked at. Raises GovernanceError E_GOVERNANCE_…
    """
    after = replace(_changed(state, height + 1, action), next_sequence=state.next_sequence + 1)
    validate_state(after)
    return after


def _changed(state: State, since: int, action: Action) -> State:
    match action:
        case AddInstitution():
            return _add_institution(state, since, action)
        case RemoveInstitution():
            return _remove_institution(state, since, action)
        case SetQuorum(quorum):
            if quorum == state.quorum:
                raise GovernanceError("E_GOVERNANCE_UNCHANGED", f"the quorum is {quorum} already")
            return replace(state, quorum=quorum)
        case AddNode():
            return _add_node(state, since, action)
        case PromoteNode(node_id):
            return _set_role(state, node_id, NodeRole.OBSERVER, NodeRole.VOTER)
        case DemoteNode(node_id):
            return _set_role(state, node_id, NodeRole.VOTER, NodeRole.OBSERVER)
        case RemoveNode(node_id):
            return _remove_node(state, since, node_id)
        case RotateKey():
            return _rotate_key(state, since, action)
        case RotateGovernanceKey():
            return _rotate_governance_key(state, since, action)
        case AddSubmitter(institution, key_id, sig_alg, public, der):
            submitter = Submitter(institution, key_id, sig_alg, public, der, since, 0)
            rows = (*state.submitters, submitter)
            ordered = sorted(rows, key=lambda row: (row.institution, row.key_id))
            return replace(state, submitters=tuple(ordered))
        case RevokeSubmitter():
            return _revoke_submitter(state, since, action)
        case SetLimits(limits):
            if limits == state.limits:
                raise GovernanceError("E_GOVERNANCE_UNCHANGED", "the limits are these already")
            return replace(state, limits=limits)


def _open_key(new: NewKey, since: int) -> Key:
    return Key(new.key_id, new.sig_alg, new.public, since, 0)


def _closed(rows: tuple[_Row, ...], since: int) -> tuple[_Row, ...]:
    """Return the rows with every open one ended at `since`."""
    return tuple(row if row.until_height else replace(row, until_height=since) for row in rows)


def _add_institution(state: State, since: int, action: AddInstitution) -> State:
    keys = tuple(_open_key(key, since) for key in action.keys)
    row = Institution(action.institution, action.name, action.uscc, action.role, keys)
    rows = sorted((*state.institutions, row), key=lambda one: one.institution)
    return replace(state, institutions=tuple(rows), quorum=action.quorum)


def _member(state: State, institution: str) -> Institution:
    row = state.institution(institution)
    if row is None or not row.open:
        raise GovernanceError("E_GOVERNANCE_UNKNOWN", f"there is no member {institution}")
    return row


def _with_institution(state: State, row: Institution) -> State:
    rows = tuple(row if one.institution == row.institution else one for one in state.institutions)
    return replace(state, institutions=rows)


def _remove_institution(state: State, since: int, action: RemoveInstitution) -> State:
    row = _member(state, action.institution)
    after = _with_institution(state, replace(row, keys=_closed(row.keys, since)))
    return replace(after, quorum=action.quorum)


def _rotate_governance_key(state: State, since: int, action: RotateGovernanceKey) -> State:
    row = _member(state, action.institution)
    if not any(key.key_id == action.old_key_id and not key.until_height for key in row.keys):
        raise GovernanceError(
            "E_GOVERNANCE_UNKNOWN", f"{action.institution} has no open governance key {action.old_key_id}"
        )
    kept = tuple(
        replace(key, until_height=since) if key.key_id == action.old_key_id else key for key in row.keys
    )
    new = Key(action.key_id, action.sig_alg, action.public, since, 0)
    return _with_institution(state, replace(row, keys=(*kept, new)))


def _node(state: State, node_id: str) -> Node:
    row = state.node(node_id)
    if row is None or row.role is NodeRole.REMOVED:
        raise GovernanceError("E_GOVERNANCE_UNKNOWN", f"there is no node {node_id}, or it was removed")
    return row


def _with_node(state: State, node: Node) -> State:
    return replace(state, nodes=tuple(node if one.node_id == node.node_id else one for one in state.nodes))


def _add_node(state: State, since: int, action: AddNode) -> State:
    row = Node(
        action.node_id,
        action.institution,
        NodeRole.OBSERVER,
        (_open_key(action.node_key, since),),
        (_open_key(action.log_key, since),),
        (_open_key(action.cosigner_key, since),),
        (TlsPin(action.tls.key_id, action.tls.der, since, 0),),
    )
    return replace(state, nodes=tuple(sorted((*state.nodes, row), key=lambda one: one.node_id)))


def _set_role(state: State, node_id: str, before: NodeRole, after: NodeRole) -> State:
    row = _node(state, node_id)
    if row.role is not before:
        raise GovernanceError("E_GOVERNANCE_NODE_ROLE", f"node {node_id} is a {row.role}, not a {before}")
    return _with_node(state, replace(row, role=after))


def _remove_node(state: State, since: int, node_id: str) -> State:
    row = _node(state, node_id)
    ended = replace(
        row,
        role=NodeRole.REMOVED,
        node_keys=_closed(row.node_keys, since),
        log_keys=_closed(row.log_keys, since),
        cosigner_keys=_closed(row.cosigner_keys, since),
        tls=_closed(row.tls, since),
    )
    return _with_node(state, ended)


def _rotate_key(state: State, since: int, action: RotateKey) -> State:
    row = _node(state, action.node_id)
    if action.purpose == "tls":
        pin = TlsPin(action.key_id, action.public, since, 0)
        return _with_node(state, replace(row, tls=(*_closed(row.tls, since), pin)))
    new = Key(action.key_id, action.sig_alg, action.public, since, 0)
    if action.purpose == "node":
        after = replace(row, node_keys=(*_closed(row.node_keys, since), new))
    elif action.purpose == "log":
        after = replace(row, log_keys=(*_closed(row.log_keys, since), new))
    else:
        assert action.purpose == "cosigner", "the proposal's parser knows four purposes"
        after = replace(row, cosigner_keys=(*_closed(row.cosigner_keys, since), new))
    return _with_node(state, after)


def _revoke_submitter(state: State, since: int, action: RevokeSubmitter) -> State:
    row = state.submitter(action.institution, action.key_id)
    if row is None or row.until_height:
        raise GovernanceError(
            "E_GOVERNANCE_UNKNOWN", f"{action.institution} has no open submitter {action.key_id}"
        )
    ended = replace(row, until_height=since)
    return replace(state, submitters=tuple(ended if one is row else one for one in state.submitters))
