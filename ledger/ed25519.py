"""Ed25519, the one signature algorithm in use, and the only module of this room that imports PyNaCl.

Why one library: libsodium and OpenSSL disagree on 165 of the 914 edge-case signatures of C2SP/CCTV (libsodium
accepts 43, OpenSSL 208). Two nodes that verify with different libraries can disagree about a block, so every
verification that touches consensus or a proof goes through `verify` here.

Rules kept here:
- `verify` answers yes or no and never raises for bad input; wrong lengths are a plain no.
- A key is *registered* (governance, trust files) only after `validate_public_key`: canonical encoding, on the
  curve, in the prime-order subgroup, hence not of small order. That is stricter than what `verify` insists
  on.
- Signature bytes are never an identity: somebody who holds the key can make many signatures of one message.

Source: RFC 8032; libsodium rejects S >= L, small-order R and A, and non-canonical A.
Refuses: generating keys (randomness is the caller's), hashing variants, contexts.
"""

from functools import lru_cache
from typing import Final

from nacl import bindings
from nacl.exceptions import BadSignatureError

from ledger.errors import PublicKeyError

SEED_BYTES: Final = 32
PUBLIC_KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64


@lru_cache(maxsize=64)
def _expand(seed: bytes) -> tuple[bytes, bytes]:
    """Return (public key, libsodium's 64-byte secret key) of a 32-byte seed.

    Cached because the expansion costs as much as the signature. A process holds its few seeds for its whole
    life anyway, so the cache exposes nothing that memory does not hold already.
    """
    assert len(seed) == SEED_BYTES, "an Ed25519 seed is 32 bytes"
    public, secret = bindings.crypto_sign_seed_keypair(seed)
    return public, secret


def public_key(seed: bytes) -> bytes:
    """Return the 32-byte public key of a 32-byte seed."""
    return _expand(seed)[0]


def sign(seed: bytes, message: bytes) -> bytes:
    """Return the 64-byte signature of `message`; deterministic."""
    signed: bytes = bindings.crypto_sign(message, _expand(seed)[1])
    return signed[:SIGNATURE_BYTES]


def verify(public: bytes, signature: bytes, message: bytes) -> bool:
    """Return whether `signature` (64 bytes) over `message` is good under `public` (32 bytes). Never
    raises.
    """
    if len(public) != PUBLIC_KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        bindings.crypto_sign_open(signature + message, public)
    except BadSignatureError:
        return False
    return True


def validate_public_key(public: bytes) -> None:
    """Return if `public` may be registered as somebody's key.

    Raises PublicKeyError: E_KEY_LENGTH if it is not 32 bytes, E_KEY_POINT if it is not the canonical encoding
    of a point of the prime-order subgroup (so the eight small-order points and all mixed ones are refused).
    """
    if len(public) != PUBLIC_KEY_BYTES:
        raise PublicKeyError("E_KEY_LENGTH", f"an Ed25519 public key has 32 bytes, not {len(public)}")
    if not bindings.crypto_core_ed25519_is_valid_point(public):
        raise PublicKeyError(
            "E_KEY_POINT", "not a usable Ed25519 public key (non-canonical, off the curve, or of small order)"
        )
