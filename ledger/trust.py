"""Trust files, and what they make of a checkpoint: the one place where a signed text becomes a believed one.

Why a type of its own: a policy says whose signatures count; a trust file says which policy counts for which
tree size, because keys and institutions change over a chain's life while receipts stay. Today a file has
exactly one section, and then it is a plain tlog-policy. The form with sections (``from SIZE`` lines) is known
and refused.

Rules kept here:
- A trust file is about one chain: at least one log, all with the same origin. Its quorum is never `none`.
- The section that holds the checkpoint's size judges, not today's keys.
- First every line of every known key must verify, then a log key of the origin must have signed, then the
  quorum must be met. A log's signature never counts as a cosignature.
- `SignedCheckpoint` (signatures genuine, quorum not judged) and `VerifiedCheckpoint` are different types;
  only the second may be believed.
- The fingerprint is the SHA-256 of the file's bytes as they are.

Sources: C2SP tlog-policy, tlog-checkpoint, tlog-proof ("Verifying a tlog proof", steps 2 and 3).
Refuses: judging times of cosignatures; fetching; a file that trusts nobody.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from ledger.checkpoint import Checkpoint, parse_checkpoint
from ledger.errors import PolicyError, QuorumError, SignatureError, UnsupportedError
from ledger.note import VerifierKey, open_note, parse_note
from ledger.policy import NONE, Policy, parse_policy, policy_lines, satisfied

SECTION_KEYWORD: Final = "from"


@dataclass(frozen=True, slots=True)
class TrustFile:
    """A parsed trust file: the origin it is about, its one policy, and the 32-byte fingerprint of its
    bytes.
    """

    origin: str
    policy: Policy
    fingerprint: bytes

    def policy_for(self, size: int) -> Policy:
        """Return the policy that judges checkpoints of this size; with one section, always the same."""
        assert size >= 0
        return self.policy


@dataclass(frozen=True, slots=True)
class Cosigned:
    """A verified cosignature: the witness's name in the policy, and its time in POSIX seconds."""

    witness: str
    time_s: int


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint signed by a log of its origin. The quorum is not judged: do not believe it yet."""

    checkpoint: Checkpoint
    logs: tuple[VerifierKey, ...]
    cosigned: tuple[Cosigned, ...]
    ignored: int


@dataclass(frozen=True, slots=True)
class VerifiedCheckpoint:
    """A checkpoint that a trust file's quorum cosigned. Made by `verify_checkpoint` and `require_quorum`
    only.
    """

    checkpoint: Checkpoint
    logs: tuple[VerifierKey, ...]
    cosigned: tuple[Cosigned, ...]


def parse_trust(data: bytes) -> TrustFile:
    """Return the trust file that these bytes spell.

    Raises UnsupportedError E_TRUST_SECTIONS for the form with sections; PolicyError: what `parse_policy`
    raises, E_TRUST_LOG (no log), E_TRUST_ORIGIN (logs of several chains), E_TRUST_QUORUM (`quorum none`).
    """
    if any(items[0] == SECTION_KEYWORD for _, items in policy_lines(data)):
        raise UnsupportedError(
            "E_TRUST_SECTIONS",
            "a trust file with several sections is unsupported yet; a newer program reads it",
        )
    policy = parse_policy(data)
    origins = {log.key.name for log in policy.logs}
    if not origins:
        raise PolicyError("E_TRUST_LOG", "a trust file names at least one log")
    if len(origins) > 1:
        raise PolicyError(
            "E_TRUST_ORIGIN", "a trust file is about one chain, but its logs have several origins"
        )
    if policy.quorum == NONE:
        raise PolicyError("E_TRUST_QUORUM", "a trust file that asks for no cosignature trusts nobody")
    return TrustFile(origins.pop(), policy, sha256(data).digest())


def check_signatures(trust: TrustFile, note: bytes) -> SignedCheckpoint:
    """Return the checkpoint of a signed note once every known signature on it verified and a log's is among
    them.

    Raises NoteError and CheckpointError for a malformed one; SignatureError: E_NOTE_SIGNATURE, E_NOTE_TWICE,
    E_NOTE_UNSIGNED, E_TRUST_CHAIN (another chain's checkpoint), E_NOTE_NO_LOG (no log of this origin signed).
    """
    parsed = parse_note(note)
    checkpoint = parse_checkpoint(parsed.text)
    if checkpoint.origin != trust.origin:
        raise SignatureError("E_TRUST_CHAIN", f"a checkpoint of {checkpoint.origin}, not of {trust.origin}")
    policy = trust.policy_for(checkpoint.size)
    opened = open_note(parsed, policy.keys())
    signers = {one.key: one for one in opened.verified}
    logs = tuple(log.key for log in policy.logs if log.key in signers)
    if not logs:
        raise SignatureError("E_NOTE_NO_LOG", f"no log of {trust.origin} signed this checkpoint")
    cosigned = []
    for witness in policy.witnesses:
        verified = signers.get(witness.key)
        if verified is not None and verified.time_s is not None:
            cosigned.append(Cosigned(witness.name, verified.time_s))
    return SignedCheckpoint(checkpoint, logs, tuple(cosigned), opened.ignored)


def require_quorum(trust: TrustFile, signed: SignedCheckpoint) -> VerifiedCheckpoint:
    """Return the checkpoint as believed. Raises QuorumError E_QUORUM if its cosignatures are not enough."""
    policy = trust.policy_for(signed.checkpoint.size)
    names = [one.witness for one in signed.cosigned]
    if not satisfied(policy, names):
        given = ", ".join(names) or "nobody"
        raise QuorumError(
            "E_QUORUM", f"cosigned by {given}, which is not the quorum that the policy asks for"
        )
    return VerifiedCheckpoint(signed.checkpoint, signed.logs, signed.cosigned)


def verify_checkpoint(trust: TrustFile, note: bytes) -> VerifiedCheckpoint:
    """Return the checkpoint that a signed note proves under this trust file.

    Raises what `check_signatures` and `require_quorum` raise.
    """
    return require_quorum(trust, check_signatures(trust, note))
