"""Governance proposals: the bytes institutions sign offline, and the actions those bytes can mean.

Format: ``["tiezheng/proposal", 1, chain_id, sequence, action]``; a signature is over exactly these bytes.
`sequence` is the state's next one, so a proposal is applied once or never. Actions (key is ``[key_id,
sig_alg, public]``, tls is ``[key_id, certificate DER]``):

- ``["add_institution", [id, name, uscc, role, [key, ...]], quorum]``, ``["remove_institution", id, quorum]``
- ``["set_quorum", quorum]``, ``["set_limits", limits]``
- ``["add_node", node_id, institution, node key, log key, cosigner key, tls]``: it joins as an observer
- ``["promote_node", id]``, ``["demote_node", id]``, ``["remove_node", id]``
- ``["rotate_key", node_id, purpose, key_id, sig_alg, public or DER]``; purpose is node, log, cosigner or
  tls (then sig_alg is 0)
- ``["rotate_governance_key", institution, old key_id, key_id, sig_alg, public]``
- ``["add_submitter", institution, key_id, sig_alg, public, tls DER]``, ``["revoke_submitter", institution,
  key_id]``

Rules kept here: the shape of every field. A reader shows a person what is about to be signed from these
classes. Refuses: judging an action against a state; see `governance_actions`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from ledger import ed25519, names
from ledger.algorithms import SIG_ED25519
from ledger.body import PROPOSAL_BYTES_MAX, ProposalSignature
from ledger.encoding import Value, as_array, as_int, as_text, pack, require_format, unpack
from ledger.errors import EncodingError
from ledger.governance_codec import limits_array, limits_from, public_key_from, role_from, tls_der_from
from ledger.governance_state import Limits

PURPOSE: Final = "tiezheng/proposal"
KEY_PURPOSES: Final = ("node", "log", "cosigner", "tls")
_NEW_KEYS_MAX: Final = 16


@dataclass(frozen=True, slots=True)
class NewKey:
    """A public key that an action brings; its heights follow from the block that holds the action."""

    key_id: str
    sig_alg: int
    public: bytes


@dataclass(frozen=True, slots=True)
class NewTls:
    """A TLS certificate (DER) that an action brings."""

    key_id: str
    der: bytes


@dataclass(frozen=True, slots=True)
class AddInstitution:
    """A new member, and the quorum that holds from then on."""

    institution: str
    name: str
    uscc: str
    role: str
    keys: tuple[NewKey, ...]
    quorum: int


@dataclass(frozen=True, slots=True)
class RemoveInstitution:
    """A member leaves, having neither nodes nor open submitters, and the quorum that holds from then on."""

    institution: str
    quorum: int


@dataclass(frozen=True, slots=True)
class SetQuorum:
    """Another quorum."""

    quorum: int


@dataclass(frozen=True, slots=True)
class AddNode:
    """A new node; it joins as an observer."""

    node_id: str
    institution: str
    node_key: NewKey
    log_key: NewKey
    cosigner_key: NewKey
    tls: NewTls


@dataclass(frozen=True, slots=True)
class PromoteNode:
    """An observer becomes a voter."""

    node_id: str


@dataclass(frozen=True, slots=True)
class DemoteNode:
    """A voter becomes an observer."""

    node_id: str


@dataclass(frozen=True, slots=True)
class RemoveNode:
    """A node ends for ever; all its keys close."""

    node_id: str


@dataclass(frozen=True, slots=True)
class RotateKey:
    """A node's key of one purpose is replaced. For purpose tls `sig_alg` is 0 and `public` is the DER."""

    node_id: str
    purpose: str
    key_id: str
    sig_alg: int
    public: bytes


@dataclass(frozen=True, slots=True)
class RotateGovernanceKey:
    """One of an institution's governance keys is replaced."""

    institution: str
    old_key_id: str
    key_id: str
    sig_alg: int
    public: bytes


@dataclass(frozen=True, slots=True)
class AddSubmitter:
    """A gateway's signing key and TLS client certificate."""

    institution: str
    key_id: str
    sig_alg: int
    public: bytes
    tls_der: bytes


@dataclass(frozen=True, slots=True)
class RevokeSubmitter:
    """A submitter ends for ever."""

    institution: str
    key_id: str


@dataclass(frozen=True, slots=True)
class SetLimits:
    """Other limits of the chain."""

    limits: Limits


Action: TypeAlias = (
    AddInstitution
    | RemoveInstitution
    | SetQuorum
    | AddNode
    | PromoteNode
    | DemoteNode
    | RemoveNode
    | RotateKey
    | RotateGovernanceKey
    | AddSubmitter
    | RevokeSubmitter
    | SetLimits
)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposal of valid form. `raw` is its only spelling and what institutions sign."""

    chain_id: str
    sequence: int
    action: Action
    raw: bytes


def encode_proposal(chain_id: str, sequence: int, action: Action) -> bytes:
    """Return the bytes of a proposal, which are also the bytes to sign."""
    return pack([PURPOSE, 1, chain_id, sequence, _encode_action(action)])


def sign_proposal(raw: bytes, institution: str, key_id: str, seed: bytes) -> ProposalSignature:
    """Return an institution's signature under a proposal's bytes; `seed` is its 32-byte governance seed."""
    return ProposalSignature(institution, key_id, SIG_ED25519, ed25519.sign(seed, raw))


def parse_proposal(raw: bytes) -> Proposal:
    """Return the proposal that `raw` spells.

    Raises EncodingError E_ENCODING_…, E_FIELD_…, E_FORMAT_UNKNOWN, E_PROPOSAL_PURPOSE, E_PROPOSAL_ACTION;
    PublicKeyError and GovernanceError E_GOVERNANCE_ROLE, E_GOVERNANCE_TLS for what an action brings.
    """
    fields = as_array(unpack(raw, max_bytes=PROPOSAL_BYTES_MAX, what="proposal"), "proposal", 5)
    if fields[0] != PURPOSE:
        raise EncodingError("E_PROPOSAL_PURPOSE", f"a proposal begins with {PURPOSE}")
    require_format(fields[1], "proposal")
    chain_id = as_text(fields[2], "proposal chain id", names.CHAIN_ID)
    sequence = as_int(fields[3], "proposal sequence")
    return Proposal(chain_id, sequence, _decode_action(fields[4]), raw)


def _encode_action(action: Action) -> list[Value]:
    match action:
        case AddInstitution(institution, name, uscc, role, keys, quorum):
            return [
                "add_institution",
                [institution, name, uscc, role, [_new_key(key) for key in keys]],
                quorum,
            ]
        case RemoveInstitution(institution, quorum):
            return ["remove_institution", institution, quorum]
        case SetQuorum(quorum):
            return ["set_quorum", quorum]
        case AddNode(node_id, institution, node, log, cosigner, tls):
            keys_: list[Value] = [_new_key(node), _new_key(log), _new_key(cosigner)]
            return ["add_node", node_id, institution, *keys_, [tls.key_id, tls.der]]
        case PromoteNode(node_id):
            return ["promote_node", node_id]
        case DemoteNode(node_id):
            return ["demote_node", node_id]
        case RemoveNode(node_id):
            return ["remove_node", node_id]
        case RotateKey(node_id, purpose, key_id, sig_alg, public):
            return ["rotate_key", node_id, purpose, key_id, sig_alg, public]
        case RotateGovernanceKey(institution, old_key_id, key_id, sig_alg, public):
            return ["rotate_governance_key", institution, old_key_id, key_id, sig_alg, public]
        case AddSubmitter(institution, key_id, sig_alg, public, der):
            return ["add_submitter", institution, key_id, sig_alg, public, der]
        case RevokeSubmitter(institution, key_id):
            return ["revoke_submitter", institution, key_id]
        case SetLimits(limits):
            return ["set_limits", limits_array(limits)]


def _new_key(key: NewKey) -> list[Value]:
    return [key.key_id, key.sig_alg, key.public]


def _decode_action(value: object) -> Action:
    fields = as_array(value, "action", max_length=8)
    name = fields[0] if fields and isinstance(fields[0], str) else ""
    if name not in _DECODERS:
        raise EncodingError("E_PROPOSAL_ACTION", "the proposal holds no action that this program knows")
    length, decode = _DECODERS[name]
    return decode(as_array(value, f"action {name}", length))


def _key_from(value: object, what: str) -> NewKey:
    fields = as_array(value, what, 3)
    key_id = as_text(fields[0], f"{what} id", names.KEY_ID)
    return NewKey(key_id, *public_key_from(fields[1], fields[2], what))


def _tls_from(value: object) -> NewTls:
    fields = as_array(value, "tls", 2)
    return NewTls(as_text(fields[0], "tls key id", names.KEY_ID), tls_der_from(fields[1], "node"))


def _add_institution(fields: list[Any]) -> Action:
    row = as_array(fields[1], "institution", 5)
    keys = as_array(row[4], "governance keys", max_length=_NEW_KEYS_MAX)
    return AddInstitution(
        _institution(row[0]),
        as_text(row[1], "institution name", names.DISPLAY_NAME),
        as_text(row[2], "institution uscc", names.REGISTRATION),
        role_from(row[3]),
        tuple(_key_from(key, "governance key") for key in keys),
        _quorum(fields[2]),
    )


def _add_node(fields: list[Any]) -> Action:
    node, log, cosigner = (_key_from(fields[at], f"{KEY_PURPOSES[at - 3]} key") for at in (3, 4, 5))
    tls = _tls_from(fields[6])
    return AddNode(_node_id(fields[1]), _institution(fields[2]), node, log, cosigner, tls)


def _rotate_key(fields: list[Any]) -> Action:
    purpose = as_text(fields[2], "key purpose", names.KEY_ID)
    if purpose not in KEY_PURPOSES:
        raise EncodingError("E_PROPOSAL_ACTION", f"a node has no key for {purpose}")
    key_id = as_text(fields[3], "key id", names.KEY_ID)
    if purpose == "tls":
        as_int(fields[4], "tls algorithm", 0, 0)
        return RotateKey(_node_id(fields[1]), purpose, key_id, 0, tls_der_from(fields[5], "node"))
    sig_alg, public = public_key_from(fields[4], fields[5], purpose)
    return RotateKey(_node_id(fields[1]), purpose, key_id, sig_alg, public)


def _rotate_governance_key(fields: list[Any]) -> Action:
    old, new = (as_text(fields[at], "key id", names.KEY_ID) for at in (2, 3))
    sig_alg, public = public_key_from(fields[4], fields[5], "governance")
    return RotateGovernanceKey(_institution(fields[1]), old, new, sig_alg, public)


def _add_submitter(fields: list[Any]) -> Action:
    key_id = as_text(fields[2], "submitter key id", names.KEY_ID)
    sig_alg, public = public_key_from(fields[3], fields[4], "submitter")
    return AddSubmitter(
        _institution(fields[1]), key_id, sig_alg, public, tls_der_from(fields[5], "submitter")
    )


def _revoke_submitter(fields: list[Any]) -> Action:
    return RevokeSubmitter(_institution(fields[1]), as_text(fields[2], "submitter key id", names.KEY_ID))


def _institution(value: object) -> str:
    return as_text(value, "institution id", names.INSTITUTION)


def _node_id(value: object) -> str:
    return as_text(value, "node id", names.NODE_ID)


def _quorum(value: object) -> int:
    return as_int(value, "quorum", 1)


# Action name -> (length of its array, what decodes it).
_DECODERS: Final[dict[str, tuple[int, Callable[[list[Any]], Action]]]] = {
    "add_institution": (3, _add_institution),
    "remove_institution": (3, lambda f: RemoveInstitution(_institution(f[1]), _quorum(f[2]))),
    "set_quorum": (2, lambda f: SetQuorum(_quorum(f[1]))),
    "add_node": (7, _add_node),
    "promote_node": (2, lambda f: PromoteNode(_node_id(f[1]))),
    "demote_node": (2, lambda f: DemoteNode(_node_id(f[1]))),
    "remove_node": (2, lambda f: RemoveNode(_node_id(f[1]))),
    "rotate_key": (6, _rotate_key),
    "rotate_governance_key": (6, _rotate_governance_key),
    "add_submitter": (6, _add_submitter),
    "revoke_submitter": (3, _revoke_submitter),
    "set_limits": (2, lambda f: SetLimits(limits_from(f[1]))),
}
