"""What an observer believes of a chain that somebody sends it: nothing that it has not derived, nothing
that a majority of voters has not cosigned. Blocks and notes in, accepted entries out; no network, no disk.

Why a tail: blocks arrive before the signatures that cover them. They are folded ahead of the stores, with
every rule of the chain, and wait here, bounded, until a cosigned checkpoint has the very root that the fold
gives.

Rules kept here
- A block is covered by a note of a majority of voters (the voters in force for the note's block) at a block
  end in the tail, at or above it, with the root of this fold; or at a size ahead of the tail, if a
  consistency proof joins the tail's end with it. The keys asked for a note ahead are those in force behind
  the tail: a note that ends their era is the furthest that they can vouch for.
- A note of a majority on another root than the fold's says that the sender's blocks are not the chain:
  FollowError.
- `TAIL_BLOCKS_MAX` blocks and `TAIL_BYTES_MAX` bytes wait at most.

Sources: RFC 9162 section 2.1.4 (consistency), DESIGN of attestation in docs/.
Refuses: finality (a quorum of institutions is the attestor's question), storing, choosing senders.
"""

from dataclasses import dataclass
from typing import Final

from ledger.body import parse_body
from ledger.chain import Chain, ChainPoint
from ledger.errors import LedgerError
from ledger.governance_state import State
from ledger.proof import verify_consistency
from node import notes
from node.electorate import electorate_of
from node.errors import FollowError, WireError
from node.notes import ParsedNote
from node.ports import ObservedEntry

TAIL_BLOCKS_MAX: Final = 2_048
TAIL_BYTES_MAX: Final = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A block of the tail: the checkpoint at its end, and the state that judges it."""

    entry: ObservedEntry
    size: int
    root: bytes
    ruling: State


class Tail:
    """Blocks that were verified and are not covered yet. Starts where the stores stand."""

    def __init__(self, point: ChainPoint) -> None:
        """`point` is where the applied chain stands."""
        self._chain = Chain.restore(point)
        self._waiting: list[_Waiting] = []
        self._bytes = 0
        self._ahead: ParsedNote | None = None

    @property
    def height(self) -> int:
        """Height of the last block folded."""
        return self._chain.height

    @property
    def size(self) -> int:
        """Tree size at the end of the tail."""
        return self._chain.tree_size

    @property
    def state(self) -> State:
        """Governance state behind the tail."""
        return self._chain.state

    @property
    def blocks(self) -> int:
        """How many blocks wait."""
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether no further block may come before some are covered."""
        return len(self._waiting) >= TAIL_BLOCKS_MAX or self._bytes >= TAIL_BYTES_MAX

    @property
    def ahead_size(self) -> int | None:
        """Size of the verified note ahead of the tail, None if there is none."""
        return None if self._ahead is None else self._ahead.size

    def add(self, height: int, term: int, body_raw: bytes) -> list[ObservedEntry]:
        """Fold the next block; return what the note ahead covers, if it is a note of this very block end.

        Raises FollowError E_FOLLOW_HEIGHT, E_FOLLOW_FULL, E_FOLLOW_ROOT, or the broken rule's code.
        """
        if height != self.height + 1:
            raise FollowError("E_FOLLOW_HEIGHT", f"block {height} was sent behind block {self.height}")
        if self.full:
            raise FollowError("E_FOLLOW_FULL", f"{self.blocks} blocks wait and none is covered")
        ruling = self._chain.state
        try:
            verified = self._chain.verify(parse_body(body_raw))
            block = self._chain.apply(height, term, verified)
        except LedgerError as error:
            words = f"block {height} is not a block of the chain: {error.message}"
            raise FollowError(error.code, words) from error
        entry = ObservedEntry(height, term, verified)
        self._waiting.append(_Waiting(entry, block.tree_size, block.root, ruling))
        self._bytes += len(body_raw)
        ahead = self._ahead
        if block.governance_changed or (ahead is not None and ahead.size <= block.tree_size):
            self._ahead = None  # of an era that is over, or reached
        if ahead is None or ahead.size != block.tree_size:
            return []
        if ahead.root != block.root:
            raise FollowError("E_FOLLOW_ROOT", f"the voters have signed another root at size {ahead.size}")
        return self._accept(len(self._waiting))

    def note(self, raw: bytes) -> list[ObservedEntry]:
        """Take a note; return the blocks that it covers, which leave the tail. () for one that covers
        nothing.

        Raises FollowError: E_FOLLOW_ROOT (a majority of voters has signed another root), E_NOTE_…
        (unreadable).
        """
        try:
            note = notes.parse(raw, self._chain.chain_id)
        except WireError as error:
            raise FollowError(error.code, error.message) from error
        for at, waiting in enumerate(self._waiting):
            if waiting.size == note.size:
                if not _majority(note, waiting.ruling, waiting.entry.height):
                    return []
                if waiting.root != note.root:
                    raise FollowError(
                        "E_FOLLOW_ROOT", f"the voters have signed another root at size {note.size}"
                    )
                return self._accept(at + 1)
        newer = note.size > self.size and (self._ahead is None or note.size > self._ahead.size)
        if newer and _majority(note, self._chain.state, self.height + 1):
            self._ahead = note
        return []

    def consistent(self, proof: tuple[bytes, ...]) -> list[ObservedEntry]:
        """Take the proof that the note ahead extends the tail's end; return all waiting blocks, now covered.

        Raises FollowError E_FOLLOW_ROOT if it does not: the blocks are not the voters' chain, or the proof
        is bad.
        """
        assert self._ahead is not None, "there is a note ahead"
        try:
            verify_consistency(self.size, self._chain.root, self._ahead.size, self._ahead.root, proof)
        except LedgerError as error:
            raise FollowError(
                "E_FOLLOW_ROOT", f"what the voters signed does not extend these blocks: {error}"
            ) from error
        return self._accept(len(self._waiting))

    def _accept(self, count: int) -> list[ObservedEntry]:
        accepted = [waiting.entry for waiting in self._waiting[:count]]
        del self._waiting[:count]
        self._bytes = sum(len(waiting.entry.body.body.raw) for waiting in self._waiting)
        return accepted


def _majority(note: ParsedNote, state: State, height: int) -> bool:
    """Return whether a majority of the voters in force for `height` has validly cosigned the note."""
    electorate = electorate_of(state, height)
    good = []
    for line in note.lines:
        signer = electorate.signers.get((line.name, line.key_id))
        if (
            signer is not None
            and signer.voter
            and notes.cosigned_at(signer.public, note.text, line) is not None
        ):
            good.append(signer)
    return electorate.voters(good) >= electorate.majority
