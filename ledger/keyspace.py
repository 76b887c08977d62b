"""Every key of both databases, in one table. Whoever wants to know what lies on the disk reads this file.

Why one table: two modules that invent keys on their own will one day invent the same one, and a stranger who
has nothing but the folder must be able to name every byte in it.

Rules kept here:
- A key is one prefix byte and fixed-width big-endian numbers, so keys sort by number and no key is a prefix
  of another kind's.
- The byte after the last key of a range is made by `after`; ranges are half open, as everywhere.
- Numbers in keys and values are at most 2**63 - 1; heights inside index pages have 6 bytes.
- A layout on disk changes only together with `STORE_FORMAT`, and then `OLDEST_PROGRAM` says which programs
  may still open it.

The table itself, with the values, is docs/formats/storage.md.
Refuses: keys that depend on content chosen by others, except the index's, whose pages are bounded.
"""

from typing import Final

STORE_FORMAT: Final = 1
"""Layout of both databases. A program opens exactly the formats that it knows."""

PROGRAM_LEVEL: Final = 1
"""Raised by one whenever a program starts to write something that older programs would misread."""

OLDEST_PROGRAM: Final = 1
"""Written into a new store: the lowest PROGRAM_LEVEL that may open it."""

# --- chain database: synced, trusted after its hashes were checked
# ---------------------------------------------------
CHAIN_META: Final = b"M"  # format, oldest program, kind, chain id, node id, instance
CHAIN_STATE: Final = b"S"  # batch counter, term, vote, commit, last height, last entry hash
_CHAIN_BODY: Final = b"b"  # height -> body
_CHAIN_ENTRY: Final = b"e"  # height -> term, entry hash

# --- derived database: unsynced, rebuilt from the chain database whenever in doubt
# -----------------------------------
DERIVED_META: Final = b"M"  # format, oldest program, kind, chain id, node id, instance
DERIVED_APPLIED: Final = b"A"  # where the chain stands after the applied height
_DERIVED_HEADER: Final = b"h"  # height -> header leaf
_DERIVED_START: Final = b"s"  # index of a block's first leaf -> height
_DERIVED_TILE: Final = b"t"  # tile level, tile index -> 256 hashes
_DERIVED_EDGE: Final = b"e"  # tile level -> 0 to 255 hashes, the partial tile
_DERIVED_GOVERNANCE: Final = b"g"  # height -> governance state after it
_DERIVED_NOTE: Final = b"n"  # name -> signed note
INDEX_STATE: Final = b"q"  # height that pages cover, records in pages, number of runs
_INDEX_PAGE: Final = b"p"  # level, prefix, run, part -> (first 16 bytes of commitment, height) ...

HEIGHT_MAX: Final = 2**48 - 1
"""Six bytes, as in the index pages: at a thousand blocks a second, nine thousand years."""


def chain_body(height: int) -> bytes:
    """Return the key of the body at `height`."""
    return _CHAIN_BODY + _u64(height)


def chain_entry(height: int) -> bytes:
    """Return the key of (term, entry hash) at `height`."""
    return _CHAIN_ENTRY + _u64(height)


def chain_height(key: bytes) -> int:
    """Return the height in a key made by `chain_body` or `chain_entry`."""
    assert len(key) == 9, "a prefix byte and a height"
    return int.from_bytes(key[1:], "big")


def derived_header(height: int) -> bytes:
    """Return the key of the header leaf at `height`."""
    return _DERIVED_HEADER + _u64(height)


def derived_start(first_index: int) -> bytes:
    """Return the key under which the height of the block that starts at leaf `first_index` stands."""
    return _DERIVED_START + _u64(first_index)


def derived_start_index(key: bytes) -> int:
    """Return the leaf index in a key made by `derived_start`."""
    assert len(key) == 9, "a prefix byte and an index"
    return int.from_bytes(key[1:], "big")


def derived_tile(level: int, index: int) -> bytes:
    """Return the key of the full tile `index` of tile level `level` (0 to 63)."""
    return _DERIVED_TILE + level.to_bytes(1, "big") + _u64(index)


def derived_edge(level: int) -> bytes:
    """Return the key of the partial tile of tile level `level`."""
    return _DERIVED_EDGE + level.to_bytes(1, "big")


def derived_governance(height: int) -> bytes:
    """Return the key of the governance state after the block at `height`."""
    return _DERIVED_GOVERNANCE + _u64(height)


def derived_note(name: str) -> bytes:
    """Return the key of a note; `name` is ASCII without control characters, at most 64 characters."""
    assert name.isascii(), "a plain name"
    assert name.isprintable(), "a plain name"
    assert 1 <= len(name) <= 64, "a short name"
    return _DERIVED_NOTE + name.encode()


def index_page(level: int, prefix: int, run: int, part: int) -> bytes:
    """Return the key of an index page.

    `prefix` are the first 16 bits of the page's keys, of which level 0 uses 8, level 1 12 and level 2 all,
    the rest zero. `run` counts page writes, `part` splits an overfull page.
    """
    return page_prefix(level, prefix) + run.to_bytes(4, "big") + part.to_bytes(2, "big")


def page_prefix(level: int, prefix: int) -> bytes:
    """Return what the keys of all pages of one level and prefix begin with."""
    assert 0 <= level <= 2, "pages have three levels"
    return _INDEX_PAGE + level.to_bytes(1, "big") + prefix.to_bytes(2, "big")


def page_run(key: bytes) -> int:
    """Return the run in a key made by `index_page`."""
    assert len(key) == 10, "prefix byte, level, prefix, run, part"
    return int.from_bytes(key[4:8], "big")


def pages_range() -> tuple[bytes, bytes]:
    """Return the half-open range of all index pages."""
    return _INDEX_PAGE, after(_INDEX_PAGE)


def notes_range() -> tuple[bytes, bytes]:
    """Return the half-open range of all notes."""
    return _DERIVED_NOTE, after(_DERIVED_NOTE)


def governance_range() -> tuple[bytes, bytes]:
    """Return the half-open range of all governance states."""
    return _DERIVED_GOVERNANCE, after(_DERIVED_GOVERNANCE)


def starts_range() -> tuple[bytes, bytes]:
    """Return the half-open range of all block starts."""
    return _DERIVED_START, after(_DERIVED_START)


def entries_range() -> tuple[bytes, bytes]:
    """Return the half-open range of all (term, entry hash) keys of the chain."""
    return _CHAIN_ENTRY, after(_CHAIN_ENTRY)


def after(prefix: bytes) -> bytes:
    """Return the first key behind all keys that begin with `prefix`."""
    stem = prefix.rstrip(b"\xff")
    assert stem, "no prefix of ours is all 0xff"
    return stem[:-1] + bytes((stem[-1] + 1,))


def _u64(number: int) -> bytes:
    assert 0 <= number < 1 << 63, "numbers in keys are 0 to 2**63 - 1"
    return number.to_bytes(8, "big")
