"""Signed checkpoints as nodes exchange them: read strictly, signed, verified line by line.

Why not `ledger.note.open_note`: a node verifies only the lines that could decide something, and wants to know
of each single line whether it is good; a verifier of receipts wants all or nothing.

Rules kept here
- A note is at most NOTE_BYTES_MAX, of this chain, without extension lines. Everything else about it is
  unbelieved until a line was verified.
- A line's time is a claim until then, and never zero.

Sources: C2SP signed-note, tlog-checkpoint, tlog-cosignature.
Refuses: knowing keys (`electorate`), counting (`gathering`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ledger import cosignature, ed25519, note
from ledger.checkpoint import Checkpoint, format_checkpoint, parse_checkpoint
from ledger.errors import LedgerError
from ledger.note import Signature as NoteLine
from node.errors import WireError

__all__ = [
    "NOTE_BYTES_MAX",
    "NoteLine",
    "ParsedNote",
    "claimed_time",
    "cosigned_at",
    "join",
    "log_signed",
    "parse",
]

NOTE_BYTES_MAX: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class ParsedNote:
    """A note of this chain in its parts; nothing is verified. `text` is what signatures cover."""

    raw: bytes
    text: bytes
    size: int
    root: bytes
    lines: tuple[NoteLine, ...]


def parse(raw: bytes, chain_id: str) -> ParsedNote:
    """Return the parts of a note. Raises WireError: E_NOTE_SIZE, E_NOTE_ORIGIN, or the ledger's own code."""
    if len(raw) > NOTE_BYTES_MAX:
        raise WireError("E_NOTE_SIZE", f"a note between nodes has at most {NOTE_BYTES_MAX} bytes")
    try:
        parts = note.parse_note(raw)
        checkpoint = parse_checkpoint(parts.text)
    except LedgerError as error:
        raise WireError(error.code, error.message) from error
    if checkpoint.origin != chain_id:
        raise WireError("E_NOTE_ORIGIN", "a checkpoint of another chain")
    return ParsedNote(raw, parts.text, checkpoint.size, checkpoint.root, parts.signatures)


def checkpoint_text(chain_id: str, size: int, root: bytes) -> bytes:
    """Return the text that is signed for a tree."""
    return format_checkpoint(Checkpoint(chain_id, size, root))


def join(text: bytes, lines: Sequence[NoteLine]) -> bytes:
    """Return the note of a text and its signature lines."""
    return note.format_note(text, lines)


def claimed_time(line: NoteLine) -> int | None:
    """Return the POSIX seconds that a line claims, or None if it cannot be a cosignature that counts."""
    if len(line.blob) != cosignature.BLOB_BYTES:
        return None
    time_s = cosignature.time_of(line.blob)
    return time_s if 1 <= time_s <= cosignature.TIME_MAX else None


def cosigned_at(public: bytes, text: bytes, line: NoteLine) -> int | None:
    """Return when `public` cosigned `text` in this line, or None if the signature is not good. About 60
    us.
    """
    time_s = claimed_time(line)
    return time_s if time_s is not None and cosignature.verify(public, text, line.blob) else None


def log_signed(public: bytes, text: bytes, line: NoteLine) -> bool:
    """Return whether the line is a good log signature of `public`."""
    return ed25519.verify(public, line.blob, text)
