"""The record leaf: 128 bytes that stand for one record on the chain.

Why fixed width: the submitter encodes a record once, and the same bytes are wire, block, store and hash
input. One spelling exists by construction, a block is checked column by column, and a commitment is found at
its offset.

Layout (big-endian; in bodies a 0x00, the RFC 6962 leaf prefix, stands before each, which makes 129 bytes):

===== ==== ================= ==============================================================================
  at  size field             rule
===== ==== ================= ==============================================================================
   0    1  kind              1 (a header leaf begins with 0x9d, so no leaf can be read as the other kind)
   1    1  format            1
   2    1  hash algorithm    1 = SHA-256
   3    1  flags             bit 0: source_seq is present; bits 1-7 are zero
   4    8  source_seq        0 to 2**63 - 1; zero when bit 0 is clear
  12   32  commitment        any 32 bytes
  44   16  institution       [A-Z0-9-], non-empty, zeros only as right padding
  60   24  source            [A-Z0-9.-], likewise
  84   32  template code     printable ASCII 0x21-0x7e, likewise
 116    2  template version  0 to 65535
 118   10  reserved          zero
===== ==== ================= ==============================================================================

Rules kept here: everything in that table, whether one leaf is read (`decode_leaf`) or a whole body
(`check_leaves`: by columns and distinct values, never an object per record).
Refuses: customers, free text and the time of the event; they have no place on a chain that never forgets.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from struct import error as StructError  # noqa: N812 - the standard library spells it in lower case
from typing import Final

from ledger import names
from ledger.algorithms import HASH_SHA256
from ledger.encoding import INT_MAX
from ledger.errors import BodyError

KIND_RECORD: Final = 1
FORMAT: Final = 1
LEAF_BYTES: Final = 128
PREFIXED_BYTES: Final = 129
COMMITMENT_BYTES: Final = 32
COMMITMENT_AT: Final = 12
PREFIXED_COMMITMENT_AT: Final = 13
FLAG_SEQUENCE: Final = 1
VERSION_MAX: Final = 0xFFFF

_LEAF: Final = Struct(">BBBBQ32s16s24s32sH10s")
_RESERVED: Final = bytes(10)
_START: Final = bytes((KIND_RECORD, FORMAT, HASH_SHA256))
_TEXTS_AT: Final = 45  # in a prefixed leaf: institution, source and template code, 72 bytes
_INSTITUTION: Final = re.compile(rb"[A-Z0-9-]+\x00*")
_SOURCE: Final = re.compile(rb"[A-Z0-9.-]+\x00*")
_TEMPLATE: Final = re.compile(rb"[!-~]+\x00*")


@dataclass(frozen=True, slots=True)
class RecordLeaf:
    """One record leaf, decoded.

    `source_seq` is None when the source does not number its records. `commitment` has 32 bytes.
    """

    commitment: bytes
    institution: str
    source: str
    source_seq: int | None
    template: str
    template_version: int


def encode_leaf(record: RecordLeaf) -> bytes:
    """Return the 128 bytes of a record leaf, without the 0x00 prefix. Raises BodyError like
    `encode_leaves`.
    """
    return encode_leaves(
        record.institution,
        commitments=[record.commitment],
        sources=[record.source],
        source_seqs=[record.source_seq],
        templates=[record.template],
        template_versions=[record.template_version],
    )[1:]


def decode_leaf(leaf: bytes) -> RecordLeaf:
    """Return the record of 128 bytes without prefix. Raises BodyError E_LEAF_… as `check_leaves` does."""
    if len(leaf) != LEAF_BYTES:
        raise BodyError("E_LEAF_SIZE", f"a record leaf has {LEAF_BYTES} bytes, not {len(leaf)}")
    fields = _LEAF.unpack(leaf)
    flags, sequence, commitment, institution, source, template, version = fields[3:10]
    _check_one(b"\x00" + leaf)
    return RecordLeaf(
        commitment=commitment,
        institution=institution.rstrip(b"\x00").decode("ascii"),
        source=source.rstrip(b"\x00").decode("ascii"),
        source_seq=sequence if flags else None,
        template=template.rstrip(b"\x00").decode("ascii"),
        template_version=version,
    )


def encode_leaves(
    institution: str,
    *,
    commitments: Sequence[bytes],
    sources: Sequence[str],
    source_seqs: Sequence[int | None],
    templates: Sequence[str],
    template_versions: Sequence[int],
) -> bytes:
    """Return the leaves of equally long columns, each behind its 0x00: 129 bytes per record.

    Raises BodyError: E_LEAF_COMMITMENT, E_LEAF_INSTITUTION, E_LEAF_SOURCE, E_LEAF_TEMPLATE, E_LEAF_VERSION,
    E_LEAF_SEQUENCE for a value outside its rule.
    """
    count = len(commitments)
    columns = (sources, source_seqs, templates, template_versions)
    assert all(len(column) == count for column in columns), "columns have one element per record"
    if set(map(len, commitments)) - {COMMITMENT_BYTES}:
        raise BodyError("E_LEAF_COMMITMENT", f"a commitment has {COMMITMENT_BYTES} bytes")
    kinds = list(zip(sources, templates, template_versions, strict=True))
    tails = {kind: _tail(institution, *kind) for kind in set(kinds)}
    with_sequence = b"\x00" + _START + bytes((FLAG_SEQUENCE,))
    without = b"\x00" + _START + b"\x00"
    flat: list[object] = [None] * (4 * count)
    flat[0::4] = [without if sequence is None else with_sequence for sequence in source_seqs]
    flat[1::4] = [sequence or 0 for sequence in source_seqs]
    flat[2::4] = commitments
    flat[3::4] = [tails[kind] for kind in kinds]
    numbers = [sequence for sequence in source_seqs if sequence is not None]
    if numbers and (min(numbers) < 0 or max(numbers) > INT_MAX):
        raise BodyError("E_LEAF_SEQUENCE", "a source sequence number is 0 to 2^63-1")
    try:
        return _layout("5sQ32s84s", count).pack(*flat)
    except StructError as error:
        raise BodyError("E_LEAF_SEQUENCE", "a source sequence number is a whole number") from error


def _tail(institution: str, source: str, template: str, version: int) -> bytes:
    """Return the 84 bytes that most records of a batch share. Raises BodyError."""
    if not names.INSTITUTION.fullmatch(institution):
        raise BodyError("E_LEAF_INSTITUTION", f"an institution id matches {names.INSTITUTION.pattern}")
    if not names.SOURCE.fullmatch(source):
        raise BodyError("E_LEAF_SOURCE", f"a source matches {names.SOURCE.pattern}")
    if not names.TEMPLATE.fullmatch(template):
        raise BodyError("E_LEAF_TEMPLATE", "a template code has 1 to 32 printable ASCII characters")
    if not 0 <= version <= VERSION_MAX:
        raise BodyError("E_LEAF_VERSION", f"a template version is 0 to {VERSION_MAX}")
    texts = (institution.encode().ljust(16, b"\x00"), source.encode().ljust(24, b"\x00"))
    return b"".join((*texts, template.encode().ljust(32, b"\x00"), version.to_bytes(2, "big"), _RESERVED))


def check_leaves(leaves: bytes, institution: str) -> int:
    """Return the number of record leaves in `leaves` (129 bytes each) if all are valid and of `institution`.

    Raises BodyError: E_LEAF_SIZE, E_LEAF_KIND (prefix, kind, format or hash algorithm), E_LEAF_FLAGS,
    E_LEAF_SEQUENCE, E_LEAF_INSTITUTION, E_LEAF_SOURCE, E_LEAF_TEMPLATE, E_LEAF_RESERVED.
    """
    count, rest = divmod(len(leaves), PREFIXED_BYTES)
    if rest or not count:
        raise BodyError("E_LEAF_SIZE", f"{len(leaves)} bytes are not one or more leaves of {PREFIXED_BYTES}")
    zeros = bytes(count)
    _check_starts(leaves, count, zeros)
    _check_sequences(leaves, count)
    if any(leaves[at::PREFIXED_BYTES] != zeros for at in range(119, 129)):
        raise BodyError("E_LEAF_RESERVED", "reserved bytes of a leaf are not zero")
    expected = institution.encode().ljust(16, b"\x00")
    for texts in set(_layout("45x72s12x", count).unpack(leaves)):
        if texts[:16] != expected:
            raise BodyError("E_LEAF_INSTITUTION", f"a leaf is not of institution {institution}")
        _check_texts(texts)
    return count


def leaf_slices(leaves: bytes) -> tuple[bytes, ...]:
    """Return the prefixed leaves (129 bytes each) of checked leaves: the input of `merkle.leaf_hashes`."""
    return _layout("129s", len(leaves) // PREFIXED_BYTES).unpack(leaves)


def commitment_keys(leaves: bytes) -> tuple[bytes, ...]:
    """Return the first 16 bytes of each commitment in checked leaves: the key of the index of positions."""
    return _layout("13x16s100x", len(leaves) // PREFIXED_BYTES).unpack(leaves)


@lru_cache(maxsize=256)
def _layout(one: str, count: int) -> Struct:
    """Return the compiled layout of `count` leaves in a row; compiling it costs more than using it."""
    return Struct(">" + one * count)


def _check_one(leaf: bytes) -> None:
    """Check a single prefixed leaf of any institution."""
    _check_starts(leaf, 1, b"\x00")
    _check_sequences(leaf, 1)
    if leaf[119:] != _RESERVED:
        raise BodyError("E_LEAF_RESERVED", "reserved bytes of a leaf are not zero")
    _check_texts(leaf[_TEXTS_AT : _TEXTS_AT + 72])


def _check_starts(leaves: bytes, count: int, zeros: bytes) -> None:
    good = leaves[0::PREFIXED_BYTES] == zeros
    for at, value in enumerate(_START, start=1):
        good = good and leaves[at::PREFIXED_BYTES] == bytes((value,)) * count
    if not good:
        raise BodyError("E_LEAF_KIND", "not a record leaf of format 1 with SHA-256 behind its prefix")


def _check_sequences(leaves: bytes, count: int) -> None:
    flags = leaves[4::PREFIXED_BYTES]
    present = flags.count(FLAG_SEQUENCE)
    if present + flags.count(0) != count:
        raise BodyError("E_LEAF_FLAGS", "unknown flag bits of a leaf are set")
    if max(leaves[5::PREFIXED_BYTES]) > 0x7F:
        raise BodyError("E_LEAF_SEQUENCE", "a source sequence number is above 2^63-1")
    if present == count:
        return
    # Each column as one big number: where the flag is clear, the mask is zero and the column has to be.
    allowed = int.from_bytes(flags, "big") * 0xFF
    if any(int.from_bytes(leaves[at::PREFIXED_BYTES], "big") & ~allowed for at in range(5, 13)):
        raise BodyError("E_LEAF_SEQUENCE", "a leaf without the sequence flag has a sequence number")


def _check_texts(texts: bytes) -> None:
    """Check institution, source and template code (72 bytes): non-empty, their alphabet, zeros only at the
    right.
    """
    if not _INSTITUTION.fullmatch(texts, 0, 16):
        raise BodyError("E_LEAF_INSTITUTION", f"an institution id matches {names.INSTITUTION.pattern}")
    if not _SOURCE.fullmatch(texts, 16, 40):
        raise BodyError("E_LEAF_SOURCE", f"a source matches {names.SOURCE.pattern}")
    if not _TEMPLATE.fullmatch(texts, 40, 72):
        raise BodyError("E_LEAF_TEMPLATE", "a template code has 1 to 32 printable ASCII characters")
