"""Bugs planted into the real source, each of which the simulator has to find.

The first eight are the classical ones; the rest are relatives of bugs that other implementations had (the names in
comments), and of rules of our own. `seeds` is the budget within which a bug must be caught.

Not here, because the simulator finds it too rarely: a read that trusts an older round (etcd). The scenario
`read_needs_a_fresh_round` and `test_reads.py` show it exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.simulation.patched import Patch


@dataclass(frozen=True, slots=True)
class Mutant:
    """One planted bug."""

    name: str
    patches: tuple[Patch, ...]
    seeds: int = 500


MUTANTS = (
    Mutant(
        "vote-not-persisted",  # PySyncObj
        (
            Patch(
                "raft",
                "            hard_state=hard_state,\n            truncate_from",
                "            hard_state=hard_state and HardState(hard_state.term, None, hard_state.commit),\n"
                "            truncate_from",
            ),
        ),
    ),
    Mutant(
        "term-not-persisted",
        (
            Patch(
                "raft",
                "            hard_state=hard_state,\n            truncate_from",
                "            hard_state=hard_state and HardState(0, hard_state.vote, hard_state.commit),\n"
                "            truncate_from",
            ),
        ),
    ),
    Mutant(
        "reply-before-sync",  # etcd
        (
            Patch("raft", "messages=tuple(r.appends),", "messages=(*r.appends, *r.outbox),"),
            Patch("raft", "after_sync=tuple(r.outbox),", "after_sync=(),"),
        ),
    ),
    Mutant(
        "no-log-check-in-votes",  # liferaft
        (
            Patch(
                "log",
                "return last_term > own.term or (last_term == own.term and last_index >= own.index)",
                "return own is not None",
            ),
        ),
    ),
    Mutant(
        "old-term-commit-by-counting",  # PySyncObj, LogCabin
        (
            Patch(
                "replication",
                "if index > r.commit and r.log.term(index) == r.term:",
                "if index > r.commit:",
            ),
        ),
    ),
    Mutant(
        "truncation-without-conflict",  # raftos
        (
            Patch(
                "following",
                "    for offer in message.entries:\n        index",
                "    if r.log.last_index > matched >= r.commit:\n        r.truncate(matched + 1)\n"
                "    for offer in message.entries:\n        index",
            ),
        ),
    ),
    Mutant(
        "commit-index-falls",  # PySyncObj
        (
            Patch(
                "following",
                "r.commit = max(r.commit, min(message.commit, matched))",
                "r.commit = min(message.commit, matched)",
            ),
        ),
    ),
    Mutant(
        "own-unsynced-index-counted",
        (Patch("replication", "held[r.id] = r.log.durable", "held[r.id] = r.log.last_index"),),
    ),
)

RELATIVES = (
    Mutant(
        "vote-twice-in-a-term",  # Xraft
        (
            Patch(
                "election",
                "and (r.vote == message.sender or (r.vote is None and r.leader is None))",
                "and r.leader is None",
            ),
        ),
    ),
    Mutant(
        "old-batch-revives-truncated-entries",  # the append race of etcd's script
        (Patch("pipeline", "flight.last = min(flight.last, index - 1)", "pass"),),
    ),
    Mutant(
        "change-before-what-was-inherited",  # the single-server membership bug
        (
            Patch("leading", "if r.applied < r.term_start:", "if r.term_start < 0:"),
            Patch("leading", "if r.applied < r.barrier:", "if r.term_start < 0:"),
        ),
    ),
    Mutant(
        "follower-passes-the-barrier",
        (Patch("following", "if (membership.blocked(r, index) and not starts_term) or", "if"),),
    ),
    Mutant(
        "campaign-with-unapplied-change", (Patch("election", " and not membership.change_unapplied(r)", ""),)
    ),
    Mutant(
        "match-index-falls",  # PySyncObj, raftos
        (Patch("progress", "news = index > self.match", "news = index != self.match"),),
    ),
    Mutant(
        "applied-before-own-sync",
        (Patch("raft", "top = min(r.commit, r.log.durable)", "top = r.commit"),),
    ),
)
