"""From a file to a commitment and back: what `submit`, `verify` and the samples agree on.

Why: a plain SHA-256 of a short or guessable file can be found by trying contents, so the command line commits to
``SHA-256(salt || file)`` with 32 random bytes kept in ``FILE.salt`` beside the original. Anybody can repeat it with
``cat FILE.salt FILE | sha256sum``. Without a salt file the commitment is the plain ``SHA-256(FILE)``.

Whoever destroys the salt makes the leaf on the chain meaningless; whoever loses it loses the evidence.

Refuses: salt files that are not exactly 32 bytes; overwriting a salt that exists.
"""

import hashlib
import os
import secrets
from pathlib import Path

from scripts.exit_codes import CommandError, Exit, exit_for

SALT_BYTES = 32
_CHUNK_BYTES = 1 << 20


def salt_path(original: Path) -> Path:
    """Return where the salt of `original` is kept."""
    return original.with_name(original.name + ".salt")


def make_salt(original: Path) -> bytes:
    """Return the salt of `original`, making and keeping one (mode 0600) when there is none yet."""
    path = salt_path(original)
    if path.exists():
        return _read_salt(path)
    salt = secrets.token_bytes(SALT_BYTES)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(salt)
        out.flush()
        os.fsync(out.fileno())
    return salt


def commitment_of(original: Path, *, salted: bool | None = None) -> bytes:
    """Return the 32-byte commitment of a file.

    `salted`: True demands the salt file, False ignores it, None uses it when it is there.
    Raises CommandError (NOT_FOUND, NOT_ALLOWED, UNREADABLE).
    """
    path = salt_path(original)
    use = path.exists() if salted is None else salted
    digest = hashlib.sha256(_read_salt(path) if use else b"")
    try:
        with original.open("rb") as source:
            while chunk := source.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise CommandError(exit_for(error), f"{original} cannot be read: {error.strerror}") from error
    return digest.digest()


def _read_salt(path: Path) -> bytes:
    try:
        salt = path.read_bytes()
    except OSError as error:
        lost = "without its salt a salted commitment cannot be recomputed; look for it in the backup of the original"
        exit_code = exit_for(error)
        raise CommandError(
            exit_code,
            f"the salt file {path} cannot be read: {error.strerror}",
            hint=lost if exit_code is Exit.NOT_FOUND else "run it as the user to whom the file belongs",
        ) from error
    if len(salt) != SALT_BYTES:
        raise CommandError(Exit.UNREADABLE, f"the salt file {path} has {len(salt)} bytes, not {SALT_BYTES}")
    return salt
