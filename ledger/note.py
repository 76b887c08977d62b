"""Signed notes: a text and the signature lines under it, and the verifier keys (vkeys) that judge them.

Why this form: a checkpoint must be readable by people, signable by many, and extensible by signatures that an
old program does not know. A signed note is exactly that.

Rules kept here:
- A note is UTF-8 without ASCII controls but newline; the last empty line parts the text from 1 to 100
  signature lines ``— name base64(4-byte key id || signature)``. One spelling: what parses formats to the same
  bytes.
- A line belongs to a key if name *and* key id are the key's. Lines of unknown keys are ignored, whatever they
  hold.
- A line of a known key must verify, or the whole note is refused; so is a note with two lines of one known
  key.
- A note without any good signature of a known key is refused.
- A vkey's id is recomputed, never believed; Ed25519 keys pass `ed25519.validate_public_key`.
- ML-DSA-44 keys (0x06) can be named, but are not checked yet: their lines count as unknown.

Source: C2SP signed-note v1.0.0 (format, signature types, verifier keys); type numbers 0x04 and 0x06 from C2SP
tlog-cosignature. The cap of 100 lines is that of the Go checksum database; C2SP demands at least 16.
Refuses: ECDSA (0x02), RFC 6962 tree heads (0x05), private types, private key files.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from ledger import cosignature, ed25519
from ledger.errors import EncodingError, NoteError, PublicKeyError, SignatureError, UnsupportedError
from ledger.spelling import base64_bytes, base64_text, is_name

ED25519: Final = 0x01
ED25519_COSIGNATURE: Final = 0x04
ML_DSA_44_COSIGNATURE: Final = 0x06

SIGNATURES_MAX: Final = 100
NOTE_BYTES_MAX: Final = 1_000_000
VKEY_CHARS_MAX: Final = 4_096

_PUBLIC_BYTES: Final = {ED25519: 32, ED25519_COSIGNATURE: 32, ML_DSA_44_COSIGNATURE: 1312}
_CONTROLS = re.compile(rb"[\x00-\x09\x0b-\x1f]")
_KEY_ID = re.compile(r"[0-9a-f]{8}", re.ASCII)
_LINE_START = "— "


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key under a name: `kind` is the signature type, `public` 32 bytes (1,312 for ML-DSA-44)."""

    name: str
    kind: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        """The 4 bytes that name this key, its type and its name in signature lines."""
        return key_id(self.name, self.kind, self.public)

    @property
    def supported(self) -> bool:
        """Whether this program can check signatures of this key."""
        return self.kind in (ED25519, ED25519_COSIGNATURE)


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line, unverified: a name, the 4-byte key id, and 1 or more bytes whose meaning the key
    knows.
    """

    name: str
    key_id: bytes
    blob: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A note in its parts. Nothing about it is verified: `text` must not be believed yet."""

    text: bytes
    signatures: tuple[Signature, ...]


@dataclass(frozen=True, slots=True)
class Verified:
    """A signature line that verified under `key`; `time_s` is the cosignature's time, None for a plain
    signature.
    """

    key: VerifierKey
    signature: Signature
    time_s: int | None


@dataclass(frozen=True, slots=True)
class OpenedNote:
    """A note whose text at least one known key signed. `ignored` counts lines of unknown keys."""

    text: bytes
    verified: tuple[Verified, ...]
    ignored: int


def key_id(name: str, kind: int, public: bytes) -> bytes:
    """Return the key id: the first 4 bytes of SHA-256(name, newline, type byte, public key)."""
    return sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


def format_vkey(key: VerifierKey) -> str:
    """Return ``name+hex key id+base64(type || public key)``."""
    return f"{key.name}+{key.key_id.hex()}+{base64_text(bytes([key.kind]) + key.public)}"


def parse_vkey(text: str) -> VerifierKey:
    """Return the key that a vkey spells.

    Raises PublicKeyError: E_VKEY_FORMAT, E_VKEY_ID (the id is not the one of name, type and key),
    E_KEY_LENGTH, E_KEY_POINT; UnsupportedError E_VKEY_TYPE.
    """
    parts = text.split("+", 2) if len(text) <= VKEY_CHARS_MAX else []
    if len(parts) != 3 or not is_name(parts[0]) or not _KEY_ID.fullmatch(parts[1]):
        raise PublicKeyError("E_VKEY_FORMAT", "a vkey is a name, 8 hex digits and base64, joined by '+'")
    try:
        material = base64_bytes(parts[2], "the vkey's key")
    except EncodingError as error:
        raise PublicKeyError("E_VKEY_FORMAT", error.message) from error
    if not material:
        raise PublicKeyError("E_VKEY_FORMAT", "a vkey without a key")
    key = VerifierKey(parts[0], material[0], material[1:])
    if key.kind not in _PUBLIC_BYTES:
        raise UnsupportedError("E_VKEY_TYPE", f"signature type {key.kind:#04x} is not supported")
    if len(key.public) != _PUBLIC_BYTES[key.kind]:
        raise PublicKeyError("E_KEY_LENGTH", f"a key of {len(key.public)} bytes does not fit its type")
    if key.key_id.hex() != parts[1]:
        raise PublicKeyError("E_VKEY_ID", f"the key id of this vkey is {key.key_id.hex()}, not {parts[1]}")
    if key.supported:
        ed25519.validate_public_key(key.public)
    return key


def format_note(text: bytes, signatures: Sequence[Signature]) -> bytes:
    """Return the note's bytes. `text` ends with a newline and there is at least one signature."""
    assert text.endswith(b"\n"), "a note text ends with a newline"
    assert 1 <= len(signatures) <= SIGNATURES_MAX
    return text + b"\n" + b"".join(map(format_signature, signatures))


def format_signature(signature: Signature) -> bytes:
    """Return one signature line with its newline."""
    assert is_name(signature.name)
    assert len(signature.key_id) == 4
    assert signature.blob
    return f"{_LINE_START}{signature.name} {base64_text(signature.key_id + signature.blob)}\n".encode()


def parse_note(data: bytes) -> Note:
    """Return the parts of a note.

    Raises NoteError: E_NOTE_SIZE, E_NOTE_TEXT (not UTF-8, or controls), E_NOTE_FORMAT (no text, no empty line
    or no last newline), E_NOTE_LINE (a malformed signature line), E_NOTE_LINES (too many).
    """
    if len(data) > NOTE_BYTES_MAX:
        raise NoteError("E_NOTE_SIZE", f"a note has at most {NOTE_BYTES_MAX} bytes")
    _require_text(data)
    gap = data.rfind(b"\n\n")
    if gap < 0 or not data.endswith(b"\n"):
        raise NoteError("E_NOTE_FORMAT", "a note is a text, an empty line and signature lines")
    return Note(data[: gap + 1], parse_signatures(data[gap + 2 :]))


def parse_signatures(data: bytes) -> tuple[Signature, ...]:
    """Return the 1 to 100 signatures of whole lines, as below a note or in a witness's answer.

    Raises NoteError E_NOTE_TEXT, E_NOTE_FORMAT, E_NOTE_LINE, E_NOTE_LINES.
    """
    text = _require_text(data)
    if not text.endswith("\n"):
        raise NoteError("E_NOTE_FORMAT", "signature lines are missing, or the last one has no end")
    lines = text[:-1].split("\n")
    if len(lines) > SIGNATURES_MAX:
        raise NoteError("E_NOTE_LINES", f"a note has at most {SIGNATURES_MAX} signatures")
    return tuple(map(_parse_line, lines))


def _require_text(data: bytes) -> str:
    """Return `data` as text without controls but newline, or refuse it."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NoteError("E_NOTE_TEXT", "a note is UTF-8 text") from error
    if _CONTROLS.search(data):
        raise NoteError("E_NOTE_TEXT", "a note has no control characters but newline")
    return text


def _parse_line(line: str) -> Signature:
    name, space, encoded = line.removeprefix(_LINE_START).partition(" ")
    if not line.startswith(_LINE_START) or not space or not is_name(name):
        raise NoteError("E_NOTE_LINE", "a signature line is an em dash, a name and base64")
    try:
        data = base64_bytes(encoded, "a signature")
    except EncodingError as error:
        raise NoteError("E_NOTE_LINE", error.message) from error
    if len(data) < 5:
        raise NoteError("E_NOTE_LINE", "a signature has a key id of 4 bytes and something behind it")
    return Signature(name, data[:4], data[4:])


def sign(name: str, seed: bytes, text: bytes) -> Signature:
    """Return the plain Ed25519 signature (type 0x01) of a note text, as a log makes it."""
    identity = key_id(name, ED25519, ed25519.public_key(seed))
    return Signature(name, identity, ed25519.sign(seed, text))


def cosign(name: str, seed: bytes, text: bytes, time_s: int) -> Signature:
    """Return the cosignature (type 0x04) of a checkpoint text at a time in POSIX seconds, at least 1."""
    identity = key_id(name, ED25519_COSIGNATURE, ed25519.public_key(seed))
    return Signature(name, identity, cosignature.make(seed, text, time_s))


def verify(key: VerifierKey, text: bytes, signature: Signature) -> Verified | None:
    """Return the verified signature, or None if it is not the key's, not good, or of an unsupported type."""
    if (signature.name, signature.key_id) != (key.name, key.key_id):
        return None
    if key.kind == ED25519 and ed25519.verify(key.public, signature.blob, text):
        return Verified(key, signature, None)
    if key.kind == ED25519_COSIGNATURE and cosignature.verify(key.public, text, signature.blob):
        return Verified(key, signature, cosignature.time_of(signature.blob))
    return None


def open_note(note: Note, keys: Iterable[VerifierKey]) -> OpenedNote:
    """Return the note as verified by those of `keys` that signed it.

    Raises SignatureError: E_NOTE_SIGNATURE (a known key's line does not verify), E_NOTE_TWICE (two lines of
    one known key), E_NOTE_UNSIGNED (no known key signed). The keys must differ in name or id.
    """
    known: dict[tuple[str, bytes], VerifierKey] = {}
    for key in keys:
        if key.supported:
            line_name = (key.name, key.key_id)
            assert known.get(line_name, key) == key, "two known keys share a name and an id"
            known[line_name] = key
    verified: dict[tuple[str, bytes], Verified] = {}
    for signature in note.signatures:
        line_name = (signature.name, signature.key_id)
        if line_name not in known:
            continue
        if line_name in verified:
            raise SignatureError("E_NOTE_TWICE", f"two signatures of the key {_say(signature)}")
        good = verify(known[line_name], note.text, signature)
        if good is None:
            raise SignatureError("E_NOTE_SIGNATURE", f"the signature of {_say(signature)} is not good")
        verified[line_name] = good
    if not verified:
        raise SignatureError("E_NOTE_UNSIGNED", "no known key signed this note")
    return OpenedNote(note.text, tuple(verified.values()), len(note.signatures) - len(verified))


def _say(signature: Signature) -> str:
    return f"{signature.name} ({signature.key_id.hex()})"
