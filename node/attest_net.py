"""The attestor: signs what the rule says is due, exchanges notes with the other nodes, and acts on what
they show.

Why one task: the mark must be durable before the key is used, and that is easiest to see when one place
persists, signs, counts and sends, in this order. The rule (`cosigner`) and the judging (`gathering`) are
pure; here are the clock, the keys, the disk and the channel.

Order of a batch, crash points in brackets the rule gives the points -> the highest becomes the durable mark
[lost here: the batch is due again] -> all are signed [lost here: the mark stands, its size may be signed
again, heights below stay unsigned by this node] -> counted -> the notes that others need are sent [lost
here: resent while not final].

Rules kept here
- A root is computed twice, by the growing tree and from stored tiles, before it is signed.
- A waiting or halted node signs nothing; it goes on collecting, so that its readers see what is final.
- A batch never crosses the end of an era, so one key signs it: the one that governance has open at those
  heights.
- While the newest own size is not final, its note is sent again every `RESEND_S`; a newer final note is
  passed on as often, so that a pair of nodes that cannot reach each other still learns of it.
- The newest final note, and that of each closed era, are kept in the derived store's notes.
- Notes that arrive are bounded for each sender, and who sends rubbish is muted for a while (`note_inbox`).

Sources: C2SP tlog-witness for the order, tlog-cosignature for the signatures.
Refuses: consensus; times of others (they are shown, never judged).
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from ledger import note
from ledger.chain import AppliedBlock
from ledger.errors import DerivedDamagedError
from ledger.proof import prove_consistency
from ledger.store_prepare import condemn
from node import convictions, evidence, notes, telemetry
from node.chainbook import ChainBook
from node.config import Attest
from node.cosigner import Pace, Point, Schedule, worth_sending
from node.errors import HaltedError
from node.findings import Attested, Convicted, Finalized, Finding, Rejected, Seen, SelfContradicted
from node.gathering import Gathering
from node.metrics import NodeMetrics
from node.note_inbox import NoteInbox
from node.own_keys import OwnKeys
from node.ports import Parts, Role
from node.start import DERIVED

RESEND_S: Final = 1.0

_FINAL: Final = "final"
_LATENCIES_MAX: Final = 4_096

_log = telemetry.get("attest")


class Attestor:
    """Implements `ports.Companion` and `standing.Attestation`. Everything runs on the loop's thread.

    `_signing` is the task that waits for a mark, at most one. `_latest` are the own notes of the newest
    batch that was sent. `_applied_at` remembers when sizes were applied, for the latency figure.
    """

    def __init__(self, parts: Parts, metrics: NodeMetrics) -> None:
        """Nothing is read or signed yet."""
        self._core = parts.core
        self._channel = parts.channel
        self._metrics = metrics
        self._keys = OwnKeys(parts.core.node_id, parts.keys)
        self._pace = _pace(parts.config.attest)
        self._evidence_folder = parts.config.data_path / evidence.FOLDER
        self._derived_folder = parts.config.data_path / DERIVED
        self._inbox = NoteInbox()
        self._applied_at: deque[tuple[int, float]] = deque(maxlen=_LATENCIES_MAX)
        self._news = asyncio.Event()
        self._signing: asyncio.Task[None] | None = None
        self._changed: list[Callable[[], None]] = []
        self._kept: Attested | None = None
        self._passed_on: Attested | None = None
        self._latest: list[bytes] = []
        self._latest_size = 0
        self._time_s = 0
        self._resend_at = 0.0
        self._book = ChainBook(parts.core)
        self._convicted = {
            one.public: one.name for one in convictions.load(self._evidence_folder, self._chain_id)
        }
        self._gathering = Gathering(
            self._book.book(), self._keys.lines(parts.core.institution), self._convicted
        )
        self._schedule = Schedule(self._book.rule(), self._pace, self._own_mark(), time.monotonic())

    # --- standing.Attestation ------------------------------------------------------------------------------

    @property
    def final(self) -> Attested | None:
        """The newest checkpoint with a quorum of institutions."""
        return self._gathering.final

    @property
    def covered(self) -> Attested | None:
        """The newest checkpoint with a majority of voters."""
        return self._gathering.covered

    @property
    def convicted(self) -> tuple[str, ...]:
        """Names of the cosigners whose key has contradicted itself."""
        return tuple(sorted(set(self._convicted.values())))

    def seen(self) -> tuple[Seen, ...]:
        """The newest cosignature of every key."""
        return self._gathering.seen()

    def era_note(self, height: int) -> tuple[int, bytes | None] | None:
        """The end of the era of `height` and its final note; None while that era is open."""
        end = self._book.era_end_after(height - 1)
        return None if end is None else (end, self._core.derived_store.note(_era_name(end)))

    def ahead(self) -> int:
        """The largest size that somebody has signed and this node has not applied yet; 0 for none."""
        return self._gathering.ahead()

    def hear(self, sender: str, raw: bytes) -> None:
        """Take in a note that came another way than over the channel."""
        self._on_note(sender, raw)

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call `callback` whenever one of the above has changed."""
        self._changed.append(callback)

    # --- ports.Companion -----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take up what was known before the restart, and listen."""
        self._gathering.set_applied(self._core.size, time.monotonic())
        mark = self._core.mark
        self._gathering.set_mark(mark[1] if mark is not None else 0)
        kept = self._core.derived_store.note(_FINAL)
        if kept is not None:
            self._gathering.receive("", kept, time.monotonic())
        self._act(self._gathering.settle())
        self._core.on_applied(self._on_applied)
        self._channel.on_note(self._on_note)
        self._channel.on_peer(self._on_peer)

    async def run(self) -> None:
        """Sign, collect and send until cancelled. Raises what the stores raise; a damaged derived store is
        marked first, so that the next start makes it anew.
        """
        try:
            async with asyncio.TaskGroup() as group:
                await self._work(group)
        except* DerivedDamagedError:
            condemn(self._derived_folder)
            raise

    async def _work(self, group: asyncio.TaskGroup) -> None:
        while True:
            now = time.monotonic()
            self._collect(now)
            self._sign_what_is_due(group, now)
            self._resend(now)
            if self._inbox:
                await asyncio.sleep(0)
            else:
                await self._wait(now)

    async def stop(self) -> None:
        """Nothing to close: the stores and the channel are others'."""

    # --- events --------------------------------------------------------------------------------------------

    def _on_applied(self, blocks: list[AppliedBlock]) -> None:
        now = time.monotonic()
        self._book.applied(blocks)
        self._schedule.applied(now)
        self._applied_at.extend((block.tree_size, now) for block in blocks)
        for block in blocks:
            self._metrics.block_applied(block.header.records)
        self._news.set()

    def _on_note(self, sender: str, raw: bytes) -> None:
        if self._inbox.put(sender, raw, time.monotonic()):
            self._news.set()

    def _on_peer(self, node_id: str) -> None:
        """Tell a peer that has just come what it may have missed."""
        if self.final is not None:
            self._channel.send(node_id, self.final.note)
        for raw in self._latest:
            self._channel.send(node_id, raw)

    async def _wait(self, now: float) -> None:
        """Wait for news, or for the moment when time alone makes something due."""
        seconds = max(0.01, self._resend_at - now)
        if self._may_sign():
            seconds = min(seconds, self._schedule.wake_in(self._core.applied_height, now))
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            pass
        self._news.clear()

    # --- collecting ----------------------------------------------------------------------------------------

    def _collect(self, now: float) -> None:
        self._gathering.set_applied(self._core.size, now)
        for sender, raw in self._inbox.take():
            self._gathering.receive(sender, raw, now)
        self._act(self._gathering.settle())

    def _act(self, findings: list[Finding]) -> None:
        for finding in findings:
            match finding:
                case Finalized(attested):
                    self._finalized(attested)
                case Rejected(sender, code):
                    self._metrics.note_rejected(code)
                    if self._inbox.strike(sender, time.monotonic()):
                        _log.warning("peer_muted", sender=sender, code=code)
                case Convicted():
                    self._convict(finding)
                case SelfContradicted(reason, raw):
                    self._core.halt(reason, raw)
        if self._gathering.final is not self._kept:
            self._kept = self._gathering.final
            assert self._kept is not None, "what was final stays final"
            self._core.derived_store.put_note(_FINAL, self._kept.note)
            if self._kept.point.era_end:
                self._core.derived_store.put_note(_era_name(self._kept.point.height), self._kept.note)
            self._tell()
        elif findings:
            self._tell()

    def _finalized(self, attested: Attested) -> None:
        while self._applied_at and self._applied_at[0][0] <= attested.point.size:
            size, at = self._applied_at.popleft()
            if size == attested.point.size:
                self._metrics.final_after(time.monotonic() - at)
        _log.debug("final", height=attested.point.height, size=attested.point.size)

    def _convict(self, found: Convicted) -> None:
        """Keep the proof; the evidence file is what convicts the key after a restart as well."""
        root, proof = b"", tuple[bytes, ...]()
        if found.first_size != found.second_size:
            root = self._book.root_at(found.second_size)
            hashes = self._core.derived_store.hashes
            proof = prove_consistency(found.second_size, found.first_size, hashes)
        self._convicted[found.signer.public] = found.signer.name
        raw = convictions.encode(self._chain_id, found, root, proof)
        words = f"the cosigner key of {found.signer.name} has signed two trees that contradict each other"
        self._core.record_evidence(found.signer.node_id, words, raw)
        self._metrics.note_rejected("E_NOTE_CONVICTED")

    def _tell(self) -> None:
        for callback in self._changed:
            callback()

    # --- signing -------------------------------------------------------------------------------------------

    def _may_sign(self) -> bool:
        return self._signing is None and self._core.raft_status().role not in (Role.HALTED, Role.WAITING)

    def _sign_what_is_due(self, group: asyncio.TaskGroup, now: float) -> None:
        if not self._may_sign():
            return
        try:
            points = self._schedule.begin(self._core.applied_height, self._gathering.final_height, now)
            again = None if points else self._schedule.again(self._core.applied_height, now)
        except HaltedError as error:
            mark = self._schedule.mark
            assert mark is not None, "what is contradicted is a mark"
            self._core.halt(error.message, mark.root + self._book.point(mark.height).root)
            return
        if points:
            self._begin(group, points)
        elif again is not None:
            self._schedule.repeated(now)
            self._sign([again])

    def _begin(self, group: asyncio.TaskGroup, points: tuple[Point, ...]) -> None:
        """Ask for the mark; sign when it is durable. Without a key at these heights they are passed over."""
        last = points[-1]
        if self._keys.at(self._book.electorate(last.height)) is None:
            self._schedule.abandon(skip=True)
            self._news.set()
            return
        try:
            durable = self._core.persist_mark(last.height, last.size, last.root)
        except HaltedError:
            self._schedule.abandon(skip=False)
            return

        async def sign_when_durable() -> None:
            writing = asyncio.ensure_future(durable)
            try:
                await asyncio.sleep(
                    0
                )  # the disk begins; meanwhile the root is computed once more, from tiles
                self._recheck(last)
                await writing
            except HaltedError:
                self._schedule.abandon(skip=False)
            else:
                self._gathering.set_mark(last.size)
                self._schedule.done(time.monotonic())
                self._sign(list(points))
            finally:
                self._signing = None
                self._news.set()

        self._signing = group.create_task(sign_when_durable(), name="mark")

    def _recheck(self, point: Point) -> None:
        """Compute a root again by another way before it is signed: a bit that flipped in a memory stops here.

        Raises DerivedDamagedError, which ends the process; the next start derives everything anew.
        """
        if self._book.root_at(point.size) != point.root:
            words = f"the tiles do not lead to the root of size {point.size} that was derived"
            raise DerivedDamagedError("E_DERIVED_DAMAGED", words)

    def _sign(self, points: list[Point]) -> None:
        """Use the keys: the mark at or above these points is durable. Counts and sends."""
        own = self._keys.at(self._book.electorate(points[-1].height))
        if own is None:
            return
        self._time_s = max(self._time_s, int(time.time()), 1)
        raws: dict[int, bytes] = {}
        for point in points:
            text = notes.checkpoint_text(self._chain_id, point.size, point.root)
            line = note.cosign(own.signer.name, own.cosigner.seed, text, self._time_s)
            log_line = note.sign(self._chain_id, own.log.seed, text)
            seen = Seen(own.signer, point.size, self._time_s, text, line)
            self._gathering.own_signed(seen, point, own.log.public, log_line)
            raws[point.size] = notes.join(text, [log_line, line])
        every = self._book.every(points[-1].height)
        self._latest = [raws[point.size] for point in worth_sending(tuple(points), every)]
        self._latest_size = points[-1].size
        self._send(self._latest)
        self._act(self._gathering.settle())

    def _resend(self, now: float) -> None:
        """Repeat the newest own note while it is not final, and pass a newer final note on."""
        if now < self._resend_at:
            return
        self._resend_at = now + RESEND_S
        final = self.final
        if self._latest and (final is None or final.point.size < self._latest_size):
            self._send(self._latest[-1:])
        if final is not None and final is not self._passed_on:
            self._passed_on = final
            self._send([final.note])

    def _send(self, raws: list[bytes]) -> None:
        for node_id in self._channel.peers():
            for raw in raws:
                self._channel.send(node_id, raw)

    # --- what it is ----------------------------------------------------------------------------------------

    @property
    def _chain_id(self) -> str:
        return self._core.chain_id

    def _own_mark(self) -> Point | None:
        """The durable mark as a point; whether the chain holds it is asked before anything is signed."""
        mark = self._core.mark
        if mark is None:
            return None
        height, size, root = mark
        era_end = self._book.era_end_after(height - 1) == height
        return Point(height, size, root, era_end)


def _pace(config: Attest) -> Pace:
    return Pace(config.quiet_ms / 1000, float(config.resign_s), config.jump_heights)


def _era_name(height: int) -> str:
    return f"era-{height:015d}"
