"""The envelope: a submitter's signed batch of record leaves, ordered whole or not at all.

Why: one signature answers for a whole batch, and since the signed bytes hold the chain id and the digest of
the leaves, an envelope can be neither moved to another chain nor split. A replayed envelope is harmless,
because a record is on the chain once only.

Format: ``[institution, key_id, count, leaves, sig_alg, signature]`` (canonical array), where `leaves` is 129
bytes per record and the signature is over
``["tiezheng/envelope", 1, chain_id, institution, key_id, count, hash_alg, SHA-256(leaves)]``.

Rules kept here:
- `count` is at least 1 and equals the number of leaves; every leaf is valid and of the envelope's
  institution.
- `Envelope.raw` are the bytes as received. They go into the body as they are and are never encoded again.

Refuses: deciding whether the key may submit. That hangs on the height and is asked of `governance`.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from ledger import ed25519, names
from ledger.algorithms import HASH_SHA256, SIG_ED25519, require_signature
from ledger.encoding import as_array, as_bytes, as_int, as_text, pack, unpack
from ledger.errors import BodyError
from ledger.record import check_leaves

PURPOSE: Final = "tiezheng/envelope"
ENVELOPE_BYTES_MAX: Final = 4 * 1024 * 1024
"""Hard cap, as for bodies. The chain's own limits (governance) are lower and checked where the state is
known.
"""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A batch of leaves with valid form. `raw` is its only spelling; whether the signature holds is not yet
    said.
    """

    institution: str
    key_id: str
    count: int
    leaves: bytes
    sig_alg: int
    signature: bytes
    raw: bytes


def signed_message(chain_id: str, institution: str, key_id: str, count: int, leaves: bytes) -> bytes:
    """Return the bytes that a submitter signs."""
    digest = sha256(leaves).digest()
    return pack([PURPOSE, 1, chain_id, institution, key_id, count, HASH_SHA256, digest])


def seal_envelope(chain_id: str, institution: str, key_id: str, leaves: bytes, seed: bytes) -> Envelope:
    """Return the signed envelope of checked, prefixed leaves; `seed` is the submitter's 32-byte Ed25519 seed.

    Raises BodyError E_LEAF_… if the leaves are not valid leaves of `institution`.
    """
    assert names.CHAIN_ID.fullmatch(chain_id), "a chain id"
    assert names.KEY_ID.fullmatch(key_id), "a key id"
    count = check_leaves(leaves, institution)
    signature = ed25519.sign(seed, signed_message(chain_id, institution, key_id, count, leaves))
    raw = pack([institution, key_id, count, leaves, SIG_ED25519, signature])
    return Envelope(institution, key_id, count, leaves, SIG_ED25519, signature, raw)


def parse_envelope(raw: bytes, *, max_bytes: int = ENVELOPE_BYTES_MAX) -> Envelope:
    """Return the envelope that `raw` spells.

    Raises EncodingError E_ENCODING_… and E_FIELD_… for its form, BodyError E_LEAF_… for its leaves and
    E_ENVELOPE_COUNT for a wrong count.
    """
    return envelope_from(unpack(raw, max_bytes=max_bytes, what="envelope"), raw)


def envelope_from(value: object, raw: bytes) -> Envelope:
    """Return the envelope of a decoded array, `raw` being the canonical bytes it was decoded from."""
    fields: list[Any] = as_array(value, "envelope", 6)
    institution = as_text(fields[0], "envelope institution", names.INSTITUTION)
    key_id = as_text(fields[1], "envelope key id", names.KEY_ID)
    count = as_int(fields[2], "envelope count", low=1)
    leaves = as_bytes(fields[3], "envelope leaves")
    sig_alg = as_int(fields[4], "envelope signature algorithm")
    require_signature(sig_alg)
    signature = as_bytes(fields[5], "envelope signature", ed25519.SIGNATURE_BYTES)
    found = check_leaves(leaves, institution)
    if found != count:
        raise BodyError("E_ENVELOPE_COUNT", f"the envelope counts {count} leaves and holds {found}")
    return Envelope(institution, key_id, count, leaves, sig_alg, signature, raw)


def verify_envelope(envelope: Envelope, chain_id: str, public_key: bytes) -> None:
    """Return if the signature holds under `public_key` (32 bytes). Raises BodyError E_ENVELOPE_SIGNATURE."""
    message = signed_message(chain_id, envelope.institution, envelope.key_id, envelope.count, envelope.leaves)
    if not ed25519.verify(public_key, envelope.signature, message):
        raise BodyError(
            "E_ENVELOPE_SIGNATURE",
            f"not signed by key {envelope.key_id} of {envelope.institution} for chain {chain_id}",
        )
