"""Elections: paper 5.2 and 5.4.1, with pre-vote (dissertation 9.6) and loyalty to a living leader (4.2.3).

Always all three together, on every node: pre-vote (a campaign that raises no term until a majority would follow),
check-quorum (a leader that hears no majority steps down, leading.py), and ignoring campaigns while a leader is
alive. Mixed settings have locked clusters for ever. A node with a lower term still learns the higher one from
the answer to its pre-vote.

A vote is given once per term, to a log at least as up to date, and leaves after it is durable. The candidate's own
vote counts when it is durable too. Pre-votes count only for the term that was asked about.

Refuses: to campaign without being a voter, or with a committed change that is not applied here (membership.py).
"""

from __future__ import annotations

from consensus import clock, membership, quorum
from consensus.leading import become_leader
from consensus.messages import (
    PreVoteAnswer,
    RequestPreVote,
    RequestVote,
    TimeoutNow,
    VoteAnswer,
)
from consensus.quorum import VoteResult
from consensus.state import Replica
from consensus.types import Role


def is_led(r: Replica) -> bool:
    """Whether a leader is alive as far as this node knows: campaigns of others are then ignored."""
    if r.role is Role.LEADER:
        return True
    if r.leader is None or r.contact_ms is None:
        return False
    return r.now_ms - r.contact_ms < r.config.election_timeout_ms


def may_campaign(r: Replica) -> bool:
    """Whether this node may ask for votes at all."""
    return r.role is not Role.LEADER and r.can_lead() and not membership.change_unapplied(r)


def tick(r: Replica) -> None:
    """Time passes for a node that does not lead."""
    if r.now_ms >= r.election_at_ms:
        r.arm_election()
        if may_campaign(r):
            pre_campaign(r)


def pre_campaign(r: Replica) -> None:
    """Ask whether a majority would vote for this node in the next term."""
    r.leave_roles()
    r.role = Role.PRE_CANDIDATE
    r.leader = None
    for peer in r.voters:
        if peer != r.id:
            r.outbox.append(
                RequestPreVote(
                    sender=r.id,
                    recipient=peer,
                    term=r.term + 1,
                    last_index=r.log.last_index,
                    last_term=r.log.last.term,
                    last_hash=r.log.last.hash,
                )
            )
    r.votes[r.id] = True
    _count_pre_votes(r)


def campaign(r: Replica, *, transfer: bool = False) -> None:
    """Ask for votes in a new term. The requests leave, and the own vote counts, once term and vote are durable."""
    r.become_follower(r.term + 1, None)
    r.role = Role.CANDIDATE
    r.vote = r.id
    r.arm_election()
    for peer in r.voters:
        if peer != r.id:
            r.outbox.append(
                RequestVote(
                    sender=r.id,
                    recipient=peer,
                    term=r.term,
                    last_index=r.log.last_index,
                    last_term=r.log.last.term,
                    last_hash=r.log.last.hash,
                    transfer=transfer,
                )
            )


def own_vote_durable(r: Replica) -> None:
    """A batch was synced: a candidate whose term and vote are on disk now counts its own vote."""
    durable = r.pipeline.durable
    if r.role is Role.CANDIDATE and durable.term == r.term and durable.vote == r.id and r.id not in r.votes:
        r.votes[r.id] = True
        _count_votes(r)


def on_request_pre_vote(r: Replica, message: RequestPreVote) -> None:
    """Would this node vote so? Nothing changes here; a campaign of an old term is told the newer one."""
    if message.term > r.term and is_led(r):
        return
    granted = message.term > r.term and r.log.is_up_to_date(message.last_term, message.last_index)
    r.outbox.append(
        PreVoteAnswer(
            sender=r.id,
            recipient=message.sender,
            term=r.term,
            asked=message.term,
            granted=granted,
            wall_ms=r.wall_ms,
        )
    )


def on_pre_vote_answer(r: Replica, message: PreVoteAnswer) -> None:
    """Count it, if it answers the present question; learn a higher term from a refusal."""
    if message.term > r.term:
        r.become_follower(message.term, None)
    elif r.role is Role.PRE_CANDIDATE and message.asked == r.term + 1:
        r.votes[message.sender] = message.granted
        _count_pre_votes(r)


def on_request_vote(r: Replica, message: RequestVote) -> None:
    """Paper figure 2, RequestVote, after the question whether a leader is alive."""
    if message.term > r.term:
        if is_led(r) and not message.transfer:
            return
        r.become_follower(message.term, None)
    granted = (
        message.term == r.term
        and (r.vote == message.sender or (r.vote is None and r.leader is None))
        and r.log.is_up_to_date(message.last_term, message.last_index)
    )
    if granted:
        r.vote = message.sender
        r.arm_election()
    r.outbox.append(
        VoteAnswer(
            sender=r.id,
            recipient=message.sender,
            term=r.term,
            granted=granted,
            last_index=message.last_index,
            last_hash=message.last_hash,
            wall_ms=r.wall_ms,
        )
    )


def on_vote_answer(r: Replica, message: VoteAnswer) -> None:
    """Count a vote of this term; every answer also tells a clock."""
    if message.term != r.term or r.role not in (Role.CANDIDATE, Role.LEADER):
        return
    clock.heard(r, message.sender, message.wall_ms)
    if r.role is Role.CANDIDATE:
        r.votes[message.sender] = message.granted
        _count_votes(r)


def on_timeout_now(r: Replica, message: TimeoutNow) -> None:
    """The leader hands over to this node: campaign at once, without pre-vote and over others' loyalty."""
    if message.term == r.term and r.leader == message.sender and may_campaign(r):
        campaign(r, transfer=True)


def _count_pre_votes(r: Replica) -> None:
    """Campaign when a majority would follow; give up when it cannot any more."""
    result = quorum.vote_result(r.voters, r.votes)
    if result is VoteResult.WON:
        campaign(r)
    elif result is VoteResult.LOST:
        r.become_follower(r.term, None)


def _count_votes(r: Replica) -> None:
    """Lead when a majority voted for this node; give up when it cannot any more."""
    result = quorum.vote_result(r.voters, r.votes)
    if result is VoteResult.WON:
        become_leader(r)
    elif result is VoteResult.LOST:
        r.become_follower(r.term, None)
