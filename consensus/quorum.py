"""Vote and commit arithmetic over one set of voters: the only place that knows what a majority is.

Paper 5.2 (votes), 5.3 and figure 2 "Leaders" (commit). Any two majorities of the same set share a member, and so
do majorities of two sets that differ by one member; everything else in this room rests on these two facts.

Refuses: an empty set of voters (a majority of nobody would agree to anything), and joint sets (membership
changes one member at a time, so there is never more than one set).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum

from consensus.types import Index, NodeId


class VoteResult(IntEnum):
    """How an election stands."""

    PENDING = 0
    WON = 1
    LOST = 2


def majority(count: int) -> int:
    """Smallest number of `count` voters such that two such groups always meet."""
    assert count > 0, "no voters"
    return count // 2 + 1


def committed(voters: Sequence[NodeId], match: Mapping[NodeId, Index]) -> Index:
    """The highest index that a majority of `voters` holds; a voter missing from `match` holds nothing."""
    count = len(voters)
    if count == 1:
        return match.get(voters[0], 0)
    held = sorted([match.get(voter, 0) for voter in voters])
    return held[count - majority(count)]


def vote_result(voters: Sequence[NodeId], votes: Mapping[NodeId, bool]) -> VoteResult:
    """Judge an election: `votes` holds the answers so far; answers of others than `voters` do not count."""
    yes = no = 0
    for voter in voters:
        vote = votes.get(voter)
        if vote is True:
            yes += 1
        elif vote is False:
            no += 1
    needed = majority(len(voters))
    if yes >= needed:
        return VoteResult.WON
    if len(voters) - no < needed:
        return VoteResult.LOST
    return VoteResult.PENDING


def survives(voters: Sequence[NodeId], against: int) -> bool:
    """Whether a majority remains when `against` of the voters say no."""
    return len(voters) - against >= majority(len(voters))
