"""Stand-ins for the gateway's ports: a clock that is turned by hand, telemetry and figures that remember, doors that do
as told.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.adapters.database import Database, open_database
from gateway.adapters.store import SqlStore
from gateway.domain.anchoring import Outcome
from gateway.domain.finality import Checkpoint
from gateway.errors import LedgerUnreachableError, UntrustedAnswerError
from ledger.proof import RangeProof


@dataclass(slots=True)
class FakeClock:
    """A clock that moves when a test says so."""

    wall: int = 1_764_000_000_000
    now: float = 1_000.0

    def wall_ms(self) -> int:
        """See ports.Clock."""
        return self.wall

    def monotonic_s(self) -> float:
        """See ports.Clock."""
        return self.now


@dataclass(slots=True)
class FakeTelemetry:
    """Remembers what was said."""

    lines: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    def info(self, event: str, **fields: Any) -> None:
        """See ports.Telemetry."""
        self.lines.append(("info", event, fields))

    def warning(self, event: str, **fields: Any) -> None:
        """See ports.Telemetry."""
        self.lines.append(("warning", event, fields))

    def error(self, event: str, **fields: Any) -> None:
        """See ports.Telemetry."""
        self.lines.append(("error", event, fields))

    def events(self) -> list[str]:
        """Return the events said so far."""
        return [event for _, event, _ in self.lines]


@dataclass(slots=True)
class FakeMeter:
    """Remembers figures."""

    outcomes: list[tuple[str, int]] = field(default_factory=list)
    placed_s: list[float] = field(default_factory=list)
    proved_s: list[float] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    alarms: int = 0

    def submitted(self, outcome: str, records: int) -> None:
        """See ports.Meter."""
        self.outcomes.append((outcome, records))

    def placed(self, seconds: Sequence[float]) -> None:
        """See ports.Meter."""
        self.placed_s += seconds

    def proved(self, seconds: Sequence[float], size: int) -> None:
        """See ports.Meter."""
        self.proved_s += seconds

    def mistrusted(self, reason: str) -> None:
        """See ports.Meter."""
        self.reasons.append(reason)

    def halted(self) -> None:
        """See ports.Meter."""
        self.alarms += 1


class FakeLedger:
    """Answers envelopes by a script of outcomes, or functions of the envelope; remembers the envelopes."""

    def __init__(self, *script: Outcome | Callable[[bytes], Outcome]) -> None:
        self.script = deque(script)
        self.envelopes: list[bytes] = []

    async def submit(self, envelope: bytes) -> Outcome:
        """See ports.Ledger."""
        self.envelopes.append(envelope)
        step = self.script.popleft()
        return step(envelope) if callable(step) else step


class PlainSealer:
    """Makes envelopes that are the bare leaves."""

    def seal(self, leaves: bytes) -> bytes:
        """See ports.Sealer."""
        return leaves


@dataclass(slots=True)
class FakeDoor:
    """A read door that answers what it was given; an Exception among the answers is raised."""

    name: str
    notes: list[bytes] = field(default_factory=list)
    consistencies: dict[tuple[int, int], Any] = field(default_factory=dict)
    range_proofs: dict[tuple[int, int, int], Any] = field(default_factory=dict)
    receipts: dict[int, Any] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    async def watch(self) -> AsyncIterator[bytes]:
        """See ports.ReadDoor; ends after the last note."""
        for note in self.notes:
            yield note

    async def consistency(self, old_size: int, new_size: int) -> tuple[bytes, ...]:
        """See ports.ReadDoor."""
        self.calls.append("consistency")
        answer: tuple[bytes, ...] = self._give(self.consistencies, (old_size, new_size))
        return answer

    async def ranges(self, size: int, ranges: Sequence[tuple[int, int]]) -> list[RangeProof]:
        """See ports.ReadDoor."""
        self.calls.append("ranges")
        return [self._give(self.range_proofs, (start, count, size)) for start, count in ranges]

    async def receipt(self, index: int, *, with_header: bool) -> bytes:
        """See ports.ReadDoor."""
        self.calls.append("receipt")
        answer: bytes = self._give(self.receipts, index)
        return answer

    def _give(self, answers: dict[Any, Any], asked: Any) -> Any:
        answer = answers.get(
            asked, LedgerUnreachableError("E_NODE_UNREACHABLE", f"{self.name} has no answer")
        )
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass(slots=True)
class FakeTrust:
    """Believes checkpoints by name and receipts that say ``good``."""

    checkpoints: dict[bytes, Checkpoint] = field(default_factory=dict)
    chain_id: str = "test-00c0ffee"
    fingerprint: str = "f" * 64

    def checkpoint(self, note: bytes) -> Checkpoint:
        """See ports.Trust."""
        if note not in self.checkpoints:
            raise UntrustedAnswerError("E_QUORUM", "not signed by enough")
        return self.checkpoints[note]

    def receipt(self, receipt: bytes, leaf: bytes, index: int, *, with_header: bool) -> None:
        """See ports.Trust."""
        if not receipt.startswith(b"good"):
            raise UntrustedAnswerError("E_PROOF_ROOT", "the path leads elsewhere")


async def until(condition: Callable[[], object], timeout_s: float = 5.0) -> None:
    """Wait for a condition that nobody announces."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - it looks from outside, there is no event to wait for
            await asyncio.sleep(0.005)


def new_database(folder: Path) -> Database:
    """Create a gateway's database in a folder."""
    return open_database(folder / "gateway.db", now_ms=1, create=True)


def new_store(folder: Path, clock: FakeClock | None = None) -> tuple[SqlStore, Database]:
    """Create a store over a new database; the caller closes both, the store first."""
    database = new_database(folder)
    return SqlStore(database, "BROKER", clock or FakeClock(), folder / "evidence"), database
