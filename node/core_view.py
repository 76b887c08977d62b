"""The running node's facts in one object: what the doors read, what the cosigner asks, and how the node
halts.

Why apart from the loop: many read these facts and few may change them. The loop tells this object what was
applied and which role it has; the doors, the cosigner and the metrics see it as `ports.NodeCore`.

Rules kept here
- Everything is read and written on the loop's thread. `book` is the exception: TLS handshakes read it on
  threads of gRPC's, so it is a frozen value that is replaced whole.
- Marks never fall, and one size has one root; who asks otherwise has found the node contradicting itself, and
  halts it.
- Halting is one way. Evidence is on the disk before anything else happens.

Refuses: consensus, applying, deciding when to sign.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from consensus import Raft
from consensus import Role as RaftRole
from ledger.chain import AppliedBlock, ChainPoint
from ledger.governance_state import State
from ledger.headfile import CosignMark
from ledger.store_chain import ChainStore
from ledger.store_derived import DerivedStore
from node import telemetry
from node.errors import HaltedError, NodeError
from node.evidence import EvidenceBox
from node.peer_book import PeerBook, book_from
from node.ports import NodeStats, ObservedEntry, PeerLink, RaftStatus, Role
from node.start import Opened

_ROLES = {
    RaftRole.FOLLOWER: Role.FOLLOWER,
    RaftRole.PRE_CANDIDATE: Role.CANDIDATE,
    RaftRole.CANDIDATE: Role.CANDIDATE,
    RaftRole.LEADER: Role.LEADER,
}

_log = telemetry.get("core")


class MarkWriter(Protocol):
    """What making a mark durable takes."""

    def mark(self, mark: CosignMark) -> Awaitable[None]:
        """Write the head file with this mark."""


class CoreView:
    """Implements `ports.NodeCore`. Made by `service` before the loop, which then connects itself."""

    def __init__(
        self, node_id: str, opened: Opened, box: EvidenceBox, die: Callable[[BaseException], None]
    ) -> None:
        """`opened` has been replayed; `die` ends the process."""
        self._node_id = node_id
        self._chain_store = opened.chain_store
        self._derived = opened.derived
        self._chain = opened.applier.chain
        self._root = self._chain.root
        self._box = box
        self._die = die
        self._halted: str | None = opened.halted
        self._mark = self._durable_mark = opened.mark
        self._stats = NodeStats()
        self._raft: Raft | None = None
        self._writer: MarkWriter | None = None
        self._on_halt: Callable[[], None] | None = None
        self._ingest: Callable[[Sequence[ObservedEntry]], Awaitable[None]] | None = None
        self._signed_size: Callable[[str], int] = _nothing_signed
        self._links: Callable[[], Sequence[PeerLink]] = list
        self._callbacks: list[Callable[[list[AppliedBlock]], None]] = []
        self._last_leader: str | None = None
        self.book: PeerBook = book_from(self._chain.state, node_id)
        self.submitters = self._chain.state.submitter_tls_pins()

    # --- ports.LedgerView -----------------------------------------------------------------------------------

    @property
    def chain_id(self) -> str:
        """Chain id = checkpoint origin."""
        return self._chain.chain_id

    @property
    def node_id(self) -> str:
        """This node's id in governance."""
        return self._node_id

    @property
    def institution(self) -> str:
        """The institution this node belongs to, "" while governance does not know the node."""
        return self._chain.state.institution_of(self._node_id) or ""

    @property
    def applied_height(self) -> int:
        """Height of the newest applied block."""
        return self._chain.height

    @property
    def size(self) -> int:
        """Tree size after the newest applied block."""
        return self._chain.tree_size

    @property
    def root(self) -> bytes:
        """Root of the tree at `size`."""
        return self._root

    @property
    def governance(self) -> State:
        """Governance state after the newest applied block."""
        return self._chain.state

    @property
    def point(self) -> ChainPoint:
        """Where the applied chain stands."""
        return self._chain.point

    @property
    def chain_store(self) -> ChainStore:
        """Bodies and entry hashes."""
        return self._chain_store

    @property
    def derived_store(self) -> DerivedStore:
        """Headers, tiles, positions."""
        return self._derived

    def raft_status(self) -> RaftStatus:
        """Role, leader, term, heights now."""
        last, hard = self._chain_store.last(), self._chain_store.hard_state()
        if self._halted is not None:
            return RaftStatus(Role.HALTED, "", hard.term, last.height, hard.commit, self._halted)
        if self._raft is None:
            return RaftStatus(Role.OBSERVER, "", hard.term, last.height, self.applied_height)
        r = self._raft.replica
        return RaftStatus(_ROLES[r.role], r.leader or "", r.term, r.log.last_index, r.commit)

    def stats(self) -> NodeStats:
        """The live counters."""
        return self._stats

    def links(self) -> Sequence[PeerLink]:
        """Outgoing peer connections."""
        return self._links()

    # --- ports.NodeCore -------------------------------------------------------------------------------------

    def on_applied(self, callback: Callable[[list[AppliedBlock]], None]) -> None:
        """Call `callback` after every group of blocks was applied."""
        self._callbacks.append(callback)

    def persist_mark(self, height: int, size: int, root: bytes) -> Awaitable[None]:
        """Make the cosigner's mark durable. See `ports.NodeCore`."""
        if self._halted is not None or self._writer is None:
            raise HaltedError("E_HALTED", self._halted or "this node has no head file")
        assert height <= self.applied_height, "only what was applied is signed"
        newest = self._mark
        if size == newest.size and root != newest.root:
            words = f"this node was asked to sign a second root for {size} leaves"
            self.halt(words, newest.root + root)
            raise HaltedError("E_MARK_CONTRADICTION", words)
        if size < newest.size or height < newest.height:
            raise NodeError("E_MARK_BEHIND", f"size {size} is behind the mark, {newest.size}")
        mark = CosignMark(height, size, root)
        self._mark = mark
        return self._persist(self._writer, mark)

    async def _persist(self, writer: MarkWriter, mark: CosignMark) -> None:
        await writer.mark(mark)
        if mark.size >= self._durable_mark.size:
            self._durable_mark = mark

    @property
    def mark(self) -> tuple[int, int, bytes] | None:
        """The newest durable mark."""
        mark = self._durable_mark
        return (mark.height, mark.size, mark.root) if mark.size else None

    def ingest(self, entries: Sequence[ObservedEntry]) -> Awaitable[None]:
        """Observers only: store and apply verified entries."""
        assert self._ingest is not None, "the loop is connected before anybody follows"
        return self._ingest(entries)

    def show_signed(self, size_of: Callable[[str], int]) -> None:
        """The attestor makes itself known: `size_of(node_id)` is the newest size a node has signed, 0 for
        none.
        """
        self._signed_size = size_of

    def halt(self, reason: str, evidence: bytes) -> None:
        """Halt this node, keeping why. A node that is halted already keeps its first reason."""
        if self._halted is not None:
            return
        now_s = time.time()
        self._box.keep(self._node_id, reason, evidence, now_s)
        self._box.halt(reason, now_s)
        self._halted = reason
        self._raft = None
        _log.error("halted", reason=reason, height=self.applied_height)
        if self._on_halt is not None:
            self._on_halt()

    def record_evidence(self, subject: str, reason: str, evidence: bytes) -> None:
        """Keep an evidence file against somebody else, and raise the alarm."""
        path = self._box.keep(subject, reason, evidence, time.time())
        _log.error("evidence", subject=subject, reason=reason, file=path.name if path else "none: too many")

    def fatal(self, error: BaseException) -> None:
        """End the process loudly."""
        _log.error("fatal", error=str(error), kind=type(error).__name__)
        self._die(error)

    # --- for the loop and the service -----------------------------------------------------------------------

    @property
    def halted(self) -> str | None:
        """Why this node is halted, None when it is not."""
        return self._halted

    def connect(
        self,
        writer: MarkWriter | None,
        on_halt: Callable[[], None],
        ingest: Callable[[Sequence[ObservedEntry]], Awaitable[None]],
    ) -> None:
        """The loop makes itself known."""
        self._writer, self._on_halt, self._ingest = writer, on_halt, ingest

    def show_links(self, links: Callable[[], Sequence[PeerLink]]) -> None:
        """The transport makes itself known."""
        self._links = links

    def signed_lag(self, node_id: str) -> int:
        """Heights between the newest applied block and the newest one that a node has signed, as far as is
        known.
        """
        size = min(self._signed_size(node_id), self.size)
        return self.applied_height - (self._derived.block_at(size - 1) if size else -1)

    def follow_raft(self, raft: Raft) -> None:
        """Consensus has started."""
        self._raft = raft

    def role_changed(self) -> None:
        """Count elections and changes of leader."""
        assert self._raft is not None, "roles are consensus'"
        r = self._raft.replica
        if r.role is RaftRole.PRE_CANDIDATE:
            self._stats.elections_started += 1
        if r.leader is not None and r.leader != self._last_leader:
            self._last_leader = r.leader
            self._stats.leader_changes += 1

    def applied(self, blocks: list[AppliedBlock]) -> None:
        """Blocks were applied and are in the derived store: note it and tell everybody."""
        last = blocks[-1]
        self._root = last.root
        self._stats.blocks_applied += len(blocks)
        self._stats.records_applied += sum(block.header.records for block in blocks)
        if any(block.governance_changed for block in blocks):
            self.book = book_from(last.state, self._node_id)
            self.submitters = last.state.submitter_tls_pins()
        for callback in self._callbacks:
            callback(blocks)


def _nothing_signed(_: str) -> int:
    return 0
