"""The tlog-proof file: index, audit path and checkpoint in one text that anybody can check offline, years
later.

Why a standard file: a receipt must outlive the program that made it, and be checkable by programs that never
heard of this chain. What the leaf means is not in here; `receipt` adds that for record leaves.

Rules kept here:
- ``c2sp.org/tlog-proof@v1``, an optional ``extra`` line, the ``index`` line, one line per hash, an empty
  line, the signed checkpoint as it is. One spelling: what parses formats to the same bytes.
- `extra` is never trusted. A caller that uses it must bind it to the leaf hash it gives to `verify_proof`.
- Order of checks: signatures and quorum (the checkpoint is believed or not), then the path. A reader of the
  result needs no further check, and nothing is partly valid.
- Three kinds of refusal, by class: ReceiptFormatError (unreadable, exit code 13), ReceiptTrustError
  (signatures or policy, 11), ReceiptMismatchError (leaf, path and root, 10).
- Changing any byte of an accepted file leads to a refusal, or index, leaf, path, root and a quorum of
  signatures are byte-identical: only lines of keys that the trust file does not know, or need not count, may
  differ. (`extra` is covered once the caller binds it to the leaf.)

Source: C2SP tlog-proof, all of it.
Refuses: a leaf's meaning, times, several proofs in one file.
"""

from dataclasses import dataclass
from typing import Final

from ledger.errors import (
    CheckpointError,
    EncodingError,
    NoteError,
    ProofError,
    QuorumError,
    ReceiptFormatError,
    ReceiptMismatchError,
    ReceiptTrustError,
    SignatureError,
)
from ledger.merkle import HASH_BYTES
from ledger.note import NOTE_BYTES_MAX
from ledger.proof import PATH_MAX, verify_inclusion
from ledger.spelling import base64_bytes, base64_text, decimal, hash_bytes
from ledger.trust import TrustFile, VerifiedCheckpoint, verify_checkpoint

HEADER: Final = "c2sp.org/tlog-proof@v1"
EXTRA_BYTES_MAX: Final = 65_536
_HEAD_BYTES_MAX: Final = 2 * EXTRA_BYTES_MAX + 100 * PATH_MAX
PROOF_BYTES_MAX: Final = _HEAD_BYTES_MAX + NOTE_BYTES_MAX


@dataclass(frozen=True, slots=True)
class TlogProof:
    """A tlog-proof in its parts, unverified. `checkpoint` is the signed note as it stands in the file."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None


@dataclass(frozen=True, slots=True)
class VerifiedProof:
    """Proof that the leaf with this 32-byte hash is number `index` of the tree of a believed checkpoint."""

    leaf_hash: bytes
    index: int
    head: VerifiedCheckpoint


def format_proof(proof: TlogProof) -> bytes:
    """Return the file's bytes."""
    assert proof.index >= 0
    assert len(proof.path) <= PATH_MAX
    assert proof.extra is None or 1 <= len(proof.extra) <= EXTRA_BYTES_MAX
    lines = [HEADER]
    if proof.extra is not None:
        lines.append(f"extra {base64_text(proof.extra)}")
    lines.append(f"index {proof.index}")
    lines += map(base64_text, proof.path)
    return "".join(f"{line}\n" for line in lines).encode() + b"\n" + proof.checkpoint


def parse_proof(data: bytes) -> TlogProof:
    """Return the parts of a tlog-proof file. Its checkpoint is not looked into.

    Raises ReceiptFormatError: E_RECEIPT_SIZE, E_RECEIPT_VERSION (another first line), E_RECEIPT_FORMAT.
    """
    if len(data) > PROOF_BYTES_MAX:
        raise ReceiptFormatError("E_RECEIPT_SIZE", f"a proof file has at most {PROOF_BYTES_MAX} bytes")
    if not data.startswith(HEADER.encode() + b"\n"):
        raise ReceiptFormatError("E_RECEIPT_VERSION", f"the first line of a proof file is {HEADER}")
    gap = data.find(b"\n\n", 0, _HEAD_BYTES_MAX)
    if gap < 0:
        raise ReceiptFormatError("E_RECEIPT_FORMAT", "no empty line parts the proof from the checkpoint")
    checkpoint = data[gap + 2 :]
    try:
        lines = data[:gap].decode("ascii").split("\n")[1:]
        extra = None
        if lines and lines[0].startswith("extra "):
            extra = base64_bytes(lines.pop(0).removeprefix("extra "), "the extra line")
        if not lines or not lines[0].startswith("index "):
            raise ReceiptFormatError("E_RECEIPT_FORMAT", "the index line is missing")
        index = decimal(lines.pop(0).removeprefix("index "), "the index")
        path = tuple(hash_bytes(line, "a hash of the path") for line in lines)
    except (UnicodeDecodeError, EncodingError) as error:
        raise ReceiptFormatError("E_RECEIPT_FORMAT", str(error)) from error
    if extra is not None and not 1 <= len(extra) <= EXTRA_BYTES_MAX:
        raise ReceiptFormatError("E_RECEIPT_FORMAT", "the extra line is empty or too long")
    if len(path) > PATH_MAX:
        raise ReceiptFormatError("E_RECEIPT_FORMAT", f"a path has at most {PATH_MAX} hashes")
    if not checkpoint:
        raise ReceiptFormatError("E_RECEIPT_FORMAT", "the checkpoint is missing")
    return TlogProof(index, path, checkpoint, extra)


def verify_proof(leaf_hash: bytes, proof: TlogProof, trust: TrustFile) -> VerifiedProof:
    """Return the proof as verified: the caller's own leaf hash (32 bytes) is in the tree that the quorum
    cosigned.

    Raises ReceiptFormatError E_RECEIPT_CHECKPOINT; ReceiptTrustError with the code of what failed
    (E_NOTE_SIGNATURE, E_NOTE_TWICE, E_NOTE_UNSIGNED, E_NOTE_NO_LOG, E_TRUST_CHAIN, E_QUORUM);
    ReceiptMismatchError E_PROOF_RANGE, E_PROOF_LENGTH, E_PROOF_ROOT.
    """
    assert len(leaf_hash) == HASH_BYTES
    head = verify_head(proof.checkpoint, trust)
    verify_path(leaf_hash, proof.index, proof.path, head)
    return VerifiedProof(leaf_hash, proof.index, head)


def verify_head(checkpoint: bytes, trust: TrustFile) -> VerifiedCheckpoint:
    """Return the believed checkpoint of a signed note. Raises as `verify_proof` for format and trust."""
    try:
        return verify_checkpoint(trust, checkpoint)
    except (SignatureError, QuorumError) as error:
        raise ReceiptTrustError(error.code, error.message) from error
    except (NoteError, CheckpointError) as error:
        raise ReceiptFormatError("E_RECEIPT_CHECKPOINT", str(error)) from error


def verify_path(leaf_hash: bytes, index: int, path: tuple[bytes, ...], head: VerifiedCheckpoint) -> None:
    """Return if the path leads from the leaf to the believed root. Raises ReceiptMismatchError with the
    proof's code.
    """
    try:
        verify_inclusion(leaf_hash, index, head.checkpoint.size, path, head.checkpoint.root)
    except ProofError as error:
        raise ReceiptMismatchError(error.code, error.message) from error
