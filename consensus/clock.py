"""Wall time: the one thing a voter may hold against an entry that is not a fixed rule.

Timestamps of entries never fall (a fixed rule). Above, there is a bound: an uncommitted entry of the sender's own
term is refused when it is stamped later than the previous entry and later than this node's wall clock plus a
skew. Nothing is ever refused for being early, and nothing that is committed is refused by a clock, so time
cannot stop the chain: when the previous entry is stamped far ahead, the next one repeats its stamp.

A leader knows its voters' clocks from their votes and heartbeat answers. If so many of them would refuse its next
stamp that no quorum remains, it appends nothing (its term's first entry included), hands over to the
up-to-date voter with the lowest clock, and steps down after one election timeout. It is strict with itself, because
what it appends outlives its term: in a later term nobody's clock refuses it any more.

Refuses: adjusting clocks, averaging them, and any lower bound.
"""

from __future__ import annotations

from consensus import quorum
from consensus.state import Replica
from consensus.types import Entry, NodeId, Role

#: Refusal codes of this module; they travel to the leader.
E_STAMP_BEHIND = "E_STAMP_BEHIND"
E_STAMP_AHEAD = "E_STAMP_AHEAD"


def next_stamp(r: Replica, wall_ms: int) -> int:
    """The stamp of the next entry if it is made at `wall_ms`: never before the previous entry's."""
    return max(r.log.last.stamp_ms, wall_ms)


def objection(r: Replica, entry: Entry, previous_stamp_ms: int, *, only_fixed_rules: bool) -> str | None:
    """What this node has against the stamp of `entry`, or None."""
    if entry.stamp_ms < previous_stamp_ms:
        return E_STAMP_BEHIND
    if not only_fixed_rules and entry.stamp_ms > max(previous_stamp_ms, r.wall_ms + r.skew_ms):
        return E_STAMP_AHEAD
    return None


def heard(r: Replica, peer: NodeId, wall_ms: int) -> None:
    """A peer told its wall clock."""
    r.clocks[peer] = (wall_ms, r.now_ms)


def estimates(r: Replica) -> dict[NodeId, int]:
    """What the other voters' wall clocks show now, never later than they really do.

    Only of voters that told theirs within the last election timeout: a dead voter's clock accepts nothing, and
    counting on it would keep a leader in office whose entries the living ones refuse.
    """
    oldest = r.now_ms - r.config.election_timeout_ms
    return {
        peer: r.clocks[peer][0] + r.now_ms - r.clocks[peer][1]
        for peer in r.voters
        if peer != r.id and peer in r.clocks and r.clocks[peer][1] >= oldest
    }


def quorum_would_accept(r: Replica) -> bool:
    """Whether a quorum of voters is known that would take the next stamp (this node does; who is silent does not count).

    A new leader knows the clocks of the quorum that voted for it, so the question never waits for an answer.
    """
    previous = r.log.last.stamp_ms
    stamp = next_stamp(r, r.wall_ms)
    if stamp == previous:
        return True
    against = len(r.voters) - 1 - sum(1 for clock in estimates(r).values() if stamp <= clock + r.skew_ms)
    return quorum.survives(r.voters, against)


def in_doubt(r: Replica) -> bool:
    """Leader: judge again, and remember since when the answer is bad."""
    if quorum_would_accept(r):
        r.doubt_since_ms = None
        return False
    if r.doubt_since_ms is None:
        r.doubt_since_ms = r.now_ms
    return True


def doubt_is_old(r: Replica) -> bool:
    """Whether the doubt has lasted one election timeout: time to step down."""
    return (
        r.role is Role.LEADER
        and r.doubt_since_ms is not None
        and r.now_ms - r.doubt_since_ms >= r.config.election_timeout_ms
    )


def lowest(r: Replica) -> NodeId | None:
    """The up-to-date voter with the lowest clock, among those that told it."""
    clocks = estimates(r)
    ready = [
        (clocks[peer], peer)
        for peer, p in r.progress.items()
        if peer in clocks and p.match == r.log.last_index
    ]
    return min(ready)[1] if ready else None
