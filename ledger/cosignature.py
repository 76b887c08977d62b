"""Timestamped cosignatures over checkpoints: "at this time, this was the largest consistent tree I had seen".

Why not a plain note signature: the time and the label `cosignature/v1` are inside what is signed, so a
cosignature can never be taken for a log's own signature, nor the other way round.

Rules kept here:
- The blob is the time, 8 bytes big-endian, POSIX seconds up to 2**63 - 1, then 64 bytes of Ed25519 signature.
- The message is the lines ``cosignature/v1`` and ``time N``, then the whole note text with its last newline.
- The message does not say who signs, so one key belongs to one cosigner: policies refuse it twice.
- We never make a cosignature of time 0 (C2SP tlog-witness forbids it); one of somebody else verifies.

Source: C2SP tlog-cosignature, "Format" and "Ed25519 signed message". The ML-DSA-44 form (note signature type
0x06) has its number and vkey length in `note`, and is not checked here yet.
Refuses: reading a clock. The caller persists (origin, size, root) before it calls `make`; see node's
attestation.
"""

from typing import Final

from ledger import ed25519

TIME_BYTES: Final = 8
BLOB_BYTES: Final = TIME_BYTES + ed25519.SIGNATURE_BYTES
TIME_MAX: Final = 2**63 - 1


def message(text: bytes, time_s: int) -> bytes:
    """Return the bytes that a cosigner signs for a note text at a time in POSIX seconds."""
    assert 0 <= time_s <= TIME_MAX
    return b"cosignature/v1\ntime %d\n" % time_s + text


def make(seed: bytes, text: bytes, time_s: int) -> bytes:
    """Return the 72-byte blob (time, signature) of the cosigner with this seed; `time_s` is at least 1."""
    assert 1 <= time_s <= TIME_MAX, "a cosignature has a time"
    return time_s.to_bytes(TIME_BYTES, "big") + ed25519.sign(seed, message(text, time_s))


def time_of(blob: bytes) -> int:
    """Return the time, POSIX seconds, that a blob of the right length claims; believe it only after
    `verify`.
    """
    return int.from_bytes(blob[:TIME_BYTES], "big")


def verify(public: bytes, text: bytes, blob: bytes) -> bool:
    """Return whether a blob is a good cosignature of `text` under `public`. Never raises."""
    if len(blob) != BLOB_BYTES or time_of(blob) > TIME_MAX:
        return False
    return ed25519.verify(public, blob[TIME_BYTES:], message(text, time_of(blob)))
