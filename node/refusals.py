"""Counts what was refused at the doors, and tells of it without letting a stranger fill the disk.

Why: every refusal has a stable code that an operator can alarm on, and whoever is refused can repeat himself
a thousand times a second. So all are counted, and of each kind one line is written in a while.

Refuses: keeping anything per stranger; the table is bounded by the codes and names that we give out
ourselves.
"""

import re
from collections.abc import Callable

from node import telemetry
from node.ports import NodeStats

_LINE_EVERY_S = 10.0
_ENTRIES_MAX = 512
_CODE = re.compile(r"E_[A-Z0-9_]{1,60}")

_log = telemetry.get("refusals")


class Refusals:
    """Owned by the loop's thread. `clock` is monotonic seconds."""

    def __init__(self, stats: NodeStats, clock: Callable[[], float]) -> None:
        """Count into `stats.peer_refusals`."""
        self._stats = stats
        self._clock = clock
        self._told: dict[tuple[str, str], float] = {}

    def note(self, code: str, who: str, detail: str) -> None:
        """Count a refusal; write a line unless one of this code and peer was written just now."""
        self._stats.peer_refusals[code] = self._stats.peer_refusals.get(code, 0) + 1
        now = self._clock()
        if now - self._told.get((code, who), -_LINE_EVERY_S) < _LINE_EVERY_S:
            return
        if len(self._told) >= _ENTRIES_MAX:
            self._told.clear()
        self._told[code, who] = now
        _log.warning("peer_refused", code=code, peer=who, detail=detail)


def code_in(text: str | None, otherwise: str) -> str:
    """The stable code that a peer's status text begins with, else `otherwise`."""
    found = _CODE.match(text or "")
    return found.group() if found else otherwise
