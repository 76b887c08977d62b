"""Checkpoints: the text that says "this tree has this size and this root", ready to be signed as a note.

Why three lines and no more: cosigners speak only for origin, size and root. What else a block header says
(height, term, time, predecessor) is bound by the header leaf inside the tree, so our checkpoints have no
extension lines.

Rules kept here:
- Origin, size and root in one spelling, each line ended by a newline; a text that parses formats to the same
  bytes.
- Our origins are names (no spaces, no `+`, at most 255 bytes). A size is at most 2**63 - 1; size 0 has the
  empty root.
- Foreign checkpoints may carry extension lines and freer origins; they are read only on request.

Source: C2SP tlog-checkpoint v1.0.0; the root of size 0 from C2SP tlog-witness.
Refuses: signatures (that is `note`), judging who signed (that is `policy`).
"""

from dataclasses import dataclass
from typing import Final

from ledger.errors import CheckpointError, EncodingError
from ledger.merkle import EMPTY_ROOT, HASH_BYTES, SIZE_MAX
from ledger.spelling import base64_text, decimal, hash_bytes, is_name

TEXT_BYTES_MAX: Final = 65_536
EXTENSIONS_MAX: Final = 16


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head: origin, number of leaves, 32-byte root. As trustworthy as where it comes from."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()


def format_checkpoint(checkpoint: Checkpoint) -> bytes:
    """Return the note text of a checkpoint."""
    assert checkpoint.origin
    assert 0 <= checkpoint.size <= SIZE_MAX
    assert len(checkpoint.root) == HASH_BYTES
    lines = (checkpoint.origin, str(checkpoint.size), base64_text(checkpoint.root), *checkpoint.extensions)
    assert all(line and "\n" not in line for line in lines)
    return "".join(f"{line}\n" for line in lines).encode()


def parse_checkpoint(text: bytes, *, foreign: bool = False) -> Checkpoint:
    """Return the checkpoint that a note text spells. `foreign` allows extension lines and origins with spaces
    or `+`.

    Raises CheckpointError: E_CHECKPOINT_SIZE (too long), E_CHECKPOINT_FORMAT, E_CHECKPOINT_ORIGIN,
    E_CHECKPOINT_EXTENSION, E_CHECKPOINT_ROOT.
    """
    if len(text) > TEXT_BYTES_MAX:
        raise CheckpointError("E_CHECKPOINT_SIZE", f"a checkpoint text has at most {TEXT_BYTES_MAX} bytes")
    try:
        lines = text.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise CheckpointError("E_CHECKPOINT_FORMAT", "a checkpoint is UTF-8 text") from error
    if len(lines) < 4 or lines.pop():
        raise CheckpointError("E_CHECKPOINT_FORMAT", "a checkpoint has three lines, each ended by a newline")
    origin, size_line, root_line, *extensions = lines
    if not origin or not (foreign or is_name(origin)):
        raise CheckpointError("E_CHECKPOINT_ORIGIN", "the origin is empty, too long, or has spaces or '+'")
    if extensions and (not foreign or len(extensions) > EXTENSIONS_MAX or "" in extensions):
        raise CheckpointError("E_CHECKPOINT_EXTENSION", "extension lines are not accepted here")
    try:
        size = decimal(size_line, "the tree size")
        root = hash_bytes(root_line, "the root hash")
    except EncodingError as error:
        raise CheckpointError("E_CHECKPOINT_FORMAT", error.message) from error
    if size == 0 and root != EMPTY_ROOT:
        raise CheckpointError("E_CHECKPOINT_ROOT", "a tree of size 0 has the root SHA-256 of nothing")
    return Checkpoint(origin, size, root, tuple(extensions))
