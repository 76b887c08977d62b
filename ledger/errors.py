"""The ledger's error family: what somebody else did wrong, each with a stable code.

Why: callers (node, gateway, command line, a second verifier's tests) must tell failures apart without
reading English, and the codes must never change meaning once released.

Rules kept here:
- Every error carries `code`, matching ``E_[A-Z0-9_]+``, and `message`, plain words for a person.
- Our own bugs are `assert`, never one of these.
- One class per kind of decision, not per call site: a caller that only needs "the proof is bad" catches the
  class; one that explains or counts uses the code.

Refuses: codes of another shape (that is our bug, hence an assert).
"""

import re

_CODE = re.compile(r"E_[A-Z0-9]+(?:_[A-Z0-9]+)*")


class LedgerError(Exception):
    """Root of everything this room refuses. `code` is stable for machines, `message` is for people."""

    def __init__(self, code: str, message: str) -> None:
        """Store both parts; `code` must look like E_PROOF_PATH."""
        assert _CODE.fullmatch(code), f"malformed error code {code!r}"
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        """Return ``E_CODE: words``."""
        return f"{self.code}: {self.message}"


class EncodingError(LedgerError):
    """Bytes or text that are not in the one canonical spelling of the format they claim."""


class UnsupportedError(EncodingError):
    """Well formed as far as we can tell, but a version, algorithm or feature this program does not have."""


class PublicKeyError(LedgerError):
    """A public key that is refused: wrong length, non-canonical, small order, or with a wrong key id."""


class NoteError(LedgerError):
    """A signed note that is malformed, or whose signatures are refused (then a SignatureError)."""


class SignatureError(NoteError):
    """A bad or doubled signature of a known key, or no signature of any known key."""


class CheckpointError(EncodingError):
    """A checkpoint text that is malformed or carries what our chain does not allow."""


class PolicyError(LedgerError):
    """A policy or trust file that is malformed, contradicts itself, or is beyond its limits."""


class QuorumError(LedgerError):
    """Signatures that are genuine, or absent, but do not satisfy the policy."""


class ProofError(LedgerError):
    """A Merkle proof that does not lead to the root, or cannot be made."""


class TileError(EncodingError):
    """A tile path, tile or entry bundle that is not in its one spelling."""


class ReceiptError(LedgerError):
    """A receipt that is refused; see its subclasses for which exit code a verifier gives."""


class ReceiptMismatchError(ReceiptError):
    """Content, leaf, path and root do not belong together (verifier exit code 10)."""


class ReceiptTrustError(ReceiptError):
    """A bad signature, an unknown origin, or a policy that is not met (verifier exit code 11)."""


class ReceiptFormatError(ReceiptError):
    """Unreadable, malformed or of an unsupported version (verifier exit code 13)."""


class BodyError(LedgerError):
    """A block body, envelope or record leaf that breaks a rule of the chain."""


class ChainError(LedgerError):
    """A chain whose blocks, headers or tree do not follow from each other."""


class GovernanceError(LedgerError):
    """A governance action that is refused by the state it would change."""


class StoreError(LedgerError):
    """The store holds something damaged, foreign, missing or older than it promised."""


class StoreDamagedError(StoreError):
    """Stored bytes that contradict themselves: a bad checksum, a missing key, a hash that does not fit. Of
    the chain store: it needs a person. What is derived raises the subclass.
    """


class DerivedDamagedError(StoreDamagedError):
    """The derived store is damaged, or ahead of the chain store: it is thrown away and rebuilt."""


class StoreFatalError(StoreError):
    """A write did not surely happen, or a handle is used after one: the process must end and start anew."""
