"""A picture of one replica for operators, metrics and scenario tests; nothing in it feeds back.

Refuses: to show payloads, and to be a second way into the state: all values are copies.
"""

from __future__ import annotations

from dataclasses import dataclass

from consensus import clock
from consensus.progress import Sending
from consensus.state import Replica
from consensus.types import Index, NodeId, Role, Term


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """What the leader knows of one follower."""

    node_id: NodeId
    sending: Sending
    match: Index
    next: Index
    paused: bool
    inflight_messages: int
    inflight_bytes: int
    refused: Index  # 0: nothing is refused
    clock_ms: int | None  # its wall clock now, as estimated; None: not told yet


@dataclass(frozen=True, slots=True)
class Status:
    """Where this replica stands. `applied` <= `commit`, `durable` <= `last`."""

    node_id: NodeId
    role: Role
    leader: NodeId | None
    term: Term
    vote: NodeId | None
    last: Index
    durable: Index
    commit: Index
    applied: Index
    voters: tuple[NodeId, ...]
    barrier: Index  # a governance entry that is not applied yet; 0: none
    transferee: NodeId | None
    clock_in_doubt: bool
    batches_in_flight: int
    halted: str | None
    peers: tuple[PeerStatus, ...]  # leader only


def status_of(r: Replica) -> Status:
    """Take the picture."""
    clocks = clock.estimates(r)
    peers = tuple(
        PeerStatus(
            node_id=peer,
            sending=p.sending,
            match=p.match,
            next=p.next,
            paused=p.paused,
            inflight_messages=len(p.flights),
            inflight_bytes=p.flights_bytes,
            refused=p.refused,
            clock_ms=clocks.get(peer),
        )
        for peer, p in r.progress.items()
    )
    return Status(
        node_id=r.id,
        role=r.role,
        leader=r.leader,
        term=r.term,
        vote=r.vote,
        last=r.log.last_index,
        durable=r.log.durable,
        commit=r.commit,
        applied=r.applied,
        voters=r.voters,
        barrier=r.barrier if r.applied < r.barrier else 0,
        transferee=r.transferee,
        clock_in_doubt=r.doubt_since_ms is not None,
        batches_in_flight=len(r.pipeline.flights),
        halted=r.halted,
        peers=peers,
    )
