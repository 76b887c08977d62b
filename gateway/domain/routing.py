"""Which node an envelope goes to: the leader as far as we know it, else the next one that is not in its pause.

Why: only the leader orders, leaders change, and a gateway must neither wait for a dead node nor hammer a live one. A try
that reaches no leader is no failure of a record: it only moves on.

Rules kept here:
- A node that failed pauses for `PAUSE_MIN_S`, doubling to `PAUSE_MAX_S`; any success ends its pause.
- A hint is followed once; a node that points at a leader which then fails, or at nobody, costs a short pause, so that an
  election is waited for and not stormed.

Refuses: clocks and randomness: a gateway has few nodes and one stream, so there is no herd to spread.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

PAUSE_MIN_S: Final = 0.05
PAUSE_MAX_S: Final = 2.0
ELECTION_PAUSE_S: Final = 0.1


@dataclass(slots=True)
class Route:
    """Believed leader and pauses of the nodes. Owner: the submission client alone."""

    nodes: Sequence[str]
    leader: str | None = None
    _next: int = 0
    _pause_s: dict[str, float] = field(default_factory=dict)
    _until_s: dict[str, float] = field(default_factory=dict)

    def target(self, now_s: float) -> tuple[str, float]:
        """Return the node to try next and the seconds to wait before (0.0 = now)."""
        assert self.nodes, "the configuration demands at least one node"
        if self.leader is not None and self._until_s.get(self.leader, 0.0) <= now_s:
            return self.leader, 0.0
        count = len(self.nodes)
        order = [self.nodes[(self._next + i) % count] for i in range(count)]
        best = min(order, key=lambda node: max(now_s, self._until_s.get(node, 0.0)))
        return best, max(0.0, self._until_s.get(best, 0.0) - now_s)

    def redirected(self, node: str, leader: str, now_s: float) -> None:
        """`node` is not the leader; it names `leader`, "" when it knows none."""
        self._pause_s.pop(node, None)
        self._until_s[node] = now_s + ELECTION_PAUSE_S
        self._move_past(node)
        usable = leader != node and leader in self.nodes
        self.leader = leader if usable else None

    def failed(self, node: str, now_s: float) -> None:
        """`node` cannot be reached, does not answer, or broke the stream."""
        pause = min(PAUSE_MAX_S, self._pause_s.get(node, PAUSE_MIN_S / 2) * 2)
        self._pause_s[node] = pause
        self._until_s[node] = now_s + pause
        if self.leader == node:
            self.leader = None
        self._move_past(node)

    def succeeded(self, node: str) -> None:
        """`node` answered as the leader."""
        self._pause_s.pop(node, None)
        self._until_s.pop(node, None)
        self.leader = node

    def _move_past(self, node: str) -> None:
        self._next = (self.nodes.index(node) + 1) % len(self.nodes)
