"""The follower's side of the log: what is taken, what is held back, what is refused, what halts the node.

Paper 5.3 and figure 2, AppendEntries receiver. On top of it:

- an entry is derived here, from the previous hash held here, before anything else is believed about it;
- the log is truncated only where terms differ, only for an entry that passes every check, never at or below the
  commit index: a leader that tries that contradicts this node's state, and the node halts;
- another entry of a height and term already held is refused, never stored, and both are kept as evidence;
- behind a governance entry nothing but a term's first entry is taken until it is applied (membership.py): what
  was not taken is asked for again;
- a body that fails a check is refused with its own answer (height, code), never as a log mismatch.

Refuses: to acknowledge anything before it is durable (the answer waits for the batch), and to let its commit
index fall or run ahead of what it holds.
"""

from __future__ import annotations

from consensus import clock, membership
from consensus.errors import PayloadError
from consensus.log import hint
from consensus.messages import (
    AppendAnswer,
    AppendEntries,
    AppendMismatch,
    Heartbeat,
    HeartbeatAnswer,
    Refusal,
)
from consensus.ready import EvidenceKind, Refused
from consensus.state import Replica
from consensus.types import Entry, EntryKind, Index, Role

#: Refusal codes of this module; they travel to the leader.
E_OTHER_ENTRY = "E_OTHER_ENTRY"
E_TERM_START = "E_TERM_START"


def on_append_entries(r: Replica, message: AppendEntries) -> None:
    """Take what can be taken; answer with what is held, once that is durable."""
    if not _is_from_the_leader(r, message):
        return
    log, prev = r.log, message.prev_index
    if prev > log.last_index:
        if r.held_back is None:  # else this is what came behind, and it will be asked for
            _mismatch(r, message)
        return
    if log.term(prev) != message.prev_term:
        if prev <= r.commit:
            _contradicted(r, message, prev, None)
        else:
            _mismatch(r, message)
        return
    if log.hash(prev) != message.prev_hash:
        _other_entry(r, message, prev, None)
        return
    matched = _take(r, message)
    if r.halted is not None:
        return
    r.commit = max(r.commit, min(message.commit, matched))
    _acknowledge(r, matched, resend=False)


def on_heartbeat(r: Replica, message: Heartbeat) -> None:
    """The leader is alive; what it says is committed here, this node has acknowledged in this term."""
    if not _is_from_the_leader(r, message):
        return
    if message.commit > r.log.last_index:
        r.accuse(EvidenceKind.COMMIT_BEYOND, message, message.commit, None, None)
        return
    r.commit = max(r.commit, message.commit)
    r.outbox.append(
        HeartbeatAnswer(
            sender=r.id, recipient=message.sender, term=r.term, round=message.round, wall_ms=r.wall_ms
        )
    )


def resume(r: Replica) -> None:
    """Ask again for what was held back, once it can be taken (something was applied, or synced)."""
    held = r.held_back
    if held is None or r.role is not Role.FOLLOWER or membership.blocked(r, held + 1) or _disk_is_behind(r):
        return
    r.held_back = None
    _acknowledge(r, held, resend=True)


def _is_from_the_leader(r: Replica, message: AppendEntries | Heartbeat) -> bool:
    """Follow the sender, unless another node leads this term: there is one leader per term."""
    assert message.term == r.term, "older terms are answered and newer ones adopted before this"
    if r.role is Role.LEADER or (r.leader is not None and r.leader != message.sender):
        r.accuse(EvidenceKind.TWO_LEADERS, message, 0, None, None)
        return False
    if r.role is not Role.FOLLOWER or r.leader is None:
        r.become_follower(r.term, message.sender)
    r.contact_ms = r.now_ms
    r.arm_election()
    return True


def _take(r: Replica, message: AppendEntries) -> Index:
    """Append what is new and good. Answers up to where this log now agrees with the leader's."""
    matched, prev_hash = message.prev_index, message.prev_hash
    for offer in message.entries:
        index = matched + 1
        try:
            entry = r.host.entry(prev_hash, index, offer.term, offer.payload)
        except PayloadError as error:
            _refuse(r, message, index, offer.term, error.code)
            break
        assert (entry.index, entry.term) == (index, offer.term), "the host derives what it was given"
        if index <= r.log.last_index:
            if r.log.term(index) == entry.term:
                if r.log.hash(index) != entry.hash:
                    _other_entry(r, message, index, entry)
                    break
                matched, prev_hash = index, entry.hash
                continue
            if index <= r.commit:
                _contradicted(r, message, index, entry)
                break
        previous = r.log.entry(matched)
        starts_term = entry.term != previous.term
        if (membership.blocked(r, index) and not starts_term) or _disk_is_behind(r):
            r.held_back = matched
            break
        code = _objection(r, message, entry, previous, starts_term=starts_term)
        if code is not None:
            _refuse(r, message, index, entry.term, code)
            break
        if index <= r.log.last_index:
            r.truncate(index)
        r.append(entry)
        matched, prev_hash = index, entry.hash
    return matched


def _objection(
    r: Replica, message: AppendEntries, entry: Entry, previous: Entry, *, starts_term: bool
) -> str | None:
    """What speaks against storing `entry` behind `previous`, or None."""
    if starts_term and entry.kind is not EntryKind.EMPTY:
        return E_TERM_START
    own_term = entry.term == message.term
    committed = entry.index <= message.commit
    code = clock.objection(r, entry, previous.stamp_ms, only_fixed_rules=committed or not own_term)
    return code or r.host.check(entry, message.sender if own_term else None)


def _disk_is_behind(r: Replica) -> bool:
    """Whether so much waits for the disk that nothing more is taken."""
    return r.log.bytes_above(r.log.durable) > r.config.unsynced_max_bytes


def _acknowledge(r: Replica, index: Index, *, resend: bool) -> None:
    """Promise, once durable, to hold everything up to `index`. Acknowledgements of one Ready are merged."""
    assert r.leader is not None, "an acknowledgement goes to a leader"
    if r.ack is not None and r.ack.recipient == r.leader:
        resend = resend or r.ack.resend
        index = max(index, r.ack.index)
    r.ack = AppendAnswer(
        sender=r.id, recipient=r.leader, term=r.term, index=index, hash=r.log.hash(index), resend=resend
    )


def _mismatch(r: Replica, message: AppendEntries) -> None:
    """Tell the leader where the logs may agree."""
    place = hint(r.log, message.prev_index, message.prev_term, r.commit)
    r.outbox.append(
        AppendMismatch(
            sender=r.id,
            recipient=message.sender,
            term=r.term,
            rejected=message.prev_index,
            hint_index=place,
            hint_term=r.log.term(place),
            commit=r.commit,
        )
    )


def _refuse(r: Replica, message: AppendEntries, index: Index, term: int, code: str) -> None:
    """Say that the entry at `index` will not be stored, and tell the host."""
    r.outbox.append(Refusal(sender=r.id, recipient=message.sender, term=r.term, index=index, code=code))
    if len(r.refused) < r.config.evidence_max:
        r.refused.append(Refused(message.sender, index, term, code, index <= message.commit))


def _other_entry(r: Replica, message: AppendEntries, index: Index, theirs: Entry | None) -> None:
    """The leader offers, or builds on, another entry of a height and term that this node holds."""
    r.accuse(EvidenceKind.OTHER_ENTRY, message, index, r.log.entry(index), theirs)
    _refuse(r, message, index, r.log.term(index), E_OTHER_ENTRY)


def _contradicted(r: Replica, message: AppendEntries, index: Index, theirs: Entry | None) -> None:
    """The leader's log would overwrite what this node knows to be committed."""
    r.accuse(EvidenceKind.COMMITTED_OVERWRITE, message, index, r.log.entry(index), theirs)
    r.halt(
        f"{message.sender}, leading term {message.term}, would overwrite entry {index}, "
        f"which is committed here (term {r.log.term(index)})"
    )
