"""What a node holds about one checkpoint, and what it keeps of a sender who is ahead: the containers of
`gathering`.

Rules kept here: a key has one line on a checkpoint; what waits for the chain is bounded in bytes, and the
oldest arrivals give way. Refuses: judging anything.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from node.cosigner import Point
from node.electorate import Signer
from node.notes import NoteLine

PARKED_BYTES_MAX: Final = 1024 * 1024
"""Of one sender: more than two thousand notes of ordinary length."""


@dataclass(slots=True)
class Line:
    """One cosignature as received. `time_s` is the signer's claim until `verified`."""

    signer: Signer
    line: NoteLine
    time_s: int
    sender: str
    verified: bool


@dataclass(slots=True)
class Tally:
    """All lines on one checkpoint that this node holds, by public key; a log line is (line, verified)."""

    point: Point
    text: bytes
    lines: dict[bytes, Line] = field(default_factory=dict)
    logs: dict[bytes, tuple[NoteLine, bool]] = field(default_factory=dict)

    def signers(self) -> list[Signer]:
        """Return whose lines are there, verified or not."""
        return [line.signer for line in self.lines.values()]


@dataclass(slots=True)
class Parked:
    """Notes of one sender that are ahead of the chain, by size, oldest arrival first."""

    notes: OrderedDict[int, bytes] = field(default_factory=OrderedDict)
    size_bytes: int = 0

    def put(self, size: int, raw: bytes) -> None:
        """Keep a note at a size, instead of an earlier one there."""
        self.take(size)
        self.notes[size] = raw
        self.size_bytes += len(raw)
        while self.size_bytes > PARKED_BYTES_MAX:
            self.size_bytes -= len(self.notes.popitem(last=False)[1])

    def take(self, size: int) -> bytes:
        """Remove and return the note at a size; empty if there is none."""
        raw = self.notes.pop(size, b"")
        self.size_bytes -= len(raw)
        return raw
