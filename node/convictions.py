"""The proof that a cosigner key has contradicted itself, as bytes that anybody can check, and read back at
a start.

Why read back: a convicted key counts no more, and that must outlive a restart. The evidence file itself is
the memory; it is verified like something a stranger handed in, so a planted file convicts nobody.

Format: ``["tiezheng/contradiction", 1, chain_id, name, public, first note, second note, our root, [hash,
...]]`` (canonical array). Both notes carry a signature of `public` under `name`. Either they speak of one
size and two roots; then our root is empty and there are no hashes. Or the second one's size is smaller,
`our root` differs from its root, and the hashes are the consistency proof from (second size, our root) to
the first note's tree: so the first signature vouches for a tree that contains another tree at the second
size than the second signature says.

Sources: RFC 9162 section 2.1.4, C2SP tlog-cosignature.
Refuses: deciding whom to believe; a contradiction convicts the key, whichever signature was the honest one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger import names
from ledger.encoding import Value, as_array, as_bytes, as_text, pack, require_format, unpack
from ledger.errors import LedgerError
from ledger.note import ED25519_COSIGNATURE, key_id
from ledger.proof import CONSISTENCY_MAX, verify_consistency
from ledger.spelling import is_name
from node import notes
from node.errors import WireError
from node.findings import Convicted
from node.notes import ParsedNote

PURPOSE: Final = "tiezheng/contradiction"
PROOF_BYTES_MAX: Final = 2 * notes.NOTE_BYTES_MAX + 16 * 1024
_FILES_MAX: Final = 4_096


@dataclass(frozen=True, slots=True)
class Conviction:
    """A verified contradiction: whose key, by name and public key."""

    name: str
    public: bytes


def encode(chain_id: str, found: Convicted, our_root: bytes, proof: Sequence[bytes]) -> bytes:
    """Return the proof's bytes; `our_root` and `proof` are empty when both notes speak of one size."""
    signer = found.signer
    fields: list[Value] = [PURPOSE, 1, chain_id, signer.name, signer.public, found.first, found.second]
    return pack([*fields, our_root, list(proof)])


def verify(data: bytes, chain_id: str) -> Conviction:
    """Return whom the proof convicts. Raises WireError E_EVIDENCE, or a code of what is wrong in it."""
    try:
        fields = as_array(unpack(data, max_bytes=PROOF_BYTES_MAX, what="contradiction"), "contradiction", 9)
        require_format(fields[1], "contradiction")
        if fields[0] != PURPOSE or as_text(fields[2], "chain id", names.CHAIN_ID) != chain_id:
            raise WireError("E_EVIDENCE", "not a contradiction on this chain")
        name, public = fields[3], as_bytes(fields[4], "public key", 32)
        if not isinstance(name, str) or not is_name(name):
            raise WireError("E_EVIDENCE", "not a cosigner's name")
        first, second = (
            notes.parse(as_bytes(field, "note", max_length=notes.NOTE_BYTES_MAX), chain_id)
            for field in fields[5:7]
        )
        our_root = as_bytes(fields[7], "our root", max_length=32)
        hashes = as_array(fields[8], "consistency proof", max_length=CONSISTENCY_MAX)
        proof = [as_bytes(one, "hash", 32) for one in hashes]
        for note in (first, second):
            _require_signed(note, name, public)
        _require_contradiction(first, second, our_root, proof)
    except LedgerError as error:
        raise WireError(error.code, error.message) from error
    return Conviction(name, public)


def load(folder: Path, chain_id: str) -> tuple[Conviction, ...]:
    """Return all convictions that the evidence files in `folder` prove; files about other things are passed
    over.
    """
    found: dict[bytes, Conviction] = {}
    if folder.is_dir():
        for path in sorted(folder.glob("*.bin"))[:_FILES_MAX]:
            if path.stat().st_size <= PROOF_BYTES_MAX:
                try:
                    conviction = verify(path.read_bytes(), chain_id)
                except WireError:
                    continue
                found[conviction.public] = conviction
    return tuple(found.values())


def _require_signed(note: ParsedNote, name: str, public: bytes) -> None:
    wanted = (name, key_id(name, ED25519_COSIGNATURE, public))
    for line in note.lines:
        if (line.name, line.key_id) == wanted and notes.cosigned_at(public, note.text, line) is not None:
            return
    raise WireError("E_EVIDENCE", "a note of the contradiction is not signed by the key")


def _require_contradiction(
    first: ParsedNote, second: ParsedNote, our_root: bytes, proof: Sequence[bytes]
) -> None:
    if first.size == second.size:
        if first.root == second.root or our_root or proof:
            raise WireError("E_EVIDENCE", "the two notes do not contradict each other")
        return
    if second.size > first.size or our_root == second.root or len(our_root) != 32:
        raise WireError("E_EVIDENCE", "the two notes do not contradict each other")
    verify_consistency(second.size, our_root, first.size, first.root, proof)
