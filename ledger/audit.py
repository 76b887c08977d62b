"""The audit: a whole chain derived again from its bodies, and everything that was stored about it compared.

Why: nobody has to believe a node's store, its owner included. From genesis and bodies alone follow all
headers, tiles, roots and entry hashes; whatever differs was changed, and the first height that differs is
named. The fold is the one that running nodes use (`chain.Chain`), so an audit also proves that the rules were
kept.

Rules kept here:
- Bodies first: a body that breaks a rule, or whose entry hash is another, ends the audit, since nothing
  behind it means anything. What is derived (headers, positions, tiles) may differ in many places; findings
  are named up to a limit and counted beyond it.
- A checkpoint note is judged by the governance state that ruled its height. A genuine one that names another
  root or no block's end is the gravest finding there is: somebody signed another history.
- Readers are small Protocols; a reader that raises LedgerError makes a finding, not a crash.

Refuses: repairing, and deciding what a finding means for the node. Times of cosignatures are not judged.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from ledger.body import parse_body
from ledger.chain import AppliedBlock, Chain
from ledger.checkpoint import parse_checkpoint
from ledger.errors import ChainError, LedgerError
from ledger.governance import State, policy_text
from ledger.merkle import HASH_BYTES
from ledger.note import parse_note
from ledger.trust import TrustFile, check_signatures, parse_trust, require_quorum

FINDINGS_MAX: Final = 100


class Entry(Protocol):
    """An entry as stored."""

    @property
    def term(self) -> int:
        """Raft term."""

    @property
    def entry_hash(self) -> bytes:
        """The entry hash as stored (32 bytes)."""

    @property
    def body_raw(self) -> bytes:
        """The body's exact bytes."""


class EntryReader(Protocol):
    """Where the committed bodies come from. May raise LedgerError."""

    def entry(self, height: int) -> Entry:
        """Return the entry at a height that the auditor was told is committed."""


class DerivedReader(Protocol):
    """What a node stored about its chain. Every method may raise LedgerError, also for what is missing."""

    def applied(self) -> int:
        """Return the last height that is derived, or -1."""

    def header_leaf(self, height: int) -> bytes:
        """Return the header leaf of a height."""

    def first_index(self, height: int) -> int:
        """Return the tree index of the first leaf of a height."""

    def tile(self, level: int, index: int, width: int) -> bytes:
        """Return `width` hashes of a tile."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it must be, at a height (None if it belongs to none)."""

    code: str
    height: int | None
    message: str


@dataclass(frozen=True, slots=True)
class Progress:
    """Everything up to `height` has been looked at."""

    height: int
    tree_size: int
    records: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """The end of an audit. `block` is the last one derived, None if not even genesis was.

    `complete` says whether the height asked for was reached. `findings` counts also those not named.
    """

    complete: bool
    block: AppliedBlock | None
    records: int
    notes: int
    findings: int


AuditEvent: TypeAlias = Finding | Progress | Verdict


def audit(
    entries: EntryReader,
    last_height: int,
    *,
    chain_id: str | None = None,
    derived: DerivedReader | None = None,
    notes: Iterable[bytes] = (),
    progress_every: int = 1_000,
) -> Iterator[AuditEvent]:
    """Yield findings and progress over heights 0 to `last_height`, and a verdict as the last item.

    `chain_id` is what the auditor expects; `notes` are signed checkpoints that must be final on this chain.
    Nothing that is wrong with the chain is raised. Costs about what applying the chain costs.
    """
    run = _Audit(chain_id, derived)
    named = 0
    complete = False
    for event in run.events(entries, last_height, notes, progress_every):
        if isinstance(event, Finding):
            run.findings += 1
            if named == FINDINGS_MAX:
                continue
            named += 1
        elif event.height == last_height:
            complete = True
        yield event
    yield Verdict(complete, run.block, run.records, run.notes, run.findings)


class _Audit:
    """One run: the chain derived so far, and the notes that still wait for their block."""

    def __init__(self, chain_id: str | None, derived: DerivedReader | None) -> None:
        self.block: AppliedBlock | None = None
        self.records = 0
        self.notes = 0
        self.findings = 0
        self._chain_id = chain_id
        self._chain: Chain | None = None
        self._derived = derived
        self._applied = -1
        self._waiting: dict[int, list[bytes]] = {}
        self._trust: tuple[State, TrustFile] | None = None

    def events(
        self, entries: EntryReader, last_height: int, notes: Iterable[bytes], every: int
    ) -> Iterator[Finding | Progress]:
        """Yield everything but the verdict; a Progress of the last height means that nothing stopped the
        run.
        """
        yield from self._take_notes(notes)
        yield from self._ask_applied(last_height)
        for height in range(last_height + 1):
            try:
                block = self._apply(height, entries.entry(height))
            except LedgerError as error:
                yield Finding(error.code, height, error.message)
                return
            yield from self._compare_block(block)
            yield from self._compare_notes(block)
            if height % every == every - 1 and height < last_height:
                yield Progress(height, block.tree_size, self.records)
        yield from self._left_over_notes()
        if self.block is not None:
            yield Progress(self.block.height, self.block.tree_size, self.records)

    def _take_notes(self, notes: Iterable[bytes]) -> Iterator[Finding]:
        for note in notes:
            try:
                size = parse_checkpoint(parse_note(note).text).size
            except LedgerError as error:
                yield Finding(error.code, None, f"a checkpoint note is malformed: {error.message}")
                continue
            self._waiting.setdefault(size, []).append(note)

    def _ask_applied(self, last_height: int) -> Iterator[Finding]:
        if self._derived is None:
            return
        try:
            self._applied = self._derived.applied()
        except LedgerError as error:
            yield Finding(error.code, None, error.message)
            self._derived = None
            return
        if self._applied > last_height:
            yield Finding(
                "E_AUDIT_AHEAD",
                None,
                f"height {self._applied} is derived, but the last committed one is {last_height}",
            )

    def _apply(self, height: int, entry: Entry) -> AppliedBlock:
        """Return the block of an entry. Raises LedgerError for whatever makes the rest of the chain
        meaningless.
        """
        body = parse_body(entry.body_raw)
        if self._chain is None:
            self._chain, block = Chain.start(body)
            if entry.term != block.term:
                raise ChainError("E_CHAIN_TERM", f"genesis has term {entry.term}, not {block.term}")
            if self._chain_id not in {None, self._chain.chain_id}:
                raise ChainError(
                    "E_AUDIT_CHAIN", f"this is chain {self._chain.chain_id}, not {self._chain_id}"
                )
        else:
            block = self._chain.apply(height, entry.term, body)
        if block.entry_hash != entry.entry_hash:
            raise ChainError("E_AUDIT_ENTRY_HASH", f"the entry hash of height {height} is not what follows")
        self.block = block
        self.records += block.header.records
        return block

    def _compare_block(self, block: AppliedBlock) -> Iterator[Finding]:
        """Compare what is stored about a block: header leaf, position, the tiles it completed, the edge it
        left.
        """
        derived = self._derived
        if derived is None or block.height > self._applied:
            return
        height = block.height
        tiles = [(tile.level, tile.index, tile.data) for tile in block.tiles]
        if height == self._applied:
            tiles += _partial_tiles(block)
        try:
            if derived.header_leaf(height) != block.header_leaf:
                yield Finding(
                    "E_AUDIT_HEADER", height, "the stored header is not what follows from the chain"
                )
            if derived.first_index(height) != block.first_index:
                yield Finding("E_AUDIT_POSITION", height, "the stored position of the block is wrong")
            for level, index, data in tiles:
                if derived.tile(level, index, len(data) // HASH_BYTES) != data:
                    yield Finding("E_AUDIT_TILE", height, f"stored tile {level}/{index} holds other hashes")
        except LedgerError as error:
            yield Finding(error.code, height, error.message)

    def _compare_notes(self, block: AppliedBlock) -> Iterator[Finding]:
        for note in self._waiting.pop(block.tree_size, ()):
            self.notes += 1
            try:
                signed = check_signatures(self._trust_of(block), note)
                if signed.checkpoint.root != block.root:
                    yield Finding(
                        "E_AUDIT_ROOT", block.height, "a genuine checkpoint of this size has another root"
                    )
                    continue
                require_quorum(self._trust_of(block), signed)
            except LedgerError as error:
                yield Finding(error.code, block.height, f"a checkpoint note: {error.message}")

    def _trust_of(self, block: AppliedBlock) -> TrustFile:
        """Return the policy in force at a block, parsed once per era."""
        if self._trust is None or self._trust[0] is not block.ruling:
            self._trust = (block.ruling, parse_trust(policy_text(block.ruling)))
        return self._trust[1]

    def _left_over_notes(self) -> Iterator[Finding]:
        size_now = self.block.tree_size if self.block is not None else 0
        for size, notes in sorted(self._waiting.items()):
            self.notes += len(notes)
            if size > size_now:
                yield Finding(
                    "E_AUDIT_BEHIND", None, f"a checkpoint of size {size} exists; the chain ends before"
                )
            else:
                yield Finding("E_AUDIT_NOTE_SIZE", None, f"a checkpoint of size {size} is at no block's end")


def _partial_tiles(block: AppliedBlock) -> list[tuple[int, int, bytes]]:
    """Return (level, index, hashes) of the non-empty partial tiles after a block."""
    tiles = []
    for level, data in enumerate(block.edge):
        if data:
            tiles.append((level, block.tree_size >> 8 * (level + 1), data))
    return tiles
