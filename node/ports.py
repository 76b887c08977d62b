"""The seam between the halves of this room: what the attesting and reading half may ask of the running node.

Why: the loop (`runtime`), the cosigner, the observer and the doors are separate things with separate tests.
They meet here, in Protocols, so that each can be tested with a fake of the other, and so that nobody reaches
into the consensus state from outside the loop.

Rules kept here
- Everything is called on the event loop's thread. What returns at once never blocks; what must wait for the
  disk returns an awaitable that resolves only when the disk has answered.
- A mark is durable *before* the cosigner's key is used (`persist_mark`), never after.
- Callbacks are short and do not raise; a callback that raises ends the process (our bug).

Refuses: writing to the chain from here, with one exception: an observer hands in what it has verified
(`ingest`).
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from ledger.chain import AppliedBlock, ChainPoint, VerifiedBody
from ledger.governance_state import State
from ledger.store_chain import ChainStore
from ledger.store_derived import DerivedStore
from node.config import NodeConfig
from node.effects import Committed, Known, Outcome, Refused, SlowDown
from node.keys import NodeKeys


class Role(StrEnum):
    """What a node is at the moment; the words of the read door's `Status`."""

    LEADER = "leader"
    FOLLOWER = "follower"
    CANDIDATE = "candidate"
    OBSERVER = "observer"
    WAITING = "waiting"  # asking peers after a restart, before it votes, acknowledges or signs
    HALTED = "halted"  # its own state is contradicted or lost: reads only


@dataclass(frozen=True, slots=True)
class RaftStatus:
    """A moment of consensus, for status pages, health and metrics. Heights are block heights."""

    role: Role
    leader: str  # node id; "" when none is known
    term: int
    last_height: int  # newest entry held, synced or not
    commit_height: int
    reason: str = ""  # plain words when role is HALTED or WAITING


@dataclass(slots=True)
class NodeStats:
    """Counters since start, read by the metrics; owned by the loop, written only on its thread."""

    blocks_applied: int = 0
    records_applied: int = 0
    envelopes_committed: int = 0
    envelopes_known: int = 0  # answered with positions or in flight, nothing ordered
    envelopes_refused: dict[str, int] = field(default_factory=dict)  # stable code -> times
    slow_downs: int = 0  # answers "slow down"
    elections_started: int = 0
    leader_changes: int = 0
    disk_batches: int = 0
    disk_seconds: float = 0.0  # time the writer thread spent in synced writes
    disk_slowest_s: float = 0.0
    queue_records: int = 0  # records waiting for a block right now
    in_flight_blocks: int = 0
    loop_lag_s: float = 0.0  # newest measurement
    peer_messages_dropped: dict[str, int] = field(default_factory=dict)  # node id -> messages
    peer_refusals: dict[str, int] = field(default_factory=dict)  # stable code -> times

    def count(self, outcome: Outcome) -> None:
        """Count an envelope's answer, whichever it was."""
        if isinstance(outcome, Committed):
            self.envelopes_committed += 1
        elif isinstance(outcome, Known):
            self.envelopes_known += 1
        elif isinstance(outcome, Refused):
            self.envelopes_refused[outcome.code] = self.envelopes_refused.get(outcome.code, 0) + 1
        elif isinstance(outcome, SlowDown):
            self.slow_downs += 1


@dataclass(frozen=True, slots=True)
class PeerLink:
    """One outgoing connection to another node, as the transport sees it."""

    node_id: str
    address: str
    connected: bool
    last_error: str  # stable code; "" when connected


@dataclass(frozen=True, slots=True)
class ObservedEntry:
    """An entry that an observer has verified and that a majority of voters has cosigned.

    To verify ahead of what is stored, fold a chain of your own: ``Chain.restore(core.point)``, then for each
    body ``verified = chain.verify(body)`` and ``chain.apply(height, term, verified)``; compare size and root
    with the cosigned checkpoint, and hand in the same `verified`, which is then not verified again.
    """

    height: int
    term: int
    body: VerifiedBody


class LedgerView(Protocol):
    """What reading needs: the chain as this node has applied it."""

    @property
    def chain_id(self) -> str:
        """Chain id = checkpoint origin."""

    @property
    def node_id(self) -> str:
        """This node's id in governance."""

    @property
    def institution(self) -> str:
        """The institution this node belongs to."""

    @property
    def applied_height(self) -> int:
        """Height of the newest applied block; genesis (0) is applied before anything starts."""

    @property
    def size(self) -> int:
        """Tree size after the newest applied block (its header leaf included)."""

    @property
    def root(self) -> bytes:
        """Root (32 bytes) of the tree at `size`."""

    @property
    def governance(self) -> State:
        """Governance state after the newest applied block."""

    @property
    def point(self) -> ChainPoint:
        """Where the applied chain stands; `Chain.restore` continues from there on its own."""

    @property
    def chain_store(self) -> ChainStore:
        """Bodies and entry hashes; for reading only."""

    @property
    def derived_store(self) -> DerivedStore:
        """Headers, tiles, positions; for reading only (the final-note area excepted)."""

    def raft_status(self) -> RaftStatus:
        """Role, leader, term, heights now."""

    def stats(self) -> NodeStats:
        """The live counters; copy what you keep."""

    def links(self) -> Sequence[PeerLink]:
        """Outgoing peer connections; empty for a node that dials nobody."""


class NodeCore(LedgerView, Protocol):
    """What the cosigner and the observer need besides reading."""

    def on_applied(self, callback: Callable[[list[AppliedBlock]], None]) -> None:
        """Call `callback` after every group of blocks was applied and the derived store written, in rising
        height. Only what the chain store has synced is applied, so whatever is seen here may be signed.
        """

    def persist_mark(self, height: int, size: int, root: bytes) -> Awaitable[None]:
        """Make the cosigner's mark durable in the head file; resolves when it is, and only then may the key
        be used for this size. Marks never fall; the same size with another root raises HaltedError and halts
        the node. Raises HaltedError when the node is halted.
        """

    @property
    def mark(self) -> tuple[int, int, bytes] | None:
        """The newest durable mark (height, size, root), as the head file has it; None when nothing was
        signed.
        """

    def ingest(self, entries: Sequence[ObservedEntry]) -> Awaitable[None]:
        """Observers only: store verified entries in rising height without gaps; resolves when they are synced
        and applied. Raises the ledger's errors when they do not follow from what is there.
        """

    def show_signed(self, size_of: Callable[[str], int]) -> None:
        """Tell the core where to ask for the newest size that a node has signed (verified; 0 for none): a
        leader orders an observer's promotion only if it is close enough behind.
        """

    def halt(self, reason: str, evidence: bytes) -> None:
        """Stop voting, acknowledging and signing from now on; keep `evidence` in a file; reads go on.
        `reason` is one plain sentence. Only for this node's own state being contradicted.
        """

    def record_evidence(self, subject: str, reason: str, evidence: bytes) -> None:
        """Keep an evidence file against somebody else (`subject`: a node id) and raise the alarm; no halt."""

    def fatal(self, error: BaseException) -> None:
        """End the process loudly; does not return to normal work. For what must never be survived."""


class AttestChannel(Protocol):
    """Signed notes between nodes, over the peer door's Attest stream. Delivery is best effort: a full queue
    drops the oldest note, a reconnect starts empty, and whoever connects is told by `on_peer`.
    """

    def peers(self) -> Sequence[str]:
        """Node ids that notes can be sent to right now."""

    def send(self, node_id: str, note: bytes) -> bool:
        """Queue one note (at most 64 KiB) for a peer; False when it is not connected."""

    def on_note(self, callback: Callable[[str, bytes], None]) -> None:
        """Call `callback(node_id, note)` for each note received; the id is the authenticated sender's."""

    def on_peer(self, callback: Callable[[str], None]) -> None:
        """Call `callback(node_id)` whenever a peer becomes reachable: send it what it may have missed."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What `service` hands to the attesting and reading half. All of it is used on the loop's thread."""

    core: NodeCore
    channel: AttestChannel
    keys: NodeKeys
    config: NodeConfig


class Companion(Protocol):
    """Something that `service` starts after the core and stops before it: the attestor, the observer, the
    read doors.

    ``companions.build(parts) -> Sequence[Companion]`` returns them in the order of starting.
    """

    async def start(self) -> None:
        """Open what is to be opened; raises when that is impossible, and then the node does not start."""

    async def run(self) -> None:
        """Work until cancelled. Returning or raising before that ends the process: a dead task is never
        quiet.
        """

    async def stop(self) -> None:
        """Close what `start` has opened; `run` has been cancelled by then."""
