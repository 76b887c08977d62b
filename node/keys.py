"""Key files: how secrets lie on disk, who may read them, and which of them governance knows.

Why: a key that others can read is everybody's key, and a node that signs with a key that governance does not
name produces nothing but doubt. Both are noticed at the start, in words, not later in somebody's proof.

A key file is text, one field a line, in this order and spelling::

    tiezheng-key 1
    purpose cosigner
    id broker-1-cosigner
    alg 1
    public <64 hex digits>
    seed <64 hex digits>

Rules kept here
- Mode 0600 (nothing for group and others) and the reader's own file, or the key is refused.
- `public` must be what `seed` gives: a file pieced together from two is refused.
- Files are written once, never over another.
- One purpose, one key: node (votes, hello), log (the checkpoint's origin), cosigner, submitter, governance.
  TLS keys are P-256 in PEM, because gRPC refuses Ed25519 there.

Refuses: passphrases (the key provider comes with the vault), keys on the command line, repair of anything.
"""

import os
import re
import secrets
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from ledger import ed25519, names
from ledger.algorithms import SIG_ED25519
from node.errors import KeyFileError

_FILE_MAX_BYTES = 64 * 1024
_SHAPE = re.compile(
    r"tiezheng-key 1\npurpose ([a-z]{1,16})\nid ([a-z0-9-]{1,32})\nalg ([1-9][0-9]{0,2})\n"
    r"public ([0-9a-f]{64})\nseed ([0-9a-f]{64})\n"
)


class Purpose(StrEnum):
    """What a key may be used for; never two things."""

    NODE = "node"
    LOG = "log"
    COSIGNER = "cosigner"
    SUBMITTER = "submitter"
    GOVERNANCE = "governance"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An Ed25519 key with its name. `seed` (32 bytes) is the secret and stays out of every representation."""

    purpose: Purpose
    key_id: str
    public: bytes
    seed: bytes = field(repr=False)

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature of `message`."""
        return ed25519.sign(self.seed, message)


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """A P-256 key and its certificate, PEM. The key stays out of every representation."""

    cert_pem: bytes
    key_pem: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class NodeKeys:
    """All keys of one node. During a rotation there are two of a purpose."""

    signing: tuple[SigningKey, ...]
    tls: TlsIdentity

    def find(self, purpose: Purpose, key_id: str) -> SigningKey | None:
        """The key with this purpose and id, if the node holds it."""
        for key in self.signing:
            if key.purpose is purpose and key.key_id == key_id:
                return key
        return None


def new_signing_key(purpose: Purpose, key_id: str) -> SigningKey:
    """Return a fresh key from the system's randomness."""
    assert names.KEY_ID.fullmatch(key_id), "a key id"
    seed = secrets.token_bytes(ed25519.SEED_BYTES)
    return SigningKey(purpose, key_id, ed25519.public_key(seed), seed)


def format_key(key: SigningKey) -> str:
    """Return the text of a key file."""
    return (
        f"tiezheng-key 1\npurpose {key.purpose}\nid {key.key_id}\nalg {SIG_ED25519}\n"
        f"public {key.public.hex()}\nseed {key.seed.hex()}\n"
    )


def parse_key(text: str, where: str) -> SigningKey:
    """Return the key that a file's text spells; `where` names the file in errors.

    Raises KeyFileError: E_KEY_FILE_FORMAT, E_KEY_FILE_PURPOSE, E_KEY_FILE_ALGORITHM, E_KEY_FILE_PUBLIC.
    """
    shape = _SHAPE.fullmatch(text)
    if shape is None:
        raise KeyFileError("E_KEY_FILE_FORMAT", f"{where} is not a tiezheng key file")
    purpose, key_id, algorithm, public, seed = shape.groups()
    if purpose not in Purpose.__members__.values():
        raise KeyFileError("E_KEY_FILE_PURPOSE", f"{where} has the unknown purpose {purpose}")
    if int(algorithm) != SIG_ED25519:
        raise KeyFileError("E_KEY_FILE_ALGORITHM", f"{where} is of algorithm {algorithm}, not {SIG_ED25519}")
    key = SigningKey(Purpose(purpose), key_id, bytes.fromhex(public), bytes.fromhex(seed))
    if ed25519.public_key(key.seed) != key.public:
        raise KeyFileError("E_KEY_FILE_PUBLIC", f"{where}: the public key is not the seed's")
    return key


def read_secret(path: Path) -> bytes:
    """Return the content of a secret file.

    Raises KeyFileError: E_KEY_FILE_MISSING, E_KEY_FILE_MODE (others may read it, or it is somebody else's),
    E_KEY_FILE_FORMAT (not a plain file, or too large).
    """
    try:
        with path.open("rb") as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode) or facts.st_size > _FILE_MAX_BYTES:
                raise KeyFileError("E_KEY_FILE_FORMAT", f"{path} is no key file")
            if stat.S_IMODE(facts.st_mode) & 0o077:
                raise KeyFileError("E_KEY_FILE_MODE", f"others may read {path}; run: chmod 600 {path}")
            if facts.st_uid != os.geteuid():
                raise KeyFileError("E_KEY_FILE_MODE", f"{path} belongs to another user")
            return file.read()
    except OSError as error:
        raise KeyFileError("E_KEY_FILE_MISSING", f"cannot read {path}: {error.strerror}") from error


def write_secret(path: Path, data: bytes) -> None:
    """Write a new secret file, mode 0600, synced. Raises KeyFileError E_KEY_FILE_EXISTS rather than
    replace.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise KeyFileError("E_KEY_FILE_EXISTS", f"{path} is there already and is not replaced") from error
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def load_key(path: Path) -> SigningKey:
    """Return the key in a file. Raises like `read_secret` and `parse_key`."""
    return parse_key(read_secret(path).decode("ascii", errors="replace"), str(path))


def save_key(path: Path, key: SigningKey) -> None:
    """Write a new key file. Raises KeyFileError E_KEY_FILE_EXISTS."""
    write_secret(path, format_key(key).encode("ascii"))


def load_tls(key_path: Path, cert_path: Path) -> TlsIdentity:
    """Return the TLS identity in two PEM files; whether they belong together, TLS itself finds out.

    Raises like `read_secret`, and KeyFileError E_KEY_FILE_MISSING or E_KEY_FILE_FORMAT for the certificate.
    """
    key = read_secret(key_path)
    try:
        cert = cert_path.read_bytes()
    except OSError as error:
        raise KeyFileError("E_KEY_FILE_MISSING", f"cannot read {cert_path}: {error.strerror}") from error
    if b"-----BEGIN CERTIFICATE-----" not in cert or b"PRIVATE KEY-----" not in key:
        raise KeyFileError("E_KEY_FILE_FORMAT", f"{cert_path} and {key_path} must be PEM files")
    return TlsIdentity(cert, key)


def load_node_keys(files: Sequence[Path], tls_key: Path, tls_cert: Path) -> NodeKeys:
    """Return all keys of a node.

    Raises KeyFileError as the readers do, and E_KEY_FILE_PURPOSE for a purpose that is none of a node's or
    two files with the same id.
    """
    keys = tuple(load_key(path) for path in files)
    for path, key in zip(files, keys, strict=True):
        if key.purpose not in (Purpose.NODE, Purpose.LOG, Purpose.COSIGNER):
            raise KeyFileError("E_KEY_FILE_PURPOSE", f"{path} holds a {key.purpose} key, which no node uses")
        if sum(other.key_id == key.key_id for other in keys) > 1:
            raise KeyFileError("E_KEY_FILE_PURPOSE", f"two key files carry the id {key.key_id}")
    return NodeKeys(keys, load_tls(tls_key, tls_cert))
