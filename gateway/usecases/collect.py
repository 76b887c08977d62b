"""Collecting (存证采集): checked records become durable, then the caller is answered.

Why one place: every door, today the hash-only one, hands its records here, so that scope, limits and idempotency are the
same for all of them.

Rules kept here:
- Durable before answered: what is answered as accepted survives any crash; what is not accepted left nothing behind.
- Records of sources outside the caller's scope are refused one by one; the others of the request go on.
- A full outbox or a full disk refuses the whole request with a delay; nothing of it is stored.
- A record is encoded once, here; nobody encodes it again.

Refuses: reading payloads (see `channels`), talking to nodes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.domain.access import ApiKey
from gateway.domain.record import NewRecords
from gateway.errors import BusyError
from gateway.ports import Intake, IntakeStore
from ledger.record import encode_leaves

OUTBOX_RETRY_S: Final = 30.0
DISK_RETRY_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Collected:
    """What became of each record of a request, by column (see ports.Admitted); `forbidden` were outside the scope."""

    ids: Sequence[int]
    places: Sequence[tuple[int, int]]
    replays: frozenset[int]
    conflicts: frozenset[int]
    forbidden: frozenset[int]

    @property
    def accepted(self) -> int:
        """Number of records that are stored, now or before."""
        return len(self.ids) - len(self.conflicts) - len(self.forbidden)


class Collect:
    """The intake. `disk_low` is set by whoever watches the disk; `on_stored` wakes the anchoring loop."""

    def __init__(self, store: IntakeStore, institution: str, outbox_max_records: int) -> None:
        """`outbox_max_records` bounds the records that wait for the chain."""
        self._store = store
        self._institution = institution
        self._outbox_max = outbox_max_records
        self.disk_low = False
        self.on_stored = _nobody

    async def __call__(self, key: ApiKey, records: NewRecords) -> Collected:
        """Store checked records for a caller.

        Raises BusyError E_OUTBOX_FULL, E_BUSY or E_STORAGE_FULL, StorageError; then nothing was stored.
        """
        if self.disk_low:
            raise BusyError("E_STORAGE_FULL", "the disk is nearly full; nothing was stored", DISK_RETRY_S)
        if self._store.backlog() + len(records) > self._outbox_max:
            raise BusyError(
                "E_OUTBOX_FULL", "too many records wait for the chain; nothing was stored", OUTBOX_RETRY_S
            )
        outside = key.forbidden(set(records.sources))
        if not outside:
            return await self._store_all(records)
        allowed = [at for at, source in enumerate(records.sources) if source not in outside]
        forbidden = frozenset(range(len(records))) - frozenset(allowed)
        ids: list[int] = [0] * len(records)
        places: list[tuple[int, int]] = [(0, 0)] * len(records)
        replays: set[int] = set()
        conflicts: set[int] = set()
        if allowed:
            part = await self._store_all(records.select(allowed))
            for inner, at in enumerate(allowed):
                ids[at], places[at] = part.ids[inner], part.places[inner]
            replays = {allowed[inner] for inner in part.replays}
            conflicts = {allowed[inner] for inner in part.conflicts}
        return Collected(ids, places, frozenset(replays), frozenset(conflicts), forbidden)

    async def _store_all(self, records: NewRecords) -> Collected:
        leaves = encode_leaves(
            self._institution,
            commitments=records.commitments,
            sources=records.sources,
            source_seqs=records.source_seqs,
            templates=records.templates,
            template_versions=records.template_versions,
        )
        admitted = await self._store.admit(Intake(records.refs, records.sources, leaves))
        if admitted.stored:
            self.on_stored()
        return Collected(admitted.ids, admitted.places, admitted.replays, admitted.conflicts, frozenset())


def _nobody() -> None:
    """Stands where nothing has to be woken."""
