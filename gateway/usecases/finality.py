"""Finality (见证): checkpoints are verified, connected to the one believed before, and used to prove our own records.

Why so much distrust: the nodes are other companies' machines, and "final" is what the broker shows to its regulator. So
the gateway believes a checkpoint only by its own trust file, a chain of checkpoints only by consistency proofs, and the
place of a record only by hashing its own stored leaf up to the root.

Rules kept here:
- The believed checkpoint is durable before anything is called final by it, and never goes backwards.
- One node's bad proof convicts that node: the next one is asked. When `PROOF_WITNESSES` different nodes (or all there are)
  cannot prove what the quorum signed, or two signed checkpoints of one size differ, that is a contradiction: evidence
  is written, anchoring halts, the alarm is raised, and a person decides. Intake goes on.
- An unreachable node proves nothing in either direction.

Source: C2SP tlog-checkpoint, RFC 9162 2.1.4 (consistency). Refuses: receipts (see `retrieve`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from gateway.domain.anchoring import Placement
from gateway.domain.finality import (
    PROOF_WITNESSES,
    Checkpoint,
    Range,
    Relation,
    Unproven,
    join_ranges,
    relate,
)
from gateway.errors import (
    ContradictionError,
    FatalStorageError,
    LedgerUnreachableError,
    StorageError,
    UntrustedAnswerError,
)
from gateway.ports import Clock, FinalityStore, Meter, ReadDoor, Telemetry, Trust
from ledger.errors import ProofError
from ledger.merkle import leaf_hashes
from ledger.proof import RangeProof, verify_consistency, verify_range
from ledger.record import leaf_slices

RUNS_PER_ROUND: Final = 256
RANGES_PER_CALL: Final = 64
LEAVES_PER_RANGE: Final = 5_000
RECONNECT_S: Final = 0.5
GATHER_MAX_S: Final = 0.02
STALL_S: Final = 3.0
"""A node that shows nothing newer for so long, while records wait for finality, is left for the next one."""


class Finality:
    """The finality loops. Owner of the believed checkpoint; runs on the event loop until cancelled."""

    def __init__(
        self, *, store: FinalityStore, doors: Sequence[ReadDoor], trust: Trust, clock: Clock, telemetry: Telemetry,
        meter: Meter, on_final: Callable[[set[int]], None], on_halt: Callable[[str], None],
    ) -> None:  # fmt: skip
        """`on_final` is told batches with newly final records, `on_halt` the reason of a contradiction."""
        assert doors, "the configuration demands at least one node with a read door"
        self._store = store
        self._doors = list(doors)
        self._trust = trust
        self._clock = clock
        self._telemetry = telemetry
        self._meter = meter
        self._on_final = on_final
        self._on_halt = on_halt
        self._newest: tuple[Checkpoint, ReadDoor] | None = None
        self._news = asyncio.Event()
        self._unproven = 0
        self.believed: Checkpoint | None = None
        self._last_note_s = clock.monotonic_s()
        self.halted = ""

    def placed(self, runs: Sequence[Placement]) -> None:
        """Say which runs are committed now. Those below a known checkpoint are proved at once, others wait for the next."""
        self._unproven += len(runs)
        known = self._newest[0] if self._newest is not None else self.believed
        if known is not None and any(run.first_index < known.size for run in runs):
            self._news.set()

    async def load(self) -> None:
        """Read what was believed, and whether anchoring stands still, before anything else runs."""
        self.believed = await self._store.believed()
        self._unproven = await self._store.unproven_count()
        self.halted = await self._store.halted()
        if self.halted:
            self._meter.halted()
            self._on_halt(self.halted)

    async def run(self) -> None:
        """Follow and prove until cancelled. Raises FatalStorageError when the database fails for good."""
        self._news.set()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow(), name="finality-follow")
            tasks.create_task(self._prove(), name="finality-prove")

    # --- following: notes come in, the newest verified one is kept ----------------------------------------------------

    async def _follow(self) -> None:
        """Watch one node after the other, for ever."""
        at = 0
        while True:
            door = self._doors[at % len(self._doors)]
            try:
                await self._watch(door)
            except LedgerUnreachableError as error:
                self._telemetry.info("finality_stream_lost", node=door.name, reason=error.message)
            except UntrustedAnswerError as error:
                self._meter.mistrusted(error.code)
                self._telemetry.error(
                    "checkpoint_mistrusted", node=door.name, code=error.code, reason=error.message
                )
            at += 1
            await asyncio.sleep(RECONNECT_S if at % len(self._doors) == 0 else 0.0)

    async def _watch(self, door: ReadDoor) -> None:
        """Take checkpoints from one node until it fails, lies, or has nothing new while records wait."""
        reading = asyncio.create_task(self._read(door), name=f"finality-watch-{door.name}")
        self._last_note_s = self._clock.monotonic_s()
        try:
            while True:
                done, _ = await asyncio.wait({reading}, timeout=STALL_S)
                if done:
                    reading.result()
                    return
                silent_s = self._clock.monotonic_s() - self._last_note_s
                if self._unproven and silent_s >= STALL_S and len(self._doors) > 1:
                    return
        finally:
            reading.cancel()
            await asyncio.wait({reading})

    async def _read(self, door: ReadDoor) -> None:
        """Verify every note of a node's stream and keep the newest."""
        async for note in door.watch():
            self._last_note_s = self._clock.monotonic_s()
            candidate = self._trust.checkpoint(note)
            if self._newest is None or candidate.size >= self._newest[0].size:
                self._newest = (candidate, door)
                self._news.set()

    # --- proving: the newest checkpoint is connected, then our records are found in it --------------------------------

    async def _prove(self) -> None:
        """Act on news, for ever; whatever failed for want of a node or of disk is tried again."""
        while True:
            await self._news.wait()
            self._news.clear()
            if self.halted:
                continue
            started_s = self._clock.monotonic_s()
            try:
                await self._advance()
                # A busy machine proves more at a time instead of every checkpoint by itself; a lone one was just proved.
                await asyncio.sleep(min(GATHER_MAX_S, self._clock.monotonic_s() - started_s))
            except ContradictionError as error:
                await self._halt(error)
            except FatalStorageError:
                raise
            except (LedgerUnreachableError, StorageError) as error:
                self._telemetry.warning("finality_delayed", code=error.code, reason=error.message)
                self._news.set()
                await asyncio.sleep(RECONNECT_S)

    async def _advance(self) -> None:
        """Accept the newest checkpoint and prove every committed run below it.

        The checkpoint is stored in the same transaction as the first runs that it makes final: never later, and a lone
        record costs one commit instead of two. Raises ContradictionError, LedgerUnreachableError, StorageError.
        """
        fresh = None if self._newest is None else await self._connected(*self._newest)
        current = fresh or self.believed
        if current is None:
            return
        more = True
        while more:
            found = await self._store.unproven(current.size, RUNS_PER_ROUND)
            leaves = dict(found)
            ranges = join_ranges([run for run, _ in found], LEAVES_PER_RANGE)
            for start in range(0, len(ranges), RANGES_PER_CALL):
                part = ranges[start : start + RANGES_PER_CALL]
                await self._require_ours(current, part, leaves)
                await self._finalise(
                    [run for one in part for run in one.runs], current, store=fresh is not None
                )
                fresh = None
            more = len(found) == RUNS_PER_ROUND
        if fresh is not None:
            await self._store.believe(fresh)
            self.believed = fresh

    async def _connected(self, candidate: Checkpoint, door: ReadDoor) -> Checkpoint | None:
        """Return `candidate` if it is newer than what is believed and extends it, None if it is not newer.

        Raises ContradictionError, LedgerUnreachableError.
        """
        relation, old = relate(self.believed, candidate), self.believed
        if relation in (Relation.OLDER, Relation.SAME):
            return None
        if old is None:
            return candidate
        evidence = {"believed.note": old.note, "contradicting.note": candidate.note}
        if relation is Relation.CONTRADICTS:
            raise ContradictionError(
                "E_CHAIN_FORKED",
                f"two checkpoints of size {candidate.size} bear the trusted quorum's signatures and have different "
                "roots: the chain has been forked by those who signed both",
                evidence,
            )
        await self._proved_by_somebody(
            lambda asked: _consistent(asked, old, candidate),
            first=door,
            words=f"no node can prove that the signed checkpoint of size {candidate.size} extends the signed one "
            f"of size {old.size}",
            evidence=evidence,
        )
        return candidate

    async def _require_ours(
        self, current: Checkpoint, ranges: Sequence[Range], leaves: dict[Unproven, bytes]
    ) -> None:
        """Return if our stored leaves stand in these ranges of the checkpoint's tree. Raises as `_connected`."""
        await self._proved_by_somebody(
            lambda asked: _included(asked, current, ranges, leaves),
            first=self._newest[1] if self._newest else self._doors[0],
            words=f"no node can prove our records in the signed checkpoint of size {current.size}, although the "
            "leader answered that they are there",
            evidence=_evidence(current, ranges, leaves),
        )

    async def _finalise(self, runs: Sequence[Unproven], current: Checkpoint, *, store: bool) -> None:
        """Mark runs final and, if `store`, the checkpoint believed, in one commit; then tell whoever waits."""
        await self._store.finalise(runs, current if store else None)
        self.believed = current
        self._unproven -= len(runs)
        now_ms = self._clock.wall_ms()
        self._meter.proved([(now_ms - run.received_ms) / 1_000 for run in runs], current.size)
        self._on_final({run.batch_id for run in runs})

    async def _proved_by_somebody(
        self,
        ask: Callable[[ReadDoor], Awaitable[None]],
        *,
        first: ReadDoor,
        words: str,
        evidence: dict[str, bytes],
    ) -> None:
        """Return once one node proved the claim.

        Raises ContradictionError when enough nodes answered and none could, LedgerUnreachableError otherwise.
        """
        convicted = 0
        for door in [first, *(door for door in self._doors if door is not first)]:
            try:
                await ask(door)
                return
            except (ProofError, UntrustedAnswerError) as error:
                convicted += 1
                self._meter.mistrusted(error.code)
                self._telemetry.error(
                    "proof_mistrusted", node=door.name, code=error.code, reason=error.message
                )
            except LedgerUnreachableError as error:
                self._telemetry.info("proof_not_available", node=door.name, reason=error.message)
        if convicted >= min(PROOF_WITNESSES, len(self._doors)):
            raise ContradictionError("E_CHAIN_UNPROVABLE", words, evidence)
        raise LedgerUnreachableError(
            "E_PROOF_UNAVAILABLE", "no node could be asked for a proof that is needed"
        )

    async def _halt(self, error: ContradictionError) -> None:
        """Stop anchoring for good, with evidence and plain words."""
        words = f"{error.message}. Anchoring stands still; records are still taken in. Keep the evidence, ask the other "
        words += "institutions, and start the gateway with a checked trust file before letting it go on."
        self.halted = words
        self._meter.halted()
        self._on_halt(words)
        while True:
            try:
                await self._store.halt(words, error.evidence)
                break
            except FatalStorageError:
                raise
            except (StorageError, OSError) as refused:
                self._telemetry.error("evidence_not_stored", reason=type(refused).__name__)
                await asyncio.sleep(RECONNECT_S)
        self._telemetry.error("anchoring_halted", code=error.code, reason=error.message)


async def _consistent(door: ReadDoor, old: Checkpoint, new: Checkpoint) -> None:
    """Return if `door` proves that `new` extends `old`; raises ProofError otherwise."""
    proof = await door.consistency(old.size, new.size)
    verify_consistency(old.size, old.root, new.size, new.root, proof)


async def _included(
    door: ReadDoor, believed: Checkpoint, ranges: Sequence[Range], leaves: dict[Unproven, bytes]
) -> None:
    """Return if `door` proves that our stored leaves stand in these ranges; raises ProofError otherwise."""
    proofs: list[RangeProof] = await door.ranges(believed.size, [(one.start, one.count) for one in ranges])
    for one, proof in zip(ranges, proofs, strict=True):
        ours = b"".join(leaves[run] for run in one.runs)
        verify_range(leaf_hashes(leaf_slices(ours)), one.start, believed.size, proof, believed.root)
        await asyncio.sleep(0)  # hashing thousands of leaves is long enough for one turn of the loop


def _evidence(
    believed: Checkpoint, ranges: Sequence[Range], leaves: dict[Unproven, bytes]
) -> dict[str, bytes]:
    """Return what a person needs to check the claim: the signed note, and our leaves with their claimed places."""
    files = {"checkpoint.note": believed.note}
    for one in ranges[:8]:
        files[f"leaves-from-{one.start}.bin"] = b"".join(leaves[run] for run in one.runs)
    return files
