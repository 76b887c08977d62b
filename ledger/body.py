"""The block body: what Raft orders. Its bytes are the entry's payload, the stored value and the digest's
input.

Format: ``[1, proposer, timestamp_ms, kind, content]`` (canonical array); `content` by kind:

1. envelopes: ``[envelope, ...]``, at least one, joined from the envelopes' own bytes
2. governance: ``[proposal bytes, [[institution, key_id, sig_alg, signature], ...]]``, institutions rising
3. empty: 1 (new term) or 2 (new era)
4. genesis: ``[chain_name, f, quorum, institutions, nodes, submitters, limits]``; the proposer is ""

Rules kept here, all without any state:
- At most 4 MiB; envelopes in their one form with valid leaves; one signature per institution under a
  proposal.
- `Body.raw` and `Envelope.raw` are the bytes as received; the digest is of those bytes.
- No object per record is made: a body of 5,000 records in one envelope is one `Envelope`.

Refuses: judging signatures, keys, limits of the chain, time order and the meaning of proposals and genesis.
Those hang on the state before the block and belong to `chain` and `governance`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import Any, Final

from ledger import ed25519, names
from ledger.algorithms import require_signature
from ledger.encoding import (
    Value,
    as_array,
    as_bytes,
    as_int,
    as_text,
    element_slices,
    pack,
    pack_joined,
    require_format,
    unpack,
)
from ledger.envelope import Envelope, envelope_from
from ledger.errors import BodyError

BODY_BYTES_MAX: Final = 4 * 1024 * 1024
PROPOSAL_BYTES_MAX: Final = 65_536
PROPOSAL_SIGNATURES_MAX: Final = 64
FORMAT: Final = 1


class BodyKind(IntEnum):
    """What a body holds; the header of the block repeats it."""

    ENVELOPES = 1
    GOVERNANCE = 2
    EMPTY = 3
    GENESIS = 4


class EmptyReason(IntEnum):
    """Why a body is empty."""

    NEW_TERM = 1
    NEW_ERA = 2


@dataclass(frozen=True, slots=True)
class ProposalSignature:
    """One institution's signature under a governance proposal."""

    institution: str
    key_id: str
    sig_alg: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class SignedProposal:
    """A governance proposal's bytes, exactly as they were signed, and the signatures in order of
    institution.
    """

    proposal: bytes
    signatures: tuple[ProposalSignature, ...]


@dataclass(frozen=True, slots=True)
class Body:
    """A body of valid form. Exactly the part that belongs to `kind` is filled.

    `raw` is its only spelling and `digest` (32 bytes) the SHA-256 of it; `genesis` is the decoded content,
    whose fields `governance` checks.
    """

    raw: bytes
    digest: bytes
    proposer: str
    timestamp_ms: int
    kind: BodyKind
    envelopes: tuple[Envelope, ...] = ()
    proposal: SignedProposal | None = None
    reason: EmptyReason | None = None
    genesis: tuple[Any, ...] | None = None

    @property
    def records(self) -> int:
        """Number of record leaves."""
        return sum(envelope.count for envelope in self.envelopes)


def encode_envelopes_body(proposer: str, timestamp_ms: int, envelopes: Sequence[bytes]) -> bytes:
    """Return a body of kind 1 from the envelopes' own bytes (`Envelope.raw`), which are copied as they
    are.
    """
    assert envelopes, "an envelopes body holds at least one envelope"
    return _join(proposer, timestamp_ms, BodyKind.ENVELOPES, pack_joined(envelopes))


def encode_governance_body(proposer: str, timestamp_ms: int, signed: SignedProposal) -> bytes:
    """Return a body of kind 2; the signatures must be in rising order of institution."""
    institutions = [signature.institution for signature in signed.signatures]
    assert institutions == sorted(set(institutions)), "one signature per institution, in their order"
    signatures: list[Value] = [[s.institution, s.key_id, s.sig_alg, s.signature] for s in signed.signatures]
    return _join(proposer, timestamp_ms, BodyKind.GOVERNANCE, pack([signed.proposal, signatures]))


def encode_empty_body(proposer: str, timestamp_ms: int, reason: EmptyReason) -> bytes:
    """Return a body of kind 3."""
    return _join(proposer, timestamp_ms, BodyKind.EMPTY, pack(int(reason)))


def encode_genesis_body(timestamp_ms: int, content: Sequence[Value]) -> bytes:
    """Return a body of kind 4; `governance_codec.genesis_content` makes and checks the content."""
    assert len(content) == 7, "genesis content has seven fields"
    return _join("", timestamp_ms, BodyKind.GENESIS, pack(content))


def _join(proposer: str, timestamp_ms: int, kind: BodyKind, content: bytes) -> bytes:
    assert names.PROPOSER.fullmatch(proposer), "a node id, or empty"
    assert (proposer == "") == (kind is BodyKind.GENESIS), "only genesis has no proposer"
    return pack_joined([pack(FORMAT), pack(proposer), pack(timestamp_ms), pack(int(kind)), content])


def parse_body(raw: bytes, *, max_bytes: int = BODY_BYTES_MAX) -> Body:
    """Return the body that `raw` spells.

    Raises EncodingError E_ENCODING_…, E_FIELD_…, E_FORMAT_UNKNOWN for its form; BodyError E_BODY_KIND,
    E_BODY_PROPOSER, E_BODY_EMPTY, E_BODY_REASON, E_BODY_SIGNATURE_ORDER and what `envelope` raises.
    """
    fields = as_array(unpack(raw, max_bytes=max_bytes, what="body"), "body", 5)
    require_format(fields[0], "body", FORMAT)
    proposer = as_text(fields[1], "body proposer", names.PROPOSER)
    timestamp_ms = as_int(fields[2], "body timestamp")
    number = as_int(fields[3], "body kind")
    if number not in BodyKind.__members__.values():
        raise BodyError("E_BODY_KIND", f"no body kind has the number {number}")
    kind = BodyKind(number)
    if (proposer == "") != (kind is BodyKind.GENESIS):
        raise BodyError("E_BODY_PROPOSER", "every body but genesis names the node that proposed it")
    digest = sha256(raw).digest()
    content = fields[4]
    if kind is BodyKind.ENVELOPES:
        envelopes = _envelopes(content, element_slices(raw, what="body")[4])
        return Body(raw, digest, proposer, timestamp_ms, kind, envelopes=envelopes)
    if kind is BodyKind.GOVERNANCE:
        return Body(raw, digest, proposer, timestamp_ms, kind, proposal=_signed_proposal(content))
    if kind is BodyKind.EMPTY:
        return Body(raw, digest, proposer, timestamp_ms, kind, reason=_reason(content))
    genesis = tuple(as_array(content, "genesis content", 7))
    return Body(raw, digest, proposer, timestamp_ms, kind, genesis=genesis)


def _envelopes(content: object, raw: bytes) -> tuple[Envelope, ...]:
    """Return the envelopes of decoded content; `raw` is the content's own bytes."""
    values = as_array(content, "body envelopes")
    if not values:
        raise BodyError("E_BODY_EMPTY", "an envelopes body holds no envelope")
    slices = element_slices(raw, what="body envelopes")
    return tuple(envelope_from(value, own) for value, own in zip(values, slices, strict=True))


def _signed_proposal(content: object) -> SignedProposal:
    proposal, listed = as_array(content, "governance content", 2)
    return parse_signed_proposal(proposal, listed)


def parse_signed_proposal(proposal: object, listed: object) -> SignedProposal:
    """Return a proposal with its signatures from decoded values; each institution signs once, in rising
    order.

    Raises EncodingError E_FIELD_… and BodyError E_BODY_SIGNATURE_ORDER.
    """
    raw = as_bytes(proposal, "proposal", max_length=PROPOSAL_BYTES_MAX)
    signatures: list[ProposalSignature] = []
    for value in as_array(listed, "proposal signatures", max_length=PROPOSAL_SIGNATURES_MAX):
        fields = as_array(value, "proposal signature", 4)
        institution = as_text(fields[0], "proposal signature institution", names.INSTITUTION)
        key_id = as_text(fields[1], "proposal signature key id", names.KEY_ID)
        sig_alg = as_int(fields[2], "proposal signature algorithm")
        require_signature(sig_alg)
        signature = as_bytes(fields[3], "proposal signature", ed25519.SIGNATURE_BYTES)
        if signatures and signatures[-1].institution >= institution:
            raise BodyError("E_BODY_SIGNATURE_ORDER", "signatures are not one per institution, in order")
        signatures.append(ProposalSignature(institution, key_id, sig_alg, signature))
    return SignedProposal(raw, tuple(signatures))


def _reason(content: object) -> EmptyReason:
    number = as_int(content, "empty body reason")
    if number not in EmptyReason.__members__.values():
        raise BodyError("E_BODY_REASON", f"no reason for an empty body has the number {number}")
    return EmptyReason(number)
