"""What judging signed notes can find: the values that `gathering` hands to whoever acts on them.

Why values: the judging is pure and the acting (files, alarms, halting) is not, so what is found has to cross
in a form that a test can compare.

Rules kept here: everything carries the bytes that prove it. Refuses: deciding and acting.
"""

from dataclasses import dataclass
from typing import TypeAlias

from node import notes
from node.cosigner import Point
from node.electorate import Signer
from node.notes import NoteLine


@dataclass(frozen=True, slots=True)
class Seen:
    """A verified cosignature: whose, at which size, when by its own clock (seconds), and the signed bytes."""

    signer: Signer
    size: int
    time_s: int
    text: bytes
    line: NoteLine

    def note(self) -> bytes:
        """Return the note that carries this one signature."""
        return notes.join(self.text, [self.line])


@dataclass(frozen=True, slots=True)
class Attested:
    """A checkpoint with verified signatures. `note` is its file; `signers` are those whose lines it
    carries.
    """

    point: Point
    note: bytes
    signers: tuple[Seen, ...]


@dataclass(frozen=True, slots=True)
class Finalized:
    """A newer checkpoint has its quorum."""

    attested: Attested


@dataclass(frozen=True, slots=True)
class Convicted:
    """A key has contradicted itself: `first` and `second` are notes with its two signatures, at those sizes.

    With equal sizes the notes speak for themselves; else the second one's size is the smaller, its root is
    not this chain's, and a consistency proof from this chain's root at that size to the first note completes
    the proof.
    """

    signer: Signer
    first: bytes
    first_size: int
    second: bytes
    second_size: int


@dataclass(frozen=True, slots=True)
class SelfContradicted:
    """This node's own state is contradicted; `note` carries the proof."""

    reason: str
    note: bytes


@dataclass(frozen=True, slots=True)
class Rejected:
    """A sender's note, or a line in it, is not what it claims. `code` is stable; `sender` may be this node
    itself.
    """

    sender: str
    code: str


Finding: TypeAlias = Finalized | Convicted | SelfContradicted | Rejected
