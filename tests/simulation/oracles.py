"""What must be true of the whole cluster, asked of the node that an event touched.

Numbers are those of the project's list of invariants. A finding raises `ViolationError` at the event that caused it.

I1 one leader per term. I2 one entry per (index, term), and with running hashes so one history below it. I3 a new leader
holds everything committed in earlier terms. I4 the same entry is applied at every index, in order, everywhere.
I5 term, commit and applied never fall, stored ones also across restarts. I6 what is committed is durable on a majority
of disks, and no disk ever drops it. I10 a promise leaves after the write it rests on, and what is applied is in the
node's own store. I12 only voters lead. I13 windows keep their limits (consensus/invariants.py). I14 after the
faults stop, the cluster makes progress (world.py). Besides: reads are never stale; whoever stores a change of
voters has stored that the change before it is committed; honest nodes accuse nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.simulation.node import SimNode

ROOT_TERM = 0


class ViolationError(AssertionError):
    """An invariant does not hold; the text names it first."""


def demand(condition: bool, number: str, text: str) -> None:
    """Raise ViolationError unless `condition`."""
    if not condition:
        raise ViolationError(f"{number}: {text}")


class Oracles:
    """The cluster's history as an outsider who sees everything would write it."""

    def __init__(self, core: Any, root: Any) -> None:
        self._core = core
        m = core.messages
        self._checks = {
            m.RequestVote: self._released_request,
            m.VoteAnswer: self._released_vote,
            m.AppendAnswer: self._released_ack,
        }
        self.leaders: dict[int, str] = {}
        self.history: dict[tuple[int, int], bytes] = {}
        self.committed: list[bytes] = [root.hash]
        self.committed_in: list[int] = [ROOT_TERM]  # term of the leader that committed it
        self.changes: list[tuple[int, list[str]]] = []  # committed changes of voters
        self.applied_max = 0

    # --- when something is stored -------------------------------------------------------------------------------

    def before_write(self, node: SimNode, ready: Any) -> None:
        """A batch reaches a disk: it may not drop what is committed, nor lower what must not fall."""
        cut = ready.truncate_from
        if cut is not None and cut < len(self.committed) and cut <= node.disk.last_index():
            demand(
                node.disk.hash(cut) != self.committed[cut],
                "I6",
                f"{node.id} drops the committed entry {cut} from its disk",
            )
        if ready.hard_state is not None:
            old, new = node.disk.hard_state, ready.hard_state
            demand(new.term >= old.term, "I5", f"{node.id}: stored term falls {old.term} -> {new.term}")
            demand(
                new.commit >= old.commit, "I5", f"{node.id}: stored commit falls {old.commit} -> {new.commit}"
            )
            same = new.term == old.term and old.vote is not None
            demand(
                not same or new.vote == old.vote, "I1", f"{node.id}: stored vote changes in term {new.term}"
            )

    def after_write(self, node: SimNode, ready: Any) -> None:
        """A batch is on a disk: one entry per (index, term), and what a stored change says of the one before."""
        for entry in ready.entries:
            known = self.history.setdefault((entry.index, entry.term), entry.hash)
            demand(
                known == entry.hash,
                "I2",
                f"{node.id} stores another entry {entry.index} of term {entry.term}",
            )
            if entry.kind is self._core.EntryKind.GOVERNANCE:
                before = [i for i in node.stored_changes if i < entry.index]
                node.stored_changes = [*before, entry.index]
                commit = node.disk.hard_state.commit
                demand(
                    not before or before[-1] <= commit,
                    "I3",
                    f"{node.id} stores change {entry.index}, but not that change {before[-1:]} is committed",
                )

    # --- when something leaves ----------------------------------------------------------------------------------

    def released(self, node: SimNode, message: Any) -> None:
        """I10: a message that had to wait leaves; its promise must be on the disk as the disk is now."""
        stored = node.disk.hard_state
        demand(
            stored.term >= message.term or isinstance(message, self._core.messages.RequestPreVote),
            "I10",
            f"{node.id} speaks in term {message.term}, its disk knows term {stored.term}",
        )
        check = self._checks.get(type(message))
        if check is not None:
            check(node, message, stored)

    def _released_request(self, node: SimNode, message: Any, stored: Any) -> None:
        own = stored.term > message.term or stored.vote == node.id
        demand(own, "I10", f"{node.id} asks for votes in term {message.term} without its own vote on disk")

    def _released_vote(self, node: SimNode, message: Any, stored: Any) -> None:
        kept = not message.granted or stored.term > message.term or stored.vote == message.recipient
        demand(kept, "I10", f"{node.id} votes for {message.recipient}, its disk says {stored.vote}")

    def _released_ack(self, node: SimNode, message: Any, stored: Any) -> None:
        held = stored.term > message.term or (
            message.index <= node.disk.last_index() and node.disk.hash(message.index) == message.hash
        )
        demand(held, "I10", f"{node.id} acknowledges entry {message.index}, which is not on its disk")

    # --- when a role or an index moves ---------------------------------------------------------------------------

    def leads(self, node: SimNode) -> None:
        """A node became leader."""
        r = node.raft.replica
        first = self.leaders.setdefault(r.term, node.id)
        demand(first == node.id, "I1", f"{first} and {node.id} both lead term {r.term}")
        demand(node.id in r.voters, "I12", f"{node.id} leads without being a voter")
        top = len(self.committed) - 1
        while self.committed_in[top] >= r.term and top:
            top -= 1
        demand(
            top <= r.log.last_index and r.log.hash(top) == self.committed[top],
            "I3",
            f"{node.id} leads term {r.term} without the committed entry {top}",
        )

    def commits(self, node: SimNode, before: int, disks: dict[str, SimNode]) -> None:
        """A node's commit index rose from `before`."""
        r = node.raft.replica
        log, top = r.log, r.commit
        known = len(self.committed) - 1
        for index in range(before + 1, min(top, known) + 1):
            demand(log.hash(index) == self.committed[index], "I4", f"{node.id} commits another entry {index}")
        if top <= known:
            return
        demand(
            log.term(top) == r.term,
            "I3",
            f"{node.id} commits entry {top} of term {log.term(top)} in term {r.term}",
        )
        digest = log.hash(top)
        holders = sum(
            1 for v in r.voters if disks[v].disk.last_index() >= top and disks[v].disk.hash(top) == digest
        )
        demand(
            2 * holders > len(r.voters),
            "I6",
            f"{node.id} commits entry {top}, which is on {holders} of {len(r.voters)} disks",
        )
        for index in range(known + 1, top + 1):
            self.committed.append(log.hash(index))
            self.committed_in.append(r.term)
        demand(
            log.hash(known) == self.committed[known], "I4", f"{node.id} commits behind another entry {known}"
        )

    def applies(self, node: SimNode, entry: Any) -> None:
        """A node applies an entry."""
        index = entry.index
        demand(index == node.applied + 1, "I4", f"{node.id} applies {index} after {node.applied}")
        demand(index < len(self.committed), "I4", f"{node.id} applies entry {index} that nobody committed")
        demand(entry.hash == self.committed[index], "I4", f"{node.id} applies another entry {index}")
        stored = index <= node.disk.last_index() and node.disk.hash(index) == entry.hash
        demand(stored, "I10", f"{node.id} applies entry {index}, which is not in its own store")
        self.applied_max = max(self.applied_max, index)

    def reads(self, node: SimNode, floor: int, index: int) -> None:
        """A read is answered with `index`; when it was asked, `floor` had been applied somewhere."""
        demand(
            index >= floor, "read", f"{node.id} answers a read with {index}, {floor} was applied before it"
        )

    def complaints(self, node: SimNode, ready: Any) -> None:
        """In a cluster of honest nodes nobody is accused, nobody halts, only clocks are refused."""
        demand(ready.halted is None, "halt", f"{node.id} halts: {ready.halted}")
        demand(not ready.evidence, "evidence", f"{node.id} accuses: {ready.evidence}")
        for refused in ready.refused:
            demand(refused.code == "E_STAMP_AHEAD", "refusal", f"{node.id} refuses: {refused}")
