"""Changes of a right receipt that keep its signatures and hashes right: other leaves, headers, checkpoints, texts.

A change of one byte is always caught by some hash or signature, so it says nothing about the rules behind those. Here
the tree is built and signed again around the change, and only the rule in question can refuse it. Every function returns
(receipt, trust file, digest as hex).
"""

import random
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from receipt_world import World, world
from rfc6962_reference import mth, path

from ledger import ed25519, note
from ledger.encoding import pack, unpack
from ledger.note import Signature
from ledger.tlogproof import TlogProof, format_proof

SEED = 20_261_126
Files = tuple[bytes, bytes, str]
HEADER_FIELDS = (
    *("format", "kind", "chain", "height", "term", "alg", "prev"),
    *("ms", "body", "records", "tree_size", "root", "governance"),
)


def fixed_world(*, header: bool = True) -> World:
    """A world of more than one institution, with a record in a block whose header is in the tree."""
    rng = random.Random(SEED)
    while True:
        made = world(rng)
        if (made.header is not None) == header and made.quorum > 1 and len(made.leaves) > 8:
            return made


WORLD = fixed_world()
PLAIN = fixed_world(header=False)
assert WORLD.header is not None
HEADER: int = WORLD.header
"""Where the header leaf of the record's block stands."""


def lines(made: World, *, skip: int = 0) -> list[Signature]:
    """One log's line and cosignatures of all nodes but those of the first `skip` institutions."""
    names = sorted({one.institution for one in made.parties})[skip:]
    signing = [one for one in made.parties if one.institution in names]
    return [made.log_line(made.log_parties[0]), *map(made.cosignature, signing)]


def file(made: World, given: Sequence[Signature], text: bytes | None = None) -> Files:
    """Receipt, trust file and digest of a world with these lines."""
    made_case = made.case(given, text=text)
    return made_case.receipt, made_case.trust, made_case.digest


def resigned(made: World, text: bytes) -> Files:
    """A receipt over another checkpoint text that everybody has signed."""
    log = made.log_line(made.log_parties[0], text)
    cosigned = [made.cosignature(one, text=text) for one in made.parties]
    return file(made, [log, *cosigned], text)


def head(made: World, *, origin: str | None = None, size: str | None = None, more: str = "") -> bytes:
    """A checkpoint text with something else in it."""
    root = b64encode(mth(made.leaves)).decode()
    return f"{origin or made.origin}\n{size or len(made.leaves)}\n{root}\n{more}".encode()


def with_leaf(made: World, leaf: bytes) -> Files:
    """The world's receipt with another record leaf, hashed into the tree and signed; the digest is the leaf's."""
    changed = replace(
        made, leaves=(*made.leaves[: made.index], leaf, *made.leaves[made.index + 1 :]), header=None
    )
    receipt, trust, _ = file(changed, lines(changed))
    return receipt, trust, leaf[12:44].hex()


def patched(at: int, new: bytes) -> Files:
    """A record leaf with other bytes at a place, in a tree that holds it."""
    leaf = PLAIN.leaves[PLAIN.index]
    return with_leaf(PLAIN, leaf[:at] + new + leaf[at + len(new) :])


def with_extra(made: World, extra: bytes) -> Files:
    """A receipt with these bytes in its extra line."""
    signed = note.format_note(made.text(), lines(made))
    proven = tuple(path(made.index, made.leaves))
    return format_proof(TlogProof(made.index, proven, signed, extra)), made.trust(), made.commitment.hex()


def with_header(
    fields: list[Any], *, place: int = HEADER, at: int | None = None, leaf: bytes | None = None
) -> Files:
    """A receipt whose header leaf has these fields, stands at `place` in the signed tree and is proven there; the
    file says that it stands `at` another.
    """
    header_leaf = pack(fields) if leaf is None else leaf
    changed = replace(WORLD, leaves=(*WORLD.leaves[:place], header_leaf, *WORLD.leaves[place + 1 :]))
    part = pack([place if at is None else at, header_leaf, path(place, changed.leaves)])
    return with_extra(changed, changed.leaves[changed.index] + part)


def header_fields(**changes: Any) -> list[Any]:
    """The header's fields, some of them changed, by name."""
    assert WORLD.header is not None
    fields = dict(
        zip(HEADER_FIELDS, unpack(WORLD.leaves[WORLD.header], max_bytes=512, what="header"), strict=True)
    )
    return list((fields | changes).values())


def with_text(text: str) -> Files:
    """These words as a receipt; trust file and digest are right."""
    return text.encode(), WORLD.trust(), WORLD.commitment.hex()


def with_trust(text: str) -> Files:
    """These words as a trust file; receipt and digest are right."""
    receipt, _, digest = file(WORLD, lines(WORLD))
    return receipt, text.encode(), digest


def at_time(made: World, time_s: int) -> Signature:
    """A good cosignature of the last party at any time, also at those that we never make."""
    party, text = made.parties[-1], made.text()
    message = b"cosignature/v1\ntime %d\n" % time_s + text
    blob = time_s.to_bytes(8, "big") + ed25519.sign(party.cosigner_seed, message)
    return replace(made.cosignature(party), blob=blob)
