"""What the gateway may believe about the chain: checkpoints only grow, and what is final was counted by ourselves.

Why: nodes are other companies' machines. A record is called final only after its leaf, as *we* stored it, led to the root
of a checkpoint that our own trust file accepts, and that checkpoint extends the one we believed before.

Rules kept here:
- Two accepted checkpoints of one size with different roots contradict each other: whoever signed both lied.
- A bad proof alone convicts nobody but the node that sent it; only when no node can prove what the signatures claim is it
  a contradiction (`PROOF_WITNESSES`).
- Adjacent runs are proved as one range: a range proof costs at most 2·63 hashes however long the range.

Refuses: I/O, verifying signatures (see `ports.Trust`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

PROOF_WITNESSES: Final = 2
"""How many different nodes must fail to prove a claim before it counts as contradicted (or all, when fewer exist)."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that the trust file accepts: number of leaves, root (32 bytes), the signed note as received."""

    size: int
    root: bytes
    note: bytes


class Relation(Enum):
    """How a checkpoint relates to the believed one."""

    OLDER = "older"
    SAME = "same"
    NEWER = "newer"
    CONTRADICTS = "contradicts"


def relate(believed: Checkpoint | None, candidate: Checkpoint) -> Relation:
    """Return how an accepted `candidate` relates to what is `believed` (None = nothing yet)."""
    if believed is None or candidate.size > believed.size:
        return Relation.NEWER
    if candidate.size < believed.size:
        return Relation.OLDER
    return Relation.SAME if candidate.root == believed.root else Relation.CONTRADICTS


@dataclass(frozen=True, slots=True)
class Unproven:
    """A committed run that is not final yet: where its leaves are in the outbox, and where they stand in the tree.

    `received_ms` is when its batch was taken in.
    """

    batch_id: int
    position: int
    count: int
    first_index: int
    received_ms: int = 0


@dataclass(frozen=True, slots=True)
class Range:
    """Consecutive leaves of the tree and the runs that make them up, in order."""

    start: int
    count: int
    runs: tuple[Unproven, ...]


def join_ranges(runs: Sequence[Unproven], max_leaves: int) -> list[Range]:
    """Return ranges of at most `max_leaves` leaves (a longer run stays whole) that cover `runs`.

    Runs that stand at the same place (one leaf under two references) go into ranges of their own.
    """
    ranges: list[Range] = []
    for run in sorted(runs, key=lambda r: r.first_index):
        last = ranges[-1] if ranges else None
        if last and run.first_index == last.start + last.count and last.count + run.count <= max_leaves:
            ranges[-1] = Range(last.start, last.count + run.count, (*last.runs, run))
        else:
            ranges.append(Range(run.first_index, run.count, (run,)))
    return ranges
