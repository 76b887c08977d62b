"""What a leader knows of one follower, and how much it may send it.

Two states (etcd's `StateProbe` and `StateReplicate`; there are no snapshots): a follower in PROBE gets one
message at a time until it answers, so a leader finds the place where the logs agree without flooding; a follower in
REPLICATE gets entries as they come, up to a window of messages and bytes. `match` never falls within a term
(two published implementations, and even the published TLA+ specification, let it fall).

Refuses: to decide what to send; that is `replication.py`. It only counts.
"""

from __future__ import annotations

from collections import deque
from enum import IntEnum

from consensus.types import Index


class Sending(IntEnum):
    """How the leader sends to a follower."""

    PROBE = 0
    REPLICATE = 1


class Progress:
    """One follower in one term of one leader."""

    __slots__ = (
        "active",
        "barrier",
        "commit_sent",
        "flights",
        "flights_bytes",
        "match",
        "next",
        "nudge",
        "paused",
        "refused",
        "round",
        "sending",
    )

    def __init__(self, next_index: Index) -> None:
        self.match: Index = 0  # acknowledged in this term: durable there; never falls
        self.next: Index = next_index  # first entry to send; > match
        self.sending = Sending.PROBE
        self.paused = False  # PROBE: one message is out, wait for an answer
        self.nudge = False  # send an empty append, to find out whether what was sent arrived
        self.flights: deque[tuple[Index, int]] = (
            deque()
        )  # REPLICATE: (last index, bytes) of unanswered appends
        self.flights_bytes = 0
        self.commit_sent: Index = 0  # commit index it was last told
        self.active = False  # heard from since the last quorum check
        self.round = 0  # newest heartbeat round it answered
        self.refused: Index = 0  # an entry it will not store; 0 = none
        self.barrier: Index = 0  # a governance entry was sent; what follows waits until it is acknowledged

    def has_room(self, messages_max: int, bytes_max: int) -> bool:
        """Whether the window allows another append with entries."""
        return (
            self.match >= self.barrier and len(self.flights) < messages_max and self.flights_bytes < bytes_max
        )

    def sent(self, last: Index, cost: int, *, barrier: bool) -> None:
        """Entries up to `last` are on their way; `barrier` tells that the last one is a governance entry."""
        self.barrier = last if barrier else 0
        if self.sending is Sending.REPLICATE:
            self.flights.append((last, cost))
            self.flights_bytes += cost
            self.next = last + 1
        else:
            self.paused = True

    def acknowledged(self, index: Index) -> bool:
        """It holds everything up to `index`. True when that was news."""
        while self.flights and self.flights[0][0] <= index:
            self.flights_bytes -= self.flights.popleft()[1]
        news = index > self.match
        if news:
            self.match = index
            if index >= self.refused:
                self.refused = 0
        if self.next <= index:
            self.next = index + 1
        return news

    def to_probe(self, next_index: Index, *, paused: bool) -> None:
        """Forget what is in flight and feel the way from `next_index`."""
        assert next_index > self.match, "a follower is never asked again for what it acknowledged"
        self.sending = Sending.PROBE
        self.next = next_index
        self.paused = paused
        self.nudge = False
        self.barrier = 0
        self.flights.clear()
        self.flights_bytes = 0

    def to_replicate(self) -> None:
        """Send as entries come, from behind what is acknowledged."""
        self.sending = Sending.REPLICATE
        self.next = self.match + 1
        self.paused = False
        self.barrier = 0
        self.flights.clear()
        self.flights_bytes = 0
