"""What a leader knows of one follower, and how much it may send it.

Two states (etcd's `StateProbe` and `StateReplicate`; there are no snapshots): a follower in PROBE gets one
message at a time until it answers, so a leader finds the place where the logs agree without flooding; a follower in
REPLICATE gets entries as they come, up to a window of messages and bytes. `match` never falls within a term
(two published implementations, and even the published TLA+ specification, let it fall).

A whole window is sent anew only after an answer to the one outstanding probe, and a follower that falls back twice
within a heartbeat is left alone until it answers one: else every mismatch of an old window, and there is one for
each of its messages, would cause a new window, and a single lost message an avalanche.

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
        "fell_at_ms",
        "flights",
        "flights_bytes",
        "match",
        "next",
        "nudge",
        "paused",
        "probing",
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
        self.probing: Index | None = None  # PROBE: what an answer to the outstanding probe acknowledges
        self.fell_at_ms: int | None = None  # when a mismatch last ended REPLICATE

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
            self.probing = last

    def answers_probe(self, index: Index) -> bool:
        """PROBE: whether acknowledging `index` says that the outstanding probe arrived."""
        return self.sending is Sending.PROBE and self.probing is not None and index >= self.probing

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
        self.probing = None
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
