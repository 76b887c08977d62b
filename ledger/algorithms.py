"""The algorithm numbers that stand beside every digest and every signature.

Why: a ledger outlives its algorithms. Each digest and signature in our formats carries a number, so that SM3,
SM2 or ML-DSA-44 can come later without a format break. Today exactly one of each kind is accepted.

Rules kept here:
- Numbers are never reused and never change meaning; 0 is no algorithm.
- A reserved number is refused as *unsupported*, an unassigned one as *unknown*: "get a newer program" and
  "this is garbage" are different answers.

Sources: FIPS 180-4 (SHA-256), RFC 8032 (Ed25519). Reserved: GB/T 32905 (SM3), GB/T 32918 (SM2), FIPS 204.
Refuses: negotiation. The number is read, never offered.
"""

from typing import Final

from ledger.errors import EncodingError, UnsupportedError

HASH_SHA256: Final = 1
HASH_SM3: Final = 2  # reserved

SIG_ED25519: Final = 1
SIG_SM2: Final = 2  # reserved
SIG_ML_DSA_44: Final = 3  # reserved

_HASHES: Final = {HASH_SHA256: "SHA-256", HASH_SM3: "SM3"}
_SIGNATURES: Final = {SIG_ED25519: "Ed25519", SIG_SM2: "SM2", SIG_ML_DSA_44: "ML-DSA-44"}


def require_hash(number: int) -> None:
    """Return if `number` is a hash algorithm we compute.

    Raises UnsupportedError E_ALGORITHM_UNSUPPORTED for a reserved number, EncodingError E_ALGORITHM_UNKNOWN
    otherwise.
    """
    _require(number, HASH_SHA256, _HASHES, "hash")


def require_signature(number: int) -> None:
    """Return if `number` is a signature algorithm we verify.

    Raises UnsupportedError E_ALGORITHM_UNSUPPORTED for a reserved number, EncodingError E_ALGORITHM_UNKNOWN
    otherwise.
    """
    _require(number, SIG_ED25519, _SIGNATURES, "signature")


def _require(number: int, supported: int, names: dict[int, str], kind: str) -> None:
    if number == supported:
        return
    if number in names:
        raise UnsupportedError(
            "E_ALGORITHM_UNSUPPORTED",
            f"{kind} algorithm {number} ({names[number]}) is reserved; this program cannot check it",
        )
    raise EncodingError("E_ALGORITHM_UNKNOWN", f"no {kind} algorithm has the number {number}")
