"""A small made-up log with four institutions: keys, policy, a tree, checkpoints and proofs, all
deterministic.
"""

from collections.abc import Sequence
from hashlib import sha256

from ledger import ed25519
from ledger.checkpoint import Checkpoint, format_checkpoint
from ledger.merkle import leaf_hash, root_of
from ledger.note import ED25519, ED25519_COSIGNATURE, Signature, VerifierKey, cosign, format_note, sign
from ledger.policy import render_policy
from ledger.proof import Coordinate, prove_inclusion
from ledger.tlogproof import TlogProof

ORIGIN = "example-1f3c5a70"
INSTITUTIONS = ("AUDITOR", "BROKER", "MARKET", "REGULATOR")
QUORUM = 3
TIME_S = 1_764_000_000
ENTRIES = [b"entry %d of the example" % number for number in range(13)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]


def seed(purpose: str, institution: str) -> bytes:
    """The 32-byte seed of an institution's key for a purpose."""
    return sha256(f"example {purpose} {institution}".encode()).digest()


def witness_name(institution: str) -> str:
    """The name of an institution's only node as a witness."""
    return f"{institution}/{institution.lower()}-1"


def log_key(institution: str) -> VerifierKey:
    """The key with which an institution's node signs as the log."""
    return VerifierKey(ORIGIN, ED25519, ed25519.public_key(seed("log", institution)))


def cosigner_key(institution: str) -> VerifierKey:
    """The key with which an institution's node cosigns."""
    public = ed25519.public_key(seed("cosigner", institution))
    return VerifierKey(witness_name(institution), ED25519_COSIGNATURE, public)


def policy_text(quorum: int = QUORUM) -> bytes:
    """The chain's policy."""
    cosigners = [(one, [(witness_name(one), cosigner_key(one))]) for one in INSTITUTIONS]
    return render_policy([log_key(one) for one in INSTITUTIONS], cosigners, quorum)


def checkpoint(size: int = len(LEAVES)) -> Checkpoint:
    """The tree's head at a size."""
    return Checkpoint(ORIGIN, size, root_of(LEAVES[:size]))


def log_line(text: bytes, institution: str = "BROKER") -> Signature:
    """A log signature."""
    return sign(ORIGIN, seed("log", institution), text)


def cosignature_line(text: bytes, institution: str, time_s: int = TIME_S) -> Signature:
    """A cosignature."""
    return cosign(witness_name(institution), seed("cosigner", institution), text, time_s)


def signed_note(
    cosigners: Sequence[str] = INSTITUTIONS[:QUORUM],
    *,
    head: Checkpoint | None = None,
    log: str | None = "BROKER",
    more: Sequence[Signature] = (),
) -> bytes:
    """A checkpoint signed by one log key and these cosigners, with more lines behind."""
    text = format_checkpoint(head or checkpoint())
    lines = [log_line(text, log)] if log else []
    lines += [cosignature_line(text, one) for one in cosigners]
    return format_note(text, [*lines, *more])


def stranger_line() -> Signature:
    """A line of a key that nobody knows."""
    return Signature("stranger.example/w9", b"\x01\x02\x03\x04", b"whatever a newer program understands")


def read(coordinates: Sequence[Coordinate]) -> list[bytes]:
    """A hash reader over the tree."""
    return [root_of(LEAVES[index << level : (index + 1) << level]) for level, index in coordinates]


def proof(index: int = 5, note: bytes | None = None, extra: bytes | None = None) -> TlogProof:
    """The proof of one entry."""
    return TlogProof(index, prove_inclusion(index, len(LEAVES), read), note or signed_note(), extra)
