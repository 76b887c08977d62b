"""Signatures on roots that are not this chain's: remembered, because one more signature can make them a
conviction.

Why: a key that signed a root which is not ours has not yet contradicted itself; its chain may have parted
from ours. It has once it also signs ours, at that size or above: the larger tree contains the smaller one.
And if a quorum signed the other root, it is this node that is wrong.

Rules kept here
- At most DISSENT_MAX sizes of one key are remembered, the newest; only verified signatures come in.
- Two roots at one size convict at once, whichever of them is ours.

Sources: C2SP tlog-cosignature ("the largest consistent tree seen").
Refuses: verifying, and judging this node: the caller does.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

from node.electorate import Signer
from node.notes import ParsedNote

DISSENT_MAX: Final = 16


class Dissent:
    """Contradicting notes by public key and size. Owned by a `Gathering`."""

    __slots__ = ("_notes", "_signers")

    def __init__(self) -> None:
        self._notes: dict[bytes, OrderedDict[int, ParsedNote]] = {}
        self._signers: dict[bytes, Signer] = {}

    def __contains__(self, public: object) -> bool:
        """Whether a key has signed anything that is not ours."""
        return public in self._notes

    def add(self, signer: Signer, note: ParsedNote) -> ParsedNote | None:
        """Remember a verified signature; return an earlier note of this key at the same size with another
        root.
        """
        kept = self._notes.setdefault(signer.public, OrderedDict())
        self._signers[signer.public] = signer
        earlier = kept.get(note.size)
        if earlier is not None and earlier.root != note.root:
            return earlier
        kept[note.size] = note
        kept.move_to_end(note.size)
        while len(kept) > DISSENT_MAX:
            kept.popitem(last=False)
        return None

    def at_or_below(self, public: bytes, size: int) -> ParsedNote | None:
        """Return a note of this key, not ours, at a size that a tree of `size` leaves contains; None if there
        is none.
        """
        kept: Mapping[int, ParsedNote] = self._notes.get(public, {})
        return next((note for at, note in kept.items() if at <= size), None)

    def signers_of(self, size: int, root: bytes) -> list[Signer]:
        """Return the signers of one root that is not ours."""
        return [
            self._signers[public]
            for public, kept in self._notes.items()
            if size in kept and kept[size].root == root
        ]
