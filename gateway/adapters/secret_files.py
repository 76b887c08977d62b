"""The submitter's key and TLS identity as files: read at the start, refused when others can read them.

Why: the submitter key speaks for the institution. A copy of it in somebody else's hands makes records that nobody can
tell from ours, so a file that others may read is treated as lost.

Rules kept here:
- Secrets are files of mode 0600 owned by the running user; never values, arguments or environment.
- The signing key is a tiezheng key file (docs/formats/keys.md: text with purpose, id, algorithm, public part and seed) of
  purpose ``submitter``; the public part must be the seed's.
- The TLS key is P-256 PEM (gRPC refuses Ed25519).

Refuses: making or replacing keys, passphrases (the key provider comes with the vault).
"""

import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.errors import ConfigError
from ledger import ed25519
from ledger.algorithms import SIG_ED25519
from ledger.envelope import seal_envelope

_FILE_MAX_BYTES: Final = 65_536
_KEY_FILE: Final = re.compile(
    r"tiezheng-key 1\npurpose ([a-z]{1,16})\nid ([a-z0-9-]{1,32})\nalg ([0-9]{1,3})\n"
    r"public ([0-9a-f]{64})\nseed ([0-9a-f]{64})\n"
)


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """A certificate and its key, PEM. The key stays out of every representation."""

    cert_pem: bytes
    key_pem: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SubmitterKey:
    """The gateway's signing key. `seal` makes envelopes (`ports.Sealer`); the seed stays out of representations."""

    chain_id: str
    institution: str
    key_id: str
    seed: bytes = field(repr=False)

    def seal(self, leaves: bytes) -> bytes:
        """Return the signed envelope of prefixed leaves."""
        return seal_envelope(self.chain_id, self.institution, self.key_id, leaves, self.seed).raw


def read_secret(path: Path) -> bytes:
    """Return the content of a secret file.

    Raises ConfigError: E_SECRET_MISSING, E_SECRET_MODE (others may read it, or it is somebody else's), E_SECRET_FORMAT.
    """
    try:
        with path.open("rb") as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode) or facts.st_size > _FILE_MAX_BYTES:
                raise ConfigError("E_SECRET_FORMAT", f"{path} is no secret file")
            if stat.S_IMODE(facts.st_mode) & 0o077:
                raise ConfigError("E_SECRET_MODE", f"others may read {path}; run: chmod 600 {path}")
            if facts.st_uid != os.geteuid():
                raise ConfigError("E_SECRET_MODE", f"{path} belongs to another user")
            return file.read()
    except OSError as error:
        raise ConfigError("E_SECRET_MISSING", f"cannot read {path}: {error.strerror}") from error


def load_submitter(path: Path, chain_id: str, institution: str) -> SubmitterKey:
    """Return the submitter's key in a tiezheng key file. Raises ConfigError as `read_secret`, and E_SECRET_FORMAT."""
    shape = _KEY_FILE.fullmatch(read_secret(path).decode("ascii", errors="replace"))
    if shape is None:
        raise ConfigError("E_SECRET_FORMAT", f"{path} is not a tiezheng key file")
    purpose, key_id, algorithm, public, seed_hex = shape.groups()
    if purpose != "submitter" or int(algorithm) != SIG_ED25519:
        raise ConfigError(
            "E_SECRET_FORMAT", f"{path} holds a {purpose} key; a submitter key (Ed25519) is needed"
        )
    seed = bytes.fromhex(seed_hex)
    if ed25519.public_key(seed).hex() != public:
        raise ConfigError("E_SECRET_FORMAT", f"{path}: the public key is not the seed's")
    return SubmitterKey(chain_id, institution, key_id, seed)


def load_tls(cert_path: Path, key_path: Path) -> TlsIdentity:
    """Return a TLS identity. Raises ConfigError as `read_secret` and `read_cert`."""
    key = read_secret(key_path)
    if b"PRIVATE KEY-----" not in key:
        raise ConfigError("E_SECRET_FORMAT", f"{key_path} is not a PEM key")
    return TlsIdentity(read_cert(cert_path), key)


def read_cert(path: Path) -> bytes:
    """Return a PEM certificate. Raises ConfigError E_TLS_CERT."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError("E_TLS_CERT", f"cannot read {path}: {error.strerror}") from error
    if len(data) > _FILE_MAX_BYTES or b"-----BEGIN CERTIFICATE-----" not in data:
        raise ConfigError("E_TLS_CERT", f"{path} is not a PEM certificate")
    return data
