"""The desk between the submission door and the loop: envelopes in, tickets out, answers back to whoever
waits.

Why: a stream's handler waits, the loop never does. So a handler leaves its envelope here with a future, the
loop takes what lies here once a turn, and every ticket is answered exactly once, at the latest when the node
stops.

Rules kept here
- The number of tickets that are open is limited; beyond it the answer is "slow down", at once.
- A caller that went away does not undo anything: its answer finds nobody, its envelope is ordered all the
  same.

Refuses: looking into envelopes.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from node.effects import Answer, NotLeader, Outcome, SlowDown


@dataclass(frozen=True, slots=True)
class Handed:
    """An envelope as it was handed in; `allowed` are the (institution, key id) of the certificate."""

    ticket: int
    raw: bytes
    allowed: frozenset[tuple[str, str]]


class Desk:
    """Owned by the loop's thread."""

    def __init__(self, open_max: int, slow_down_ms: int) -> None:
        """At most `open_max` tickets are open at a time."""
        self._open_max = open_max
        self._slow_down = SlowDown(slow_down_ms)
        self._next = 0
        self._open: dict[int, asyncio.Future[Outcome]] = {}
        self._lying: deque[Handed] = deque()
        self._closed = False

    def hand_in(self, raw: bytes, allowed: frozenset[tuple[str, str]]) -> asyncio.Future[Outcome]:
        """Leave an envelope; the future gets its outcome and is never cancelled from here."""
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        if self._closed:
            future.set_result(NotLeader(""))
        elif len(self._open) >= self._open_max:
            future.set_result(self._slow_down)
        else:
            self._next += 1
            self._open[self._next] = future
            self._lying.append(Handed(self._next, raw, allowed))
        return future

    def take(self, max_bytes: int) -> list[Handed]:
        """What lies here, oldest first, at least one if there is any, up to a number of bytes."""
        taken: list[Handed] = []
        size = 0
        while self._lying and (not taken or size + len(self._lying[0].raw) <= max_bytes):
            handed = self._lying.popleft()
            size += len(handed.raw)
            taken.append(handed)
        return taken

    def answer(self, answers: Iterable[Answer]) -> None:
        """Answer tickets; one that was answered before is our bug."""
        for answer in answers:
            future = self._open.pop(answer.ticket)
            if not future.done():  # its waiter may have gone away
                future.set_result(answer.outcome)

    def answer_one(self, ticket: int, outcome: Outcome) -> None:
        """Answer one ticket."""
        self.answer([Answer(ticket, outcome)])

    def close(self) -> None:
        """Take nothing any more, and give back what the loop has not looked at."""
        self._closed = True
        lying, self._lying = self._lying, deque()
        self.answer(Answer(handed.ticket, NotLeader("")) for handed in lying)

    @property
    def open_tickets(self) -> int:
        """Tickets without an answer."""
        return len(self._open)

    def __len__(self) -> int:
        """Envelopes the loop has not looked at."""
        return len(self._lying)
