"""The receipt: a tlog-proof file that carries its record leaf, and optionally the header of its block.

Why: a tlog-proof shows that *some* leaf is in the tree; a court asks about a record. So the file brings the
leaf, and the verifier brings the one thing that is his own: the commitment of the record in question. The
file's `extra` line is untrusted; it counts only because the leaf it holds hashes to what the path proves, and
holds the commitment asked for.

Format: a C2SP tlog-proof whose `extra` is base64 of the 128-byte record leaf, followed, if the header is
wanted, by ``[header_index, header_leaf, [path, ...]]`` (canonical array; the path is at the same checkpoint).

Order of checks, which decides the exit code when several fail:

1. Form of the whole file: tlog-proof, `extra`, leaf, header part, note, checkpoint (ReceiptFormatError, 13).
2. The leaf holds the verifier's commitment (ReceiptMismatchError E_RECEIPT_COMMITMENT, 10).
3. Origin, signatures, quorum, by the verifier's own trust file (ReceiptTrustError, 11).
4. The leaf's path leads to the root (ReceiptMismatchError, 10).
5. The header is of this chain, stands where it says, covers the record, and its path leads to the same root
   (ReceiptMismatchError, 10).

Rules kept here: nothing is partly valid. A file with a changed byte is refused, or its index, leaf, path,
root and a quorum of signatures are the same bytes as before (only a signature line that did not count can
differ).
Sources: C2SP tlog-proof, "Verifying a tlog proof".
Refuses: fetching anything, times (they are reported, and judged by whoever reads them), the record's content.
"""

from dataclasses import dataclass
from typing import Final

from ledger.checkpoint import parse_checkpoint
from ledger.encoding import INT_MAX, Value, as_array, as_bytes, as_int, pack, unpack
from ledger.errors import CheckpointError, LedgerError, NoteError, ReceiptFormatError, ReceiptMismatchError
from ledger.header import HEADER_BYTES_MAX, Header, parse_header
from ledger.merkle import HASH_BYTES, leaf_hash
from ledger.note import VerifierKey, parse_note
from ledger.policy import Policy
from ledger.proof import PATH_MAX
from ledger.record import COMMITMENT_BYTES, LEAF_BYTES, RecordLeaf, decode_leaf
from ledger.tlogproof import TlogProof, format_proof, parse_proof, verify_head, verify_path
from ledger.trust import Cosigned, TrustFile

_HEADER_PART_MAX: Final = HEADER_BYTES_MAX + PATH_MAX * (HASH_BYTES + 2) + 32


@dataclass(frozen=True, slots=True)
class HeaderProof:
    """A block header's leaf with its own index and path, at the receipt's checkpoint. Unverified."""

    index: int
    leaf: bytes
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt in its parts. Every part is well formed and nothing is verified."""

    leaf: bytes
    record: RecordLeaf
    proof: TlogProof
    header_proof: HeaderProof | None
    header: Header | None


@dataclass(frozen=True, slots=True)
class InstitutionSignature:
    """An institution's good cosignature: which of its witnesses signed, and when (POSIX seconds)."""

    institution: str
    witness: str
    time_s: int


@dataclass(frozen=True, slots=True)
class VerifiedReceipt:
    """A record that a trust file's quorum vouches for. Only `verify_receipt` makes one.

    `leaf` is number `index` of the tree of `size` leaves with `root`. `block` is the proven header of its
    block, None if the receipt brings none. `logs` are the log keys, and `signatures` the cosignatures, that
    signed the checkpoint.
    """

    record: RecordLeaf
    leaf: bytes
    index: int
    origin: str
    size: int
    root: bytes
    block: Header | None
    logs: tuple[VerifierKey, ...]
    signatures: tuple[InstitutionSignature, ...]


def build_receipt(
    leaf: bytes,
    index: int,
    path: tuple[bytes, ...],
    checkpoint: bytes,
    header: HeaderProof | None = None,
) -> bytes:
    """Return the file. `leaf` is the 128-byte record leaf, `checkpoint` the signed note as it was received.

    Nothing is verified here; whoever hands the file out runs `verify_receipt` on it.
    """
    assert len(leaf) == LEAF_BYTES, "a record leaf without prefix"
    extra = leaf
    if header is not None:
        part: list[Value] = [header.index, header.leaf, list(header.path)]
        extra += pack(part)
    return format_proof(TlogProof(index, path, checkpoint, extra))


def parse_receipt(data: bytes) -> Receipt:
    """Return the parts of a receipt file.

    Raises ReceiptFormatError: what `tlogproof.parse_proof` raises, E_RECEIPT_EXTRA (no leaf), E_RECEIPT_LEAF,
    E_RECEIPT_HEADER, E_RECEIPT_CHECKPOINT.
    """
    proof = parse_proof(data)
    if proof.extra is None or len(proof.extra) < LEAF_BYTES:
        raise ReceiptFormatError("E_RECEIPT_EXTRA", "the receipt does not bring its record leaf")
    leaf, rest = proof.extra[:LEAF_BYTES], proof.extra[LEAF_BYTES:]
    try:
        record = decode_leaf(leaf)
    except LedgerError as error:
        raise ReceiptFormatError("E_RECEIPT_LEAF", f"not a record leaf: {error.message}") from error
    header_proof, header = _parse_header_part(rest) if rest else (None, None)
    try:
        parse_checkpoint(parse_note(proof.checkpoint).text)
    except (NoteError, CheckpointError) as error:
        raise ReceiptFormatError("E_RECEIPT_CHECKPOINT", str(error)) from error
    return Receipt(leaf, record, proof, header_proof, header)


def _parse_header_part(raw: bytes) -> tuple[HeaderProof, Header]:
    try:
        fields = as_array(unpack(raw, max_bytes=_HEADER_PART_MAX, what="header part"), "header part", 3)
        index = as_int(fields[0], "header index", 0, INT_MAX)
        leaf = as_bytes(fields[1], "header leaf", max_length=HEADER_BYTES_MAX)
        hashes = as_array(fields[2], "header path", max_length=PATH_MAX)
        path = tuple(as_bytes(one, "hash of the header path", HASH_BYTES) for one in hashes)
        return HeaderProof(index, leaf, path), parse_header(leaf)
    except LedgerError as error:
        raise ReceiptFormatError("E_RECEIPT_HEADER", f"not a header proof: {error.message}") from error


def verify_receipt(data: bytes, trust: TrustFile, commitment: bytes) -> VerifiedReceipt:
    """Return what the file proves about the record with this commitment (32 bytes, the verifier's own).

    Raises ReceiptFormatError as `parse_receipt`; ReceiptMismatchError E_RECEIPT_COMMITMENT, E_PROOF_RANGE,
    E_PROOF_LENGTH, E_PROOF_ROOT, E_RECEIPT_HEADER_CHAIN, E_RECEIPT_HEADER_INDEX, E_RECEIPT_HEADER_RANGE;
    ReceiptTrustError E_TRUST_CHAIN, E_NOTE_…, E_QUORUM.
    """
    assert len(commitment) == COMMITMENT_BYTES, "a commitment has 32 bytes"
    receipt = parse_receipt(data)
    if receipt.record.commitment != commitment:
        raise ReceiptMismatchError("E_RECEIPT_COMMITMENT", "the receipt is about another record's digest")
    proof = receipt.proof
    head = verify_head(proof.checkpoint, trust)
    verify_path(leaf_hash(receipt.leaf), proof.index, proof.path, head)
    if receipt.header_proof is not None and receipt.header is not None:
        _require_covering(receipt.header, receipt.header_proof.index, proof.index, trust.origin)
        own_hash = leaf_hash(receipt.header_proof.leaf)
        verify_path(own_hash, receipt.header_proof.index, receipt.header_proof.path, head)
    policy = trust.policy_for(head.checkpoint.size)
    return VerifiedReceipt(
        record=receipt.record,
        leaf=receipt.leaf,
        index=proof.index,
        origin=head.checkpoint.origin,
        size=head.checkpoint.size,
        root=head.checkpoint.root,
        block=receipt.header,
        logs=head.logs,
        signatures=tuple(_institution_signature(policy, one) for one in head.cosigned),
    )


def _require_covering(header: Header, header_index: int, index: int, origin: str) -> None:
    """Return if the header is this chain's, stands at its own place, and its block holds leaf `index`."""
    if header.chain_id != origin:
        raise ReceiptMismatchError("E_RECEIPT_HEADER_CHAIN", f"the header is of chain {header.chain_id}")
    if header.tree_size != header_index:
        raise ReceiptMismatchError("E_RECEIPT_HEADER_INDEX", "the header does not stand where it says")
    if not header.tree_size - header.records <= index < header.tree_size:
        raise ReceiptMismatchError("E_RECEIPT_HEADER_RANGE", "the record is not in the header's block")


def _institution_signature(policy: Policy, cosigned: Cosigned) -> InstitutionSignature:
    """Return a cosignature under the name of the group that its witness belongs to, or its own if to none."""
    groups = (group.name for group in policy.groups if cosigned.witness in group.members)
    return InstitutionSignature(next(groups, cosigned.witness), cosigned.witness, cosigned.time_s)
