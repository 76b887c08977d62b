"""Handing leadership over (dissertation 3.10): on shutdown, by an operator, or because the own clock is off.

The leader takes no proposals meanwhile, brings the target up to date, then tells it to campaign at once. If that
has led to nothing after one election timeout, the leader goes on as before.

Refuses: a target that is no voter, and stepping down before the target is known to hold the whole log.
"""

from __future__ import annotations

from consensus.errors import MembershipError, NotLeaderError
from consensus.messages import TimeoutNow
from consensus.state import Replica
from consensus.types import NodeId, Role


def begin(r: Replica, target: NodeId | None) -> NodeId | None:
    """Start handing over to `target`, or to the follower that is furthest ahead; answers which, None if nobody is.

    Raises NotLeaderError, or MembershipError when `target` is no other voter.
    """
    if r.role is not Role.LEADER:
        raise NotLeaderError(r.leader)
    if target is None:
        heard = [(p.match, peer) for peer, p in r.progress.items() if p.match]
        if not heard:
            return None
        target = max(heard)[1]
    elif target not in r.progress:
        raise MembershipError(f"{target} is no other voter")
    if r.transferee != target:
        r.transferee = target
        r.transfer_until_ms = r.now_ms + r.config.election_timeout_ms
        r.timeout_sent = False
    proceed(r)
    return target


def proceed(r: Replica) -> None:
    """Tell the target to campaign, once it holds the whole log."""
    if r.transferee is None or r.timeout_sent:
        return
    if r.progress[r.transferee].match == r.log.last_index:
        r.timeout_sent = True
        r.outbox.append(TimeoutNow(sender=r.id, recipient=r.transferee, term=r.term))


def expire(r: Replica) -> None:
    """Give up when it has taken too long."""
    if r.transferee is not None and r.now_ms >= r.transfer_until_ms:
        r.transferee = None
