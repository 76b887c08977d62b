"""Batches on their way to the disk: which promises are durable, and which are only in memory.

Several batches may be in flight; they become durable strictly in their order, each as a whole. Term, vote,
truncation, entries and the commit index known at that moment share a batch, so no crash can separate them
(paper 5.2: "stable storage before responding"; a term and a vote written apart have cost others their safety).

Refuses: reports out of order. A host that lets a later batch overtake an earlier one has lost the log; `assert`.
"""

from __future__ import annotations

from collections import deque

from consensus.types import HardState, Index


class Flight:
    """One batch: the last index it makes durable (lowered by later truncations) and its hard state."""

    __slots__ = ("batch", "hard_state", "last", "since_ms")

    def __init__(self, batch: int, last: Index, hard_state: HardState, since_ms: int) -> None:
        self.batch = batch
        self.last = last
        self.hard_state = hard_state
        self.since_ms = since_ms


class Pipeline:
    """The queue of batches. `durable` is the hard state of the last one that was synced."""

    __slots__ = ("batch", "durable", "flights", "written")

    def __init__(self, hard_state: HardState) -> None:
        self.batch = 0  # number of the last batch handed out
        self.durable: HardState = hard_state  # as the disk has it
        self.written: HardState = hard_state  # as the disk will have it once everything is synced
        self.flights: deque[Flight] = deque()

    def hand_out(self, last: Index, hard_state: HardState, now_ms: int) -> int:
        """Number a new batch that ends the log at `last`."""
        self.batch += 1
        self.written = hard_state
        self.flights.append(Flight(self.batch, last, hard_state, now_ms))
        return self.batch

    def cut(self, index: Index) -> None:
        """The log was truncated from `index` on: no batch already on its way makes more durable than what is left."""
        for flight in self.flights:
            flight.last = min(flight.last, index - 1)

    def synced(self, batch: int) -> Index:
        """The oldest batch is durable; answers up to where it made the log durable."""
        assert self.flights, f"batch {batch} was never handed out, or reported twice"
        flight = self.flights[0]
        assert flight.batch == batch, f"batch {batch} reported synced before batch {flight.batch}"
        self.flights.popleft()
        self.durable = flight.hard_state
        return flight.last

    def oldest_ms(self) -> int | None:
        """When the oldest batch still in flight was handed out."""
        return self.flights[0].since_ms if self.flights else None
