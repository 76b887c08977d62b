"""The loop of a node: collect input, step, one durable batch, send, apply, reply.

Why one place: the order in which a node writes, speaks and applies is what all promises rest on, so it is one
function that can be read from top to bottom (`_carry_out`), with the crash points named.

Rules kept here
- Core steps run to the end on this one thread; between reading and changing consensus state nothing is
  awaited. The disk is another thread (`writer`), whose reports come back as calls on this one.
- Nothing but a leader's AppendEntries leaves before the batch it rests on is synced and the head file says
  so.
- Leaders answer a submission after its block is committed, synced here, applied, and in the derived store.
- A halted node steps nothing, sends nothing, signs nothing, and goes on reading.

Owned state: everything below belongs to the loop's thread. Implements `ports.NodeCore` together with
`core_view`.
Refuses: deciding what is valid (`replica`, the ledger), what is ordered (consensus), what is signed (the
cosigner).
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from consensus import Config as RaftConfig
from consensus import (
    ConsensusError,
    Entry,
    Message,
    MessageError,
    Raft,
    Ready,
)
from consensus import Role as RaftRole
from ledger.chain import AppliedBlock
from ledger.errors import DerivedDamagedError, LedgerError, StoreDamagedError, StoreFatalError
from ledger.store_prepare import condemn
from node import telemetry
from node.applier import RuleBrokenError, Step
from node.config import NodeConfig
from node.core_view import CoreView
from node.errors import DoorError
from node.evidence import consensus_proof
from node.inbox import Inbox
from node.observed import Observed
from node.ordering import Ordering
from node.raft_storage import RaftStorage, disk_batch, raft_hard_state
from node.refusals import Refusals
from node.start import DERIVED, Opened
from node.writer import Writer

_STEPS_MAX = 256  # messages per turn
_IDLE_MS = 1_000
_POLL_S = 0.005  # only while standing down

_log = telemetry.get("runtime")


class Sender(Protocol):
    """What the loop needs of the transport."""

    def send(self, message: Message) -> None:
        """Queue one message for its recipient."""

    def book_changed(self) -> None:
        """Roles or pins changed."""


class Runtime:
    """One node's loop. Constructed inside a running event loop; `run` works until `stop`."""

    def __init__(
        self,
        config: NodeConfig,
        opened: Opened,
        view: CoreView,
        *,
        refusals: Refusals,
        die: Callable[[BaseException], None],
    ) -> None:
        """`view` holds the facts that others read; `die` ends the process and may be called on any thread."""
        self.view = view
        self.inbox: Inbox[Message] = Inbox(
            config.limits.inbox_max_messages, config.limits.inbox_max_bytes, self.wake
        )
        self.ordering = Ordering(config, view, opened.derived)
        self._config = config
        self._host = opened.host
        self._applier = opened.applier
        self._store = opened.chain_store
        self._derived_path = config.data_path / DERIVED
        self._refusals = refusals
        self._sender: Sender | None = None
        self._wake = asyncio.Event()
        self._stopping = False
        self._raft: Raft | None = None
        self._synced = 0  # newest batch of consensus that is durable
        self._held: deque[tuple[int, Sequence[Message]]] = deque()  # waiting for the disk, by batch
        self.writer: Writer | None = None
        if opened.head is not None and not view.halted:
            self.writer = Writer(
                opened.chain_store, opened.head, on_synced=self._on_synced, die=die, stats=view.stats()
            )
        self.observed = Observed(opened.chain_store, self.writer, self._apply_steps)
        view.connect(self.writer, self._went_halted, self.observed.ingest)
        if not view.halted and view.node_id in view.governance.voters():
            self._start_raft(opened.commit)

    def attach(self, sender: Sender) -> None:
        """Give the loop its transport; before `run`."""
        self._sender = sender

    def wake(self) -> None:
        """Something happened: take a turn soon."""
        self._wake.set()

    # --- the loop -------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Work until `stop` was called."""
        loop = asyncio.get_running_loop()
        while not self._stopping:
            timer = loop.call_later(self._pause_s(), self._wake.set)  # cheaper than a timeout around the wait
            await self._wake.wait()
            timer.cancel()
            self._wake.clear()
            self._guarded(self._turn)

    def _guarded(self, work: Callable[[], None]) -> None:
        """Do a piece of the loop's work; damage that a read meets is not survived as if nothing were."""
        try:
            work()
        except DerivedDamagedError as error:
            self._condemn(error)
        except StoreDamagedError as error:
            # The chain store serves other bytes than were acknowledged: no vote and no signature from here
            # on.
            self.view.halt(str(error), b"")

    def _condemn(self, error: LedgerError) -> None:
        """Have the next start make the derived store anew, and end this run."""
        condemn(self._derived_path)
        self.view.fatal(error)

    def _turn(self) -> None:
        """One turn: collect, step, propose, carry out."""
        if self._raft is None:
            self.inbox.take(_STEPS_MAX)  # nobody's business here: an observer's, or a halted node's
            self.ordering.turn_away()
            return
        now_ms, wall_ms = _now_ms(), _wall_ms()
        for message in self.inbox.take(_STEPS_MAX):
            try:
                self._raft.step(message, now_ms, wall_ms)
            except MessageError as error:
                self._refusals.note(error.code, message.sender, str(error))
        if now_ms >= self._raft.deadline_ms():
            self._raft.tick(now_ms, wall_ms)
        self.ordering.admit(self._raft, now_ms)
        self._drain()
        while self._propose(now_ms, wall_ms):
            self._drain()
        self.ordering.gauge()
        if len(self.inbox) or len(self.ordering.desk):
            self._wake.set()

    def _propose(self, now_ms: int, wall_ms: int) -> bool:
        return self._raft is not None and self.ordering.propose(self._raft, now_ms, wall_ms)

    def _drain(self) -> None:
        """Carry out everything that consensus wants done."""
        while self._raft is not None and (ready := self._raft.ready()) is not None:
            self._carry_out(ready)

    def _carry_out(self, ready: Ready) -> None:
        """The order of durability, once: write, send, hold back, apply, reply."""
        assert self._sender is not None, "attach comes before run"
        # crash here: nothing of this turn was promised; peers and gateways repeat what they sent
        if ready.must_sync:
            assert self.writer is not None, "consensus runs only with a disk"
            self.writer.put(disk_batch(ready))
        for early in ready.messages:
            self._sender.send(early)  # AppendEntries only; followers' answers rest on their own disks
        # crash here: followers may hold entries that this disk lacks; they are not committed by us
        if ready.after_sync:
            self._held.append((ready.batch, ready.after_sync))
            self._release()
        for piece in ready.evidence:
            self.view.record_evidence(piece.peer, *consensus_proof(piece))
        for refused in ready.refused:
            self._refusals.note(refused.code, refused.leader, f"entry {refused.index} is refused")
        if ready.halted is not None:
            self.view.halt(ready.halted, b"")
            return
        if ready.soft is not None:
            self._role_changed()
        if ready.committed:
            # crash here: committed and synced, not applied; the start applies it by the same path
            self._apply(ready.committed)

    def _on_synced(self, numbers: Sequence[int]) -> None:
        """The disk has made batches durable, and the head file says so. Called on the loop by the writer."""
        self._guarded(partial(self._take_synced, numbers))
        self._wake.set()

    def _take_synced(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            if number < 0:
                self.observed.synced(number)
            elif self._raft is not None:
                self._raft.synced(number)
                self._synced = number
                self._release()
        self._drain()

    def _release(self) -> None:
        """Send what rests on batches that are durable."""
        assert self._sender is not None, "attach comes before run"
        while self._held and self._held[0][0] <= self._synced:
            for message in self._held.popleft()[1]:
                self._sender.send(message)

    # --- applying -------------------------------------------------------------------------------------------

    def _apply(self, entries: Sequence[Entry]) -> None:
        """Apply committed entries of consensus and answer whoever waits for them."""
        raft = self._raft
        assert raft is not None, "consensus has committed something"
        steps = [(entry.index, entry.term, self._host.take(entry)) for entry in entries]
        blocks = self._apply_steps(steps)
        if not blocks:
            return
        last = blocks[-1]
        voters = last.state.voters() if last.governance_changed else None
        raft.applied(last.height, voters, new_era=last.governance_changed and _new_era(last))
        for block in blocks:
            self.ordering.applied(block)
        # crash here: the answers may have left or not; a replayed envelope is answered with its positions

    def _apply_steps(self, steps: Sequence[Step]) -> list[AppliedBlock]:
        """The one apply path of a running node; an empty list when the node had to halt."""
        try:
            blocks = self._applier.apply(steps)
        except RuleBrokenError as error:
            self.view.halt(str(error), b"")
            return []
        except DerivedDamagedError as error:
            self._condemn(error)
            return []
        except StoreFatalError as error:
            self.view.fatal(error)
            return []
        self.view.applied(blocks)
        if any(block.governance_changed for block in blocks):
            self._governance_changed()
        return blocks

    def _governance_changed(self) -> None:
        assert self._sender is not None, "attach comes before run"
        self._sender.book_changed()
        if self._raft is not None:
            self._raft.set_skew(self.view.governance.limits.skew_ms)
        elif not self.view.halted and self.view.node_id in self.view.governance.voters():
            _log.info("promoted", height=self.view.applied_height)
            self.observed.is_open = False
            self._start_raft(self._store.hard_state().commit)

    # --- roles ----------------------------------------------------------------------------------------------

    def _start_raft(self, commit: int) -> None:
        """Begin taking part in ordering; `commit` is known to be committed and is applied."""
        config, view = self._config, self.view
        raft_config = RaftConfig(
            view.node_id,
            election_timeout_ms=config.raft.election_timeout_ms,
            heartbeat_ms=config.raft.heartbeat_ms,
            skew_ms=view.governance.limits.skew_ms,
        )
        self._raft = Raft(
            raft_config,
            self._host,
            RaftStorage(self._store, self._host),
            hard_state=raft_hard_state(self._store.hard_state(), commit),
            applied=view.applied_height,
            voters=view.governance.voters(),
            rng=random.SystemRandom(),
            now_ms=_now_ms(),
            wall_ms=_wall_ms(),
        )
        self._synced = 0
        view.follow_raft(self._raft)
        self._wake.set()

    def _role_changed(self) -> None:
        raft = self._raft
        assert raft is not None, "roles are consensus'"
        r = raft.replica
        _log.info("role", role=r.role.name.lower(), leader=r.leader or "", term=r.term)
        self.view.role_changed()
        if r.role is not RaftRole.LEADER:
            self.ordering.lost(r.leader)

    def _went_halted(self) -> None:
        """This node is halted from now on: nothing that was held back may leave."""
        self._raft = None
        self._held.clear()
        self.ordering.lost(None)
        self._wake.set()

    # --- stopping -------------------------------------------------------------------------------------------

    def unreachable(self, node_id: str) -> None:
        """A data stream to a peer has ended: feel the way before streaming again."""
        if self._raft is not None:
            self._raft.unreachable(node_id)

    async def stand_down(self, wait_s: float) -> None:
        """Stop intake and hand leadership over, for at most `wait_s` seconds. Politeness: a kill must be
        safe.
        """
        self.ordering.desk.close()
        raft = self._raft
        if raft is None or not self._leads():
            return
        deadline = time.monotonic() + wait_s
        while not self.ordering.idle and time.monotonic() < deadline:  # noqa: ASYNC110 - once in a node's life
            await asyncio.sleep(_POLL_S)
        try:
            raft.transfer(None, _now_ms(), _wall_ms())
        except ConsensusError:
            return  # not the leader any more
        self._wake.set()
        while self._hands_over() and time.monotonic() < deadline:  # noqa: ASYNC110 - likewise
            await asyncio.sleep(_POLL_S)

    def transfer(self, target: str) -> str:
        """Begin to hand leadership over, to the best follower if `target` is ""; returns to whom.

        Raises DoorError E_NOT_LEADER, E_TRANSFER_TARGET.
        """
        if self._raft is None or not self._leads():
            raise DoorError("E_NOT_LEADER", "only the leader hands over")
        try:
            chosen = self._raft.transfer(target or None, _now_ms(), _wall_ms())
        except ConsensusError as error:
            raise DoorError("E_TRANSFER_TARGET", str(error)) from error
        if chosen is None:
            raise DoorError("E_TRANSFER_TARGET", "no other voter answers")
        self._wake.set()
        return chosen

    async def stop(self) -> None:
        """End the loop and the disk thread, everything handed to it being written first."""
        self._stopping = True
        self._wake.set()
        self.ordering.stopped()
        if self.writer is not None:
            await self.writer.stop()

    # --- inside ---------------------------------------------------------------------------------------------

    def _hands_over(self) -> bool:
        return self._raft is not None and self._leads() and self._raft.replica.transferee is not None

    def _leads(self) -> bool:
        return self._raft is not None and self._raft.replica.role is RaftRole.LEADER

    def _pause_s(self) -> float:
        """Seconds until something is due without anybody waking the loop."""
        now_ms = _now_ms()
        due_ms = now_ms + _IDLE_MS
        if self._raft is not None:
            due_ms = min(due_ms, self._raft.deadline_ms())
            body_ms = self.ordering.due_ms()
            due_ms = due_ms if body_ms is None else min(due_ms, body_ms)
        return max(0, due_ms - now_ms) / 1000


def _new_era(block: AppliedBlock) -> bool:
    """Whether a governance block changed keys, institutions or policy, and so begins a new era."""
    before, after = block.ruling, block.state
    return (before.institutions, before.nodes, before.quorum) != (
        after.institutions,
        after.nodes,
        after.quorum,
    )


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000
