"""Other nodes' signed notes: what becomes final, who has convicted himself, and whether this node is the one
that is wrong. Notes in, findings out; no clock, disk or network.

Why here: a record is final when a quorum of institutions has cosigned one checkpoint that this node holds as
well. Everything else that a note can say is either old, early, or a contradiction, and contradictions decide
who is still believed.

Rules kept here
- A note counts only against this node's own root at its size. Notes ahead of the chain wait, bounded, and are
  judged when the chain has come that far.
- Signatures are verified when they could decide something: the newest size that has enough lines, never each
  of the passing ones. Nothing unverified leaves this module.
- Sizes at or below the final one are old and ignored, unless they contradict; the final size itself collects
  late and renewed lines.
- Two valid signatures of one key that contradict each other (two roots at one size; or a root that is not
  ours at a size at or below one where it signed ours) convict the key: its lines count no more.
- Valid lines of a quorum on a root that is not ours, or our own key's on one that we do not hold: this node
  is wrong and says so (`SelfContradicted`).
- Everything is bounded. Too many open sizes are thinned evenly, so that signers of any speed keep common
  ones.

Sources: C2SP signed-note, tlog-cosignature, tlog-policy.
Refuses: deciding what this node signs (`cosigner`), forwarding (`attest_net`), writing files (`evidence`).
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from node import notes
from node.cosigner import Point
from node.dissent import Dissent
from node.electorate import Electorate, LineName, Signer
from node.errors import WireError
from node.findings import Attested, Convicted, Finalized, Finding, Rejected, Seen, SelfContradicted
from node.notes import NoteLine, ParsedNote
from node.tally import Line, Parked, Tally

OPEN_SIZES_MAX: Final = 2_048
KEPT_NEWEST: Final = 256
LATE_CHECK_S: Final = 1.0  # least time between two looks at a slow signer's old lines


@dataclass(frozen=True, slots=True)
class Book:
    """What may be asked about the applied chain. All sizes asked for are at most the applied size.

    `point_at`: the block end with this size, or None. `root_at`: the root of the first `size` leaves, for any
    size. `height_at`: the height of the block that holds leaf `size` - 1. `electorate`: who judges a height.
    """

    chain_id: str
    point_at: Callable[[int], Point | None]
    root_at: Callable[[int], bytes]
    height_at: Callable[[int], int]
    electorate: Callable[[int], Electorate]


class Gathering:
    """All signatures known to one node that still matter. Owned by the attestor; sizes are tree sizes.

    `final`: the newest checkpoint with a quorum of institutions. `covered`: the newest with a majority of
    voters. `_tallies` holds sizes at or above the final one; `_sizes` are its keys, rising; `_touched` those
    that changed since the last `settle`. `_parked` are notes ahead of the chain, by sender.
    """

    def __init__(self, book: Book, own: Mapping[LineName, bytes], convicted: Iterable[bytes]) -> None:
        self._book = book
        self._own = dict(own)
        self._convicted = set(convicted)
        self._applied_size = 0
        self._mark_size = 0
        self._tallies: dict[int, Tally] = {}
        self._sizes: list[int] = []
        self._touched: set[int] = set()
        self._parked: dict[str, Parked] = {}
        self._seen: dict[bytes, Seen] = {}
        self._late_checked: dict[bytes, float] = {}
        self._dissent = Dissent()
        self._findings: list[Finding] = []
        self.final: Attested | None = None
        self.covered: Attested | None = None

    @property
    def convicted(self) -> frozenset[bytes]:
        """Public keys whose signatures count no more."""
        return frozenset(self._convicted)

    @property
    def final_height(self) -> int:
        """Height of the newest final checkpoint; -1 when none is known."""
        return -1 if self.final is None else self.final.point.height

    @property
    def _final_size(self) -> int:
        return 0 if self.final is None else self.final.point.size

    def seen(self) -> tuple[Seen, ...]:
        """Return the newest verified cosignature of every key that gave one, by signer's name."""
        return tuple(sorted(self._seen.values(), key=lambda row: row.signer.name))

    def ahead(self) -> int:
        """Return the largest size that somebody has signed and this node has not applied yet; 0 for none."""
        return max((size for parked in self._parked.values() for size in parked.notes), default=0)

    # --- events -------------------------------------------------------------------------------------------

    def set_applied(self, size: int, now: float) -> None:
        """The chain has been applied up to `size`: judge what waited for it. Sizes never fall."""
        assert size >= self._applied_size, "the applied chain only grows"
        if size == self._applied_size:
            return
        self._applied_size = size
        for sender, parked in list(self._parked.items()):
            for due in sorted(at for at in parked.notes if at <= size):
                self.receive(sender, parked.take(due), now)
            if not parked.notes:
                del self._parked[sender]

    def set_mark(self, size: int) -> None:
        """This node's durable mark is at `size`: its own key has signed nothing above."""
        self._mark_size = size

    def own_signed(self, seen: Seen, point: Point, log_public: bytes, log: NoteLine) -> None:
        """Count this node's own fresh signatures, which need no verification."""
        self._see(seen)
        if point.size < self._final_size:
            return
        tally = self._tally(point, seen.text)
        tally.lines[seen.signer.public] = Line(seen.signer, seen.line, seen.time_s, "", verified=True)
        tally.logs = {log_public: (log, True)}  # the one that this node vouches for
        self._touched.add(point.size)

    def receive(self, sender: str, raw: bytes, now: float) -> None:
        """Take one note from an authenticated sender. What follows from it comes out of `settle`."""
        try:
            note = notes.parse(raw, self._book.chain_id)
        except WireError as error:
            self._findings.append(Rejected(sender, error.code))
            return
        if len({(line.name, line.key_id) for line in note.lines}) < len(note.lines):
            self._findings.append(Rejected(sender, "E_NOTE_TWICE"))  # also bounds what one note can cost
            return
        if note.size > self._applied_size:
            self._park(sender, note)
            return
        point = self._book.point_at(note.size)
        if point is None or point.root != note.root:
            self._contradiction(
                sender, note, ours=point is None and self._book.root_at(note.size) == note.root
            )
            return
        electorate = self._book.electorate(point.height)
        known = []
        for line in note.lines:
            signer = electorate.signers.get((line.name, line.key_id))
            if signer is not None and signer.public not in self._convicted:
                known.append((signer, line))
        if note.size < self._final_size:
            self._late(sender, note, known, now)
            return
        tally = self._tally(point, note.text)
        for signer, line in known:
            self._count(sender, tally, signer, line)
        for line in note.lines:
            public = electorate.logs.get((line.name, line.key_id))
            if public is not None:
                tally.logs.setdefault(public, (line, False))
        self._touched.add(note.size)

    def settle(self) -> list[Finding]:
        """Judge what has changed and return everything found since the last call, in order."""
        for size in sorted(self._touched, reverse=True):
            tally = self._tallies.get(size)
            if tally is not None:
                self._judge(tally)
        self._touched.clear()
        at = bisect_left(self._sizes, self._final_size)  # the final one stays, for lines that come late
        for size in self._sizes[:at]:
            del self._tallies[size]
        del self._sizes[:at]
        found, self._findings = self._findings, []
        return found

    # --- counting -----------------------------------------------------------------------------------------

    def _tally(self, point: Point, text: bytes) -> Tally:
        tally = self._tallies.get(point.size)
        if tally is None:
            tally = self._tallies[point.size] = Tally(point, text)
            insort(self._sizes, point.size)
            if len(self._sizes) > OPEN_SIZES_MAX:
                self._thin()
        return tally

    def _thin(self) -> None:
        """Drop every second open size but the newest ones and era ends; the rest still serves every
        signer.
        """
        old, new = self._sizes[:-KEPT_NEWEST], self._sizes[-KEPT_NEWEST:]
        kept = [
            size
            for at, size in enumerate(old)
            if at % 2 or size == self._final_size or self._tallies[size].point.era_end
        ]
        for size in set(old) - set(kept):
            del self._tallies[size]
        self._sizes = kept + new

    def _count(self, sender: str, tally: Tally, signer: Signer, line: NoteLine) -> None:
        """Put a line into a tally; a key's later line replaces its earlier one, a false one never does."""
        time_s = notes.claimed_time(line)
        if time_s is None:
            self._findings.append(Rejected(sender, "E_NOTE_SIGNATURE"))
            return
        fresh = Line(signer, line, time_s, sender, verified=False)
        held = tally.lines.get(signer.public)
        if held is None:
            tally.lines[signer.public] = fresh
        elif held.line == line or (self._verify(tally, held) and held.time_s >= time_s):
            return
        elif self._verify(tally, fresh):
            tally.lines[signer.public] = fresh
        elif not held.verified:
            del tally.lines[signer.public]
            return
        if signer.public in self._dissent:
            self._verify(tally, tally.lines[signer.public])  # it may convict, so it is looked at at once

    def _verify(self, tally: Tally, line: Line) -> bool:
        """Return whether a line is good, looking once at a good one; a bad one is told of its sender."""
        if not line.verified:
            time_s = notes.cosigned_at(line.signer.public, tally.text, line.line)
            if time_s is None:
                self._findings.append(Rejected(line.sender, "E_NOTE_SIGNATURE"))
                return False
            line.verified = True
            self._see(Seen(line.signer, tally.point.size, time_s, tally.text, line.line))
        return True

    def _see(self, seen: Seen) -> None:
        """Note a verified signature on our chain; together with one that is not ours it convicts."""
        public = seen.signer.public
        known = self._seen.get(public)
        if known is None or (known.size, known.time_s) < (seen.size, seen.time_s):
            self._seen[public] = seen
        other = self._dissent.at_or_below(public, seen.size)
        if other is not None:
            self._convict(seen.signer, seen.note(), seen.size, other)

    def _late(self, sender: str, note: ParsedNote, known: list[tuple[Signer, NoteLine]], now: float) -> None:
        """Old lines change nothing; of a slow signer one is looked at now and then, to show how far it is."""
        for signer, line in known:
            seen = self._seen.get(signer.public)
            if seen is not None and seen.size >= note.size:
                continue
            if now - self._late_checked.get(signer.public, now - LATE_CHECK_S) < LATE_CHECK_S:
                continue
            self._late_checked[signer.public] = now
            time_s = notes.cosigned_at(signer.public, note.text, line)
            if time_s is None:
                self._findings.append(Rejected(sender, "E_NOTE_SIGNATURE"))
            else:
                self._see(Seen(signer, note.size, time_s, note.text, line))

    def _judge(self, tally: Tally) -> None:
        """Find out whether a tally is covered by a majority of voters, and whether it is final."""
        electorate = self._book.electorate(tally.point.height)
        size = tally.point.size
        covered_size = 0 if self.covered is None else self.covered.point.size
        if size >= covered_size and self._reaches(tally, electorate.majority, electorate.voters):
            self.covered = self._attested(tally)
        if size >= self._final_size and self._reaches(tally, electorate.quorum, electorate.institutions):
            attested = self._attested(tally)
            if not any(verified for _, verified in tally.logs.values()):
                return  # no node has vouched for it as the log; no verifier would take it
            if size > self._final_size:
                self._findings.append(Finalized(attested))
            self.final = attested

    def _reaches(self, tally: Tally, least: int, measure: Callable[[Iterable[Signer]], int]) -> bool:
        """Return whether enough of a tally's lines are good, verifying only if there are enough at all."""
        if measure(tally.signers()) < least:
            return False
        for public, line in list(tally.lines.items()):
            if not self._verify(tally, line):
                del tally.lines[public]
        for public, (log, verified) in list(tally.logs.items()):
            if any(good for _, good in tally.logs.values()):
                break
            if verified or notes.log_signed(public, tally.text, log):
                tally.logs[public] = (log, True)
            else:
                del tally.logs[public]
        return measure(tally.signers()) >= least

    def _attested(self, tally: Tally) -> Attested:
        lines = sorted(tally.lines.values(), key=lambda line: line.signer.name)
        logs = [log for log, verified in tally.logs.values() if verified]
        note = notes.join(tally.text, [*logs, *(line.line for line in lines)])
        size = tally.point.size
        signers = tuple(Seen(line.signer, size, line.time_s, tally.text, line.line) for line in lines)
        return Attested(tally.point, note, signers)

    # --- notes ahead of the chain, and contradictions -----------------------------------------------------

    def _park(self, sender: str, note: ParsedNote) -> None:
        """Keep a note until the chain has come so far; the oldest of a sender give way."""
        if note.size > self._mark_size and self._own_in(note):
            reason = f"this node's key has signed size {note.size}, which this node never has"
            self._findings.append(SelfContradicted(reason, note.raw))
            return
        self._parked.setdefault(sender, Parked()).put(note.size, note.raw)

    def _own_in(self, note: ParsedNote) -> bool:
        """Return whether the note has a valid line of one of this node's own keys."""
        for line in note.lines:
            public = self._own.get((line.name, line.key_id))
            if public is not None and notes.cosigned_at(public, note.text, line) is not None:
                return True
        return False

    def _contradiction(self, sender: str, note: ParsedNote, *, ours: bool) -> None:
        """Judge a note at a size that is no block end (`ours`: but true of our tree), or on a root that is
        not ours.
        """
        if ours:
            self._findings.append(Rejected(sender, "E_NOTE_NO_BLOCK_END"))
            return
        if self._own_in(note):
            reason = f"this node's key has signed a root at size {note.size} that this node does not hold"
            self._findings.append(SelfContradicted(reason, note.raw))
            return
        electorate = self._book.electorate(self._book.height_at(note.size))
        good = False
        for line in note.lines:
            signer = electorate.signers.get((line.name, line.key_id))
            if signer is None or notes.cosigned_at(signer.public, note.text, line) is None:
                continue
            good = True
            self._dissents(signer, note)
        if not good:
            self._findings.append(Rejected(sender, "E_NOTE_ROOT"))
            return
        against = [
            s for s in self._dissent.signers_of(note.size, note.root) if s.public not in self._convicted
        ]
        if electorate.institutions(against) >= electorate.quorum:
            reason = f"a quorum has signed another root at size {note.size} than this node holds"
            self._findings.append(SelfContradicted(reason, note.raw))

    def _dissents(self, signer: Signer, note: ParsedNote) -> None:
        """Remember a verified signature that is not on our chain, and see whether it convicts its key."""
        earlier = self._dissent.add(signer, note)
        seen = self._seen.get(signer.public)
        if earlier is not None:
            self._convict(signer, earlier.raw, earlier.size, note)
        elif seen is not None and seen.size >= note.size:
            self._convict(signer, seen.note(), seen.size, note)

    def _convict(self, signer: Signer, first: bytes, first_size: int, second: ParsedNote) -> None:
        """A key has contradicted itself: tell it once, and count its open lines no more."""
        if signer.public in self._convicted:
            return
        self._convicted.add(signer.public)
        self._findings.append(Convicted(signer, first, first_size, second.raw, second.size))
        for size, tally in self._tallies.items():
            if size != self._final_size:  # what was final stays so; its note is history
                tally.lines.pop(signer.public, None)
