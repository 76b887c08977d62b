"""Evidence files, and the file that keeps a halted node halted: words for people, bytes for experts.

Why: a contradiction that is only a line of telemetry is gone when it matters. What convicts somebody, or
stops this node, is kept in the data folder: `NAME.txt` says in plain words what happened, `NAME.bin` is the
proof, byte for byte.

Rules kept here
- Files are written once and synced; nothing is ever overwritten or deleted by the program. Beyond a limit
  only the alarm is raised, so that nobody fills the disk by misbehaving.
- A halt of the node's own outlives a restart: `halted.txt` stands in the data folder until an operator, who
  has understood it, takes it away. (Amnesia needs no file: each start finds it again.)

Refuses: judging; whoever calls has decided.
"""

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from consensus.ready import Evidence
from consensus.types import Entry
from ledger.encoding import INT_MAX, Value, pack

HALTED = "halted.txt"
FOLDER = "evidence"
_FILES_MAX = 1_000
_HALTED_MAX_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class EvidenceBox:
    """The evidence folder of one node."""

    data: Path

    def keep(self, subject: str, reason: str, proof: bytes, now_s: float) -> Path | None:
        """Write an evidence file against `subject`; returns the path of its words, None beyond the limit."""
        folder = self.data / FOLDER
        folder.mkdir(mode=0o700, exist_ok=True)
        if sum(1 for _ in folder.iterdir()) >= 2 * _FILES_MAX:
            return None
        when = datetime.fromtimestamp(now_s, UTC)
        stem = f"{when:%Y%m%dT%H%M%S.%fZ}-{_plain(subject)}"
        words = f"time {when.isoformat()}\nsubject {subject}\n\n{reason}\n\nProof: {stem}.bin ({len(proof)} bytes)\n"
        _write_new(folder / f"{stem}.bin", proof)
        _write_new(folder / f"{stem}.txt", words.encode("utf-8"))
        return folder / f"{stem}.txt"

    def halt(self, reason: str, now_s: float) -> None:
        """Keep this node halted over restarts. A reason that stands already stays."""
        path = self.data / HALTED
        if not path.exists():
            when = datetime.fromtimestamp(now_s, UTC).isoformat()
            _write_new(path, f"{when}\n{reason}\n{_WAY_OUT}\n".encode())

    def halted(self) -> str | None:
        """Why this node is kept halted, None when it is not."""
        path = self.data / HALTED
        if not path.exists():
            return None
        with path.open("rb") as file:
            lines = file.read(_HALTED_MAX_BYTES).decode("utf-8", "replace").splitlines()
        return lines[1] if len(lines) > 1 else "halted earlier"


_WAY_OUT = (
    "This node does not vote and does not sign while this file is here. Find out with the other "
    "institutions whose "
    "history is right (evidence/ holds the proof). Take the file away only when it is this node's."
)


def consensus_proof(evidence: Evidence) -> tuple[str, bytes]:
    """Plain words and canonical bytes of what consensus holds against a peer."""
    words = {
        1: "sent another entry of a height and term that this node holds",
        2: "would overwrite an entry that is committed here",
        3: "claims to lead a term that another node leads",
        4: "acknowledged an entry that it was not sent",
        5: "says that this node acknowledged what it does not hold",
    }[int(evidence.kind)]
    reason = f"{evidence.peer} {words} (height {evidence.index}, term {evidence.term})"
    fields: list[Value] = ["tiezheng/consensus-evidence", 1, int(evidence.kind), evidence.peer]
    fields += [min(evidence.index, INT_MAX), min(evidence.term, INT_MAX)]
    fields += [_entry(evidence.held), _entry(evidence.theirs)]
    return reason, pack(fields)


def _entry(entry: Entry | None) -> Value:
    return [] if entry is None else [entry.index, entry.term, entry.hash, entry.payload]


def _plain(text: str) -> str:
    return "".join(char if char.isascii() and char.isalnum() else "-" for char in text)[:40]


def _write_new(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
