"""The leader's side of the log: sending entries, judging answers, committing.

Paper 5.3 (replication, back-off), 5.4.2 (only entries of the leader's own term are committed by counting; older
ones are committed with them). The leader counts itself only as far as its own disk has synced; its AppendEntries
may leave before that (dissertation 10.2.1), because followers' acknowledgements rest on their own disks.

An acknowledgement counts only with the hash the leader holds at that place. A refusal is not a mismatch: the
follower's log agrees, it will not store what comes next; refused out of a quorum, a leader steps down.

Refuses: to decide what is appended (`leading.py`) and what followers take (`following.py`).
"""

from __future__ import annotations

from consensus import clock, quorum, reads, transfer
from consensus.log import hint
from consensus.messages import (
    AppendAnswer,
    AppendEntries,
    AppendMismatch,
    Heartbeat,
    HeartbeatAnswer,
    Refusal,
)
from consensus.progress import Progress, Sending
from consensus.ready import EvidenceKind
from consensus.state import Replica
from consensus.types import Entry, EntryKind, Index, NodeId, Role


def pump(r: Replica) -> None:
    """Send every follower what its window allows. Followers at the same place get the same tuple of entries."""
    shared: dict[Index, tuple[Entry, ...]] = {}
    config = r.config
    for peer, p in r.progress.items():
        if p.sending is Sending.PROBE:
            if not p.paused:
                _send_entries(r, peer, p, shared)
            continue
        while p.next <= r.log.last_index and p.has_room(
            config.inflight_max_messages, config.inflight_max_bytes
        ):
            _send_entries(r, peer, p, shared)
        if p.nudge or min(r.commit, p.next - 1) > p.commit_sent:
            p.nudge = False
            _send(r, peer, p, ())


def _send_entries(r: Replica, peer: NodeId, p: Progress, shared: dict[Index, tuple[Entry, ...]]) -> None:
    """One AppendEntries from `p.next` on; empty when there is nothing more."""
    entries = shared.get(p.next)
    if entries is None:
        hi = min(r.log.last_index + 1, p.next + r.config.message_max_entries)
        entries = tuple(r.log.slice_to_barrier(p.next, hi, r.config.message_max_bytes)) if p.next < hi else ()
        shared[p.next] = entries
    _send(r, peer, p, entries)


def _send(r: Replica, peer: NodeId, p: Progress, entries: tuple[Entry, ...]) -> None:
    """Put one AppendEntries on its way and account for it."""
    prev = p.next - 1
    r.appends.append(
        AppendEntries(
            sender=r.id,
            recipient=peer,
            term=r.term,
            prev_index=prev,
            prev_term=r.log.term(prev),
            prev_hash=r.log.hash(prev),
            commit=r.commit,
            entries=entries,
        )
    )
    last = prev + len(entries)
    p.commit_sent = max(p.commit_sent, min(r.commit, last))
    if entries or p.sending is Sending.PROBE:
        cost = sum(entry.cost() for entry in entries)
        p.sent(last, cost, barrier=bool(entries) and entries[-1].kind is EntryKind.GOVERNANCE)


def advance_commit(r: Replica) -> None:
    """Paper 5.4.2: commit what a majority durably holds, if it is of this leader's own term."""
    held = {peer: p.match for peer, p in r.progress.items()}
    held[r.id] = r.log.durable
    index = quorum.committed(r.voters, held)
    if index > r.commit and r.log.term(index) == r.term:
        r.commit = index


def on_append_answer(r: Replica, message: AppendAnswer) -> None:
    """A follower durably holds everything up to `message.index`."""
    p = _follower(r, message.sender)
    if p is None:
        return
    index = message.index
    if index > r.log.last_index or (index > p.match and r.log.hash(index) != message.hash):
        held = r.log.entry(index) if index <= r.log.last_index else None
        r.accuse(EvidenceKind.FALSE_ACK, message, index, held, None)
        return
    news = p.acknowledged(index)
    if not p.refused and (message.resend or p.answers_probe(index)):
        p.to_replicate()
    if news:
        advance_commit(r)
        transfer.proceed(r)


def on_append_mismatch(r: Replica, message: AppendMismatch) -> None:
    """A follower's log does not agree at the place named: go back, by whole terms where possible."""
    p = _follower(r, message.sender)
    if p is None or message.rejected <= p.match:
        return  # an old answer, overtaken by an acknowledgement
    if p.sending is Sending.PROBE and message.rejected != p.next - 1:
        return  # an answer to an older probe
    again = p.fell_at_ms is not None and r.now_ms - p.fell_at_ms < r.config.heartbeat_ms
    leave_alone = again and p.sending is Sending.REPLICATE
    if p.sending is Sending.REPLICATE:
        p.fell_at_ms = r.now_ms
    floor = max(p.match, min(message.commit, message.rejected - 1, r.log.last_index))
    place = hint(r.log, min(message.hint_index, message.rejected), message.hint_term, floor)
    p.to_probe(max(p.match + 1, min(message.rejected, place + 1)), paused=leave_alone)


def on_refusal(r: Replica, message: Refusal) -> None:
    """A follower will not store an entry. It is asked again after each heartbeat; too many of them end the term."""
    p = _follower(r, message.sender)
    if p is None or not p.match < message.index <= r.log.last_index:
        return
    p.refused = message.index
    p.to_probe(message.index, paused=True)
    against = sum(1 for other in r.progress.values() if other.refused)
    if not quorum.survives(r.voters, against):
        r.become_follower(r.term, None)


def broadcast_heartbeat(r: Replica) -> None:
    """A new round: tell every follower that this node leads; the answers count for reads that came before."""
    r.round += 1
    r.round_wanted = False
    r.heartbeat_at_ms = r.now_ms + r.config.heartbeat_ms
    for peer, p in r.progress.items():
        commit = min(r.commit, p.match)
        r.outbox.append(Heartbeat(sender=r.id, recipient=peer, term=r.term, commit=commit, round=r.round))
    reads.confirm(r)


def on_heartbeat_answer(r: Replica, message: HeartbeatAnswer) -> None:
    """A follower is alive: note its clock, and send again what may have been lost."""
    p = _follower(r, message.sender)
    if p is None or message.round > r.round:
        return
    clock.heard(r, message.sender, message.wall_ms)
    if p.sending is Sending.PROBE:
        p.paused = False
    elif p.match < r.log.last_index:
        p.nudge = True
    if message.round > p.round:
        p.round = message.round
        reads.confirm(r)
    transfer.proceed(r)


def quorum_is_active(r: Replica) -> bool:
    """Check-quorum (dissertation 6.2): whether a majority was heard since the last time this was asked.

    A follower that refuses what comes next counts as silent: with the others dead, an entry that the living refuse
    would keep the log waiting for ever. In the next term it is an old entry, which no clock refuses.
    """
    silent = sum(1 for p in r.progress.values() if not p.active or p.refused)
    for p in r.progress.values():
        p.active = False
    return quorum.survives(r.voters, silent)


def unreachable(r: Replica, peer: NodeId) -> None:
    """The transport could not deliver: stop streaming, and feel the way once the peer answers again."""
    p = r.progress.get(peer)
    if r.role is Role.LEADER and p is not None and p.sending is Sending.REPLICATE:
        p.to_probe(p.match + 1, paused=True)


def _follower(r: Replica, sender: NodeId) -> Progress | None:
    """The sender's progress when this node leads it; it counts as heard."""
    p = r.progress.get(sender) if r.role is Role.LEADER else None
    if p is not None:
        p.active = True
    return p
