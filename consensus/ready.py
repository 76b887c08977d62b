"""What comes out of the core: one value that tells the host everything there is to do, and in which order.

The rule it carries is the order of durability (paper 5.2 "persist before responding"; the leader's early
AppendEntries: dissertation 10.2.1): one batch to sync, messages that may leave now, messages that may leave
after the batch, entries that may be applied. Evidence is a value too: the core accuses, the host keeps it.

Refuses: to be a queue. A `Ready` is complete; the core remembers only which batches are not synced yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from consensus.messages import AppendEntries, Message
from consensus.types import Entry, HardState, Index, NodeId, ReadState, SoftState, Term


@dataclass(frozen=True, slots=True)
class Refused:
    """This node refused an entry of `leader`; `committed` tells that the leader says it is committed."""

    leader: NodeId
    index: Index
    term: Term
    code: str
    committed: bool


class EvidenceKind(IntEnum):
    """What a peer did that no honest peer does."""

    OTHER_ENTRY = 1  # another entry of a height and term already held
    COMMITTED_OVERWRITE = 2  # an entry that would overwrite a committed one (halts this node)
    TWO_LEADERS = 3  # two nodes lead one term
    FALSE_ACK = 4  # acknowledged another entry than the one it was sent, or one that never was
    COMMIT_BEYOND = 5  # a leader says that this node acknowledged what it does not hold


@dataclass(frozen=True, slots=True)
class Evidence:
    """What to keep against `peer`: the entry held here (if one is) and the message that contradicts it.

    `theirs` is the other entry, derived from what the peer sent, when the message carried one.
    """

    kind: EvidenceKind
    peer: NodeId
    index: Index
    term: Term
    held: Entry | None
    theirs: Entry | None
    message: Message


@dataclass(frozen=True, slots=True)
class Ready:
    """What the host has to do, and in which order (the contract is told in `consensus/__init__.py`).

    `batch`: when `must_sync`, the number of the batch made of `truncate_from`, `entries` and `hard_state`;
    else the number of the last batch handed out before. `after_sync` may leave once `synced(batch)` was
    called. `messages` may leave at once and `committed` may be applied at once.
    """

    batch: int
    must_sync: bool
    hard_state: HardState | None
    truncate_from: Index | None  # delete entries from here on before putting `entries`; same batch
    entries: tuple[Entry, ...]
    messages: tuple[AppendEntries, ...]
    after_sync: tuple[Message, ...]
    committed: tuple[Entry, ...]
    reads: tuple[ReadState, ...]
    dropped_reads: tuple[bytes, ...]  # contexts whose answer will never come: ask the next leader
    soft: SoftState | None
    refused: tuple[Refused, ...]
    evidence: tuple[Evidence, ...]
    halted: str | None  # not None: this node's own state was contradicted; the words say how
