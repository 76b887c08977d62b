"""Becoming and being the leader: the term's first entry, proposals, and the reasons to step down.

Paper 5.2 and 8 (the empty entry at the start of a term, without which a leader does not know what is committed);
dissertation 6.2 (check-quorum). A leader steps down when it hears no majority, when its own disk has not synced a
batch for one election timeout (it could not reply to anybody anyway), when its clock is too far ahead for one
election timeout, or when it is refused out of a quorum.

Refuses: proposals before the own term's first entry is applied (until then what was inherited is not complete),
behind a governance entry that is not applied, during a hand-over, beyond the window, with the clock in doubt.
Nothing is queued: a proposal is in the log, or its caller has an error.
"""

from __future__ import annotations

from collections.abc import Sequence

from consensus import clock, transfer
from consensus.errors import (
    BarrierError,
    BusyError,
    ClockAheadError,
    HaltedError,
    NotLeaderError,
    NotReadyError,
    PayloadError,
    RefusedError,
    TransferringError,
)
from consensus.progress import Progress
from consensus.replication import broadcast_heartbeat, quorum_is_active
from consensus.state import Replica
from consensus.types import Entry, EntryKind, Role


def become_leader(r: Replica) -> None:
    """The election is won. Followers are felt out at once; the first entry goes with it unless the clock is off."""
    assert r.role is Role.CANDIDATE, "only a candidate becomes leader"
    assert r.pipeline.durable.term == r.term, "a leader's term is durable before anybody voted for it"
    assert r.pipeline.durable.vote == r.id, "a leader's own vote is durable"
    clocks = r.clocks
    r.leave_roles()
    r.clocks = clocks  # what the votes told
    r.role = Role.LEADER
    r.leader = r.id
    r.progress = {peer: Progress(r.log.last_index + 1) for peer in r.voters if peer != r.id}
    r.heartbeat_at_ms = r.now_ms
    r.quorum_at_ms = r.now_ms + r.config.election_timeout_ms
    append_due(r)


def append_due(r: Replica) -> None:
    """Append the empty entries that are due (term start, new era), unless the clock is in doubt."""
    if clock.in_doubt(r):
        return
    if not r.term_start:
        r.term_start = _append_empty(r, new_term=True).index
        r.era_due = False  # a term's first entry behind the change is the new era's first too
    elif r.era_due:
        r.era_due = False
        _append_empty(r, new_term=False)


def _append_empty(r: Replica, *, new_term: bool) -> Entry:
    """Append an empty entry. That the host refuses what it built itself would be our own bug."""
    payload = r.host.empty(clock.next_stamp(r, r.wall_ms), new_term=new_term)
    entry = derive(r, payload, r.log.last)
    assert entry.kind is EntryKind.EMPTY, "the host builds empty entries of kind EMPTY"
    r.append(entry)
    return entry


def derive(r: Replica, payload: bytes, previous: Entry) -> Entry:
    """Make the entry that follows `previous`, checked like a follower checks it; raises RefusedError."""
    try:
        entry = r.host.entry(previous.hash, previous.index + 1, r.term, payload)
    except PayloadError as error:
        raise RefusedError(error.code) from error
    code = clock.objection(r, entry, previous.stamp_ms, only_fixed_rules=False) or r.host.check(entry, r.id)
    if code is not None:
        raise RefusedError(code)
    return entry


def propose(r: Replica, payloads: Sequence[bytes], kind: EntryKind) -> tuple[Entry, ...]:
    """Append `payloads` in order, all or none; raises a ProposalError (see errors.py) and then changed nothing."""
    _require_open(r)
    entries: list[Entry] = []
    previous = r.log.last
    cost = 0
    for payload in payloads:
        previous = derive(r, payload, previous)
        if previous.kind is not kind:
            raise RefusedError("E_ENTRY_KIND")
        cost += previous.cost()
        entries.append(previous)
    _require_room(r, len(entries), cost)
    for entry in entries:
        r.append(entry)
    return tuple(entries)


def _require_open(r: Replica) -> None:
    """Raise what stands in the way of any proposal."""
    if r.halted is not None:
        raise HaltedError(r.halted)
    if r.role is not Role.LEADER:
        raise NotLeaderError(r.leader)
    if r.transferee is not None:
        raise TransferringError(f"handing over to {r.transferee}")
    append_due(r)
    if r.doubt_since_ms is not None:
        raise ClockAheadError("this node's clock is too far ahead of the voters'")
    if r.applied < r.term_start:
        raise NotReadyError("the first entry of this term is not applied yet")
    if r.applied < r.barrier:
        raise BarrierError(f"governance entry {r.barrier} is not applied yet")


def _require_room(r: Replica, count: int, cost: int) -> None:
    """Raise BusyError when the window of uncommitted entries is full; one entry always fits into an empty one."""
    waiting = r.log.last_index - r.commit
    if waiting and (
        waiting + count > r.config.uncommitted_max_entries
        or r.log.bytes_above(r.commit) + cost > r.config.uncommitted_max_bytes
    ):
        raise BusyError(f"{waiting} entries wait for their commit")


def tick(r: Replica) -> None:
    """Time passes for a leader."""
    transfer.expire(r)
    if r.now_ms >= r.quorum_at_ms:
        r.quorum_at_ms = r.now_ms + r.config.election_timeout_ms
        if not quorum_is_active(r) or _disk_stalls(r):
            r.become_follower(r.term, None)
            return
    append_due(r)
    if clock.doubt_is_old(r):
        r.become_follower(r.term, None)
        r.arm_election(extra_ms=r.config.election_timeout_ms)  # the others go first
        return
    if r.doubt_since_ms is not None and r.transferee is None:
        target = clock.lowest(r)
        if target is not None:
            transfer.begin(r, target)
    if r.now_ms >= r.heartbeat_at_ms:
        broadcast_heartbeat(r)


def _disk_stalls(r: Replica) -> bool:
    """Whether a batch has waited for its sync for one election timeout."""
    oldest = r.pipeline.oldest_ms()
    return oldest is not None and r.now_ms - oldest >= r.config.election_timeout_ms
