"""What the pure middle of the node says back: answers to submitters, one frozen type each.

Why: the door turns these into protobuf and the tests into assertions; neither the rules nor the loop know
either. Which answer means what for a gateway is written in protos/submit.proto.

Refuses: carrying anything but facts; no objects of the loop, no text for people except a refusal's.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias


class LeafState(IntEnum):
    """What is known of one leaf of an envelope of which nothing was ordered; numbers of submit.proto."""

    NEW = 1
    ON_CHAIN = 2
    IN_FLIGHT = 3
    REPEATED = 4  # the same bytes stand earlier in this envelope


@dataclass(frozen=True, slots=True)
class LeafStatus:
    """One leaf's answer. `index` (of the tree) and `height` only for ON_CHAIN, else 0."""

    state: LeafState
    index: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True)
class Committed:
    """The envelope is on the chain, in one block, its leaves side by side from tree index `first_index`
    on.
    """

    height: int
    first_index: int
    block_time_ms: int


@dataclass(frozen=True, slots=True)
class Known:
    """At least one leaf is on the chain, in flight, or twice in the envelope; nothing was ordered."""

    leaves: tuple[LeafStatus, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """A permanent refusal: the same bytes get the same answer."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class NotLeader:
    """Ask `leader`; "" when this node knows of none."""

    leader: str


@dataclass(frozen=True, slots=True)
class SlowDown:
    """A queue is full, or the leader is not ready yet: nothing was taken in."""

    retry_after_ms: int


@dataclass(frozen=True, slots=True)
class OutcomeUnknown:
    """Leadership moved while the envelope was in flight; repeating it is safe and tells."""


Outcome: TypeAlias = Committed | Known | Refused | NotLeader | SlowDown | OutcomeUnknown


@dataclass(frozen=True, slots=True)
class Answer:
    """An outcome for the submission with this ticket (a number of the loop's)."""

    ticket: int
    outcome: Outcome
