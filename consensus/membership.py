"""Who votes, when a change takes effect, and what a change holds up.

A change is a governance entry. It takes effect when it is applied, not when it is appended (unlike dissertation
4.1, like etcd). That is safe because of four rules, all kept here or next door:

1. one member at a time, so the majorities of neighbouring sets meet;
2. a leader appends a change only after it has applied all that it inherited and its own term has committed, and
   nothing but a term's first entry is appended behind a change that is not applied: so at most one is open;
3. a follower takes nothing behind a change (again but a term's first entry) before it has applied it, and every
   batch carries the commit index known then: so whoever durably holds a change durably knows that the one
   before it is committed;
4. a node with a committed change that it has not applied does not campaign.

Why they suffice: a candidate that still counts by set k-2 while set k is in force would need a majority of k-2; it
meets the majority that stored change k-1, so the candidate holds it, and then the one that stored change k,
so it holds that too; by 3 it knows that k-1 is committed, and by 4 it does not campaign.

Refuses: joint sets, non-voting members (observers live outside Raft), and deciding whether a change is wise.
"""

from __future__ import annotations

from collections.abc import Iterable

from consensus.errors import MembershipError
from consensus.progress import Progress
from consensus.replication import advance_commit, pump
from consensus.state import Replica, require_voters
from consensus.types import Index, NodeId, Role


def next_voters(old: Iterable[NodeId], new: Iterable[NodeId]) -> tuple[NodeId, ...]:
    """The new set, in order; raises MembershipError when it is empty or more than one member away from `old`."""
    before, after = set(old), require_voters(new)
    if len(before.symmetric_difference(after)) > 1:
        raise MembershipError(f"from {sorted(before)} to {list(after)} is more than one step")
    return after


def blocked(r: Replica, index: Index) -> bool:
    """Whether an entry at `index` stands behind a governance entry that is not applied here."""
    behind = r.barrier if index > r.barrier else r.floor
    return r.applied < max(behind, r.floor)


def change_unapplied(r: Replica) -> bool:
    """Whether a change is committed, as far as this node knows, and not applied here (rule 4).

    What was committed before the start counts as a whole: which of it were changes is known once it is applied.
    """
    return r.applied < r.floor or r.applied < r.barrier <= r.commit


def take_effect(r: Replica, voters: Iterable[NodeId]) -> None:
    """The host has applied a change: from here on these are the voters.

    A leader that is no longer among them tells the others what is committed, then steps down (dissertation 4.2.2).
    """
    after = next_voters(r.voters, voters)
    if after == r.voters:
        return
    if r.role is Role.LEADER and r.id not in after:
        pump(r)
        r.voters = after
        r.become_follower(r.term, None)
        return
    r.voters = after
    if r.role is not Role.LEADER:
        return
    known = r.progress
    r.progress = {peer: known.get(peer) or Progress(r.log.last_index + 1) for peer in after if peer != r.id}
    if r.transferee is not None and r.transferee not in after:
        r.transferee = None
    advance_commit(r)
