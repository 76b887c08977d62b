"""What a leader does with what is handed in: admit envelopes, build bodies, order proposals, answer all of
them.

Why apart from the loop: the loop's order of writing and speaking is one story, and what a leader chooses to
propose is another. Here the desk, the intake and the proposals come together; consensus is only asked to take
a payload.

Rules kept here
- A node that does not lead answers with who does, one that leads and is not ready yet, with "slow down".
- Every ticket is answered: by its block, by a refusal, or when leadership is lost.
- What consensus does not take now is tried again at a later turn; `blocked` keeps the loop from spinning
  meanwhile.

Refuses: queueing for a leader elsewhere. The gateway has the addresses of all nodes.
"""

from consensus import ConsensusError, Raft, RefusedError, Role
from ledger.chain import AppliedBlock
from node import telemetry
from node.config import NodeConfig
from node.core_view import CoreView
from node.desk import Desk
from node.effects import NotLeader, Outcome, OutcomeUnknown, SlowDown
from node.intake import Intake, Positions
from node.proposals import Proposals

_ADMIT_MAX_BYTES = 2 * 1024 * 1024  # envelopes looked at per turn
_NOT_READY_MS = 20
_DISK_LOW_MS = 5_000

_log = telemetry.get("ordering")


class Ordering:
    """Owned by the loop's thread."""

    def __init__(self, config: NodeConfig, view: CoreView, positions: Positions) -> None:
        """`positions` tells which leaves are on the chain, and where."""
        self.desk = Desk(config.limits.tickets_max, config.blocks.slow_down_ms)
        self.proposals = Proposals()
        self.blocked = False  # a body is due and consensus does not take it now
        self.disk_is_low = False  # so little space is free that nothing more is taken in; told by `service`
        self._intake = Intake(config.blocks, positions)
        self._view = view

    def admit(self, raft: Raft, now_ms: int) -> None:
        """Look at envelopes that were handed in."""
        r = raft.replica
        for handed in self.desk.take(_ADMIT_MAX_BYTES):
            outcome: Outcome | None
            if r.role is not Role.LEADER:
                outcome = NotLeader(r.leader or "")
            elif not 0 < r.term_start <= r.applied or r.transferee is not None:
                outcome = SlowDown(_NOT_READY_MS)
            elif self.disk_is_low:
                outcome = SlowDown(_DISK_LOW_MS)
            else:
                outcome = self._intake.take(
                    handed.ticket,
                    handed.raw,
                    allowed=handed.allowed,
                    state=self._view.governance,
                    height=self._view.applied_height + 1,
                    now_ms=now_ms,
                )
            if outcome is not None:
                self._view.stats().count(outcome)
                self.desk.answer_one(handed.ticket, outcome)

    def turn_away(self) -> None:
        """Answer for a node that orders nothing: an observer, or a halted one."""
        for handed in self.desk.take(_ADMIT_MAX_BYTES):
            self.desk.answer_one(handed.ticket, NotLeader(""))

    def propose(self, raft: Raft, now_ms: int, wall_ms: int) -> bool:
        """Propose the next body, or a proposal; whether consensus took anything."""
        self.blocked = False
        if self.proposals.waiting:
            return self.proposals.order(raft, self._view, now_ms, wall_ms)
        return self._intake.wants_body(now_ms) and self._build(raft, now_ms, wall_ms)

    def _build(self, raft: Raft, now_ms: int, wall_ms: int) -> bool:
        state, height = self._view.governance, raft.replica.log.last_index + 1
        stamp_ms = raft.next_stamp(wall_ms)
        payload, count = self._intake.build(self._view.node_id, stamp_ms, state.limits)
        try:
            raft.propose([payload], now_ms, wall_ms)
        except RefusedError as error:
            # Admitted under another governance state, or the stamp fell between two clocks.
            answers = self._intake.recheck(count, state=state, height=height)
            self.desk.answer(answers)
            _log.warning("body_refused", code=error.code, envelopes=len(answers))
            self.blocked = not answers
            return bool(answers)
        except ConsensusError:
            self.blocked = True
            return False
        self._intake.proposed(height, count)
        return True

    def applied(self, block: AppliedBlock) -> None:
        """A block was applied: answer whoever waits for it."""
        answers = self._intake.applied(block)
        self.desk.answer(answers)
        for answer in answers:
            self._view.stats().count(answer.outcome)
        self.proposals.applied(block)

    def lost(self, leader: str | None) -> None:
        """This node does not lead (any more)."""
        self.desk.answer(self._intake.lost(NotLeader(leader or "")))
        self.proposals.lost(leader)

    def stopped(self) -> None:
        """The loop has ended: nothing stays without an answer."""
        self.desk.close()
        self.desk.answer(self._intake.lost(OutcomeUnknown()))
        self.proposals.lost(None)

    def due_ms(self) -> int | None:
        """When the next body is due by waiting alone."""
        return None if self.blocked else self._intake.due_ms()

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is in flight."""
        return not self._intake.waiting_records and not self._intake.in_flight

    def gauge(self) -> None:
        """Write the present fill into the statistics."""
        stats = self._view.stats()
        stats.queue_records, stats.in_flight_blocks = self._intake.waiting_records, self._intake.in_flight
