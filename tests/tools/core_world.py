"""A node's core made of real stores in memory and the real fold, for tests of what lives beside it.

`Core` implements `ports.NodeCore`: a test applies bodies to it and everything else happens as in a node.
`Wire` connects the attest channels of several cores; a test may cut it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import ledger_world as world
import store_world

from ledger import ed25519
from ledger.body import Body
from ledger.chain import AppliedBlock, ChainPoint
from ledger.governance_state import State
from ledger.store_chain import ChainStore
from ledger.store_derived import DerivedStore
from node import notes
from node.chainbook import ChainBook
from node.config import Attest, NodeConfig
from node.errors import HaltedError
from node.findings import Attested, Seen
from node.keys import NodeKeys, Purpose, SigningKey, TlsIdentity
from node.ports import NodeStats, ObservedEntry, Parts, PeerLink, RaftStatus, Role


@dataclass
class Core:
    """See the module. `marks` is every mark that was made durable; `write_s` is how long that takes."""

    node_id: str = "broker-1"
    write_s: float = 0.0
    pair: store_world.Pair = field(default_factory=store_world.Pair)
    role: Role = Role.FOLLOWER
    marks: list[tuple[int, int, bytes]] = field(default_factory=list)
    halts: list[tuple[str, bytes]] = field(default_factory=list)
    evidence: list[tuple[str, str, bytes]] = field(default_factory=list)
    deaths: list[BaseException] = field(default_factory=list)
    counters: NodeStats = field(default_factory=NodeStats)
    callbacks: list[Callable[[list[AppliedBlock]], None]] = field(default_factory=list)
    signed_size_of: Callable[[str], int] | None = None

    # --- LedgerView ----------------------------------------------------------------------------------------

    @property
    def chain_id(self) -> str:
        """Chain id of the made-up network."""
        return self.pair.fold.chain_id

    @property
    def institution(self) -> str:
        """Whose node it is."""
        return world.NODES[self.node_id]

    @property
    def applied_height(self) -> int:
        """Newest applied height."""
        return self.pair.fold.height

    @property
    def size(self) -> int:
        """Applied tree size."""
        return self.pair.fold.tree_size

    @property
    def root(self) -> bytes:
        """Applied root."""
        return self.pair.fold.root

    @property
    def governance(self) -> State:
        """State that rules the next height."""
        return self.pair.fold.state

    @property
    def point(self) -> ChainPoint:
        """Where the fold stands."""
        return self.pair.fold.point

    @property
    def chain_store(self) -> ChainStore:
        """The real store, in memory."""
        return self.pair.chain

    @property
    def derived_store(self) -> DerivedStore:
        """The real store, in memory."""
        return self.pair.derived

    def raft_status(self) -> RaftStatus:
        """As configured by the test."""
        role = Role.HALTED if self.halts else self.role
        reason = self.halts[0][0] if self.halts else ""
        return RaftStatus(role, "broker-1", 1, self.applied_height, self.applied_height, reason)

    def stats(self) -> NodeStats:
        """Counters."""
        return self.counters

    def links(self) -> Sequence[PeerLink]:
        """None."""
        return ()

    # --- NodeCore ------------------------------------------------------------------------------------------

    def on_applied(self, callback: Callable[[list[AppliedBlock]], None]) -> None:
        """Told by `apply`."""
        self.callbacks.append(callback)

    def persist_mark(self, height: int, size: int, root: bytes) -> Awaitable[None]:
        """Durable after `write_s`."""
        if self.halts:
            raise HaltedError("E_HALTED", self.halts[0][0])
        assert not self.marks or self.marks[-1][1] < size, "marks never fall"
        return self._persist((height, size, root))

    async def _persist(self, mark: tuple[int, int, bytes]) -> None:
        await asyncio.sleep(self.write_s)
        self.marks.append(mark)

    @property
    def mark(self) -> tuple[int, int, bytes] | None:
        """Newest durable mark."""
        return self.marks[-1] if self.marks else None

    async def ingest(self, entries: Sequence[ObservedEntry]) -> None:
        """Store and apply what an observer has verified."""
        for entry in entries:
            assert entry.height == self.applied_height + 1, "rising without gaps"
            self.apply(entry.body.body, term=entry.term)

    def show_signed(self, size_of: Callable[[str], int]) -> None:
        """Remembered."""
        self.signed_size_of = size_of

    def halt(self, reason: str, evidence: bytes) -> None:
        """Remembered."""
        self.halts.append((reason, evidence))

    def record_evidence(self, subject: str, reason: str, evidence: bytes) -> None:
        """Remembered."""
        self.evidence.append((subject, reason, evidence))

    def fatal(self, error: BaseException) -> None:
        """Remembered."""
        self.deaths.append(error)

    # --- for tests -----------------------------------------------------------------------------------------

    def apply(self, *bodies: Body, term: int = 1) -> list[AppliedBlock]:
        """Commit and apply bodies as one group."""
        blocks = self.pair.apply(*bodies, term=term)
        for callback in self.callbacks:
            callback(blocks)
        return blocks


class Wire:
    """Attest channels between cores, by node id. `cut` holds pairs whose notes are lost."""

    def __init__(self, *node_ids: str) -> None:
        self.ends = {node_id: Channel(self, node_id) for node_id in node_ids}
        self.cut: set[tuple[str, str]] = set()
        self.sent: list[tuple[str, str, bytes]] = []


class Channel:
    """One node's `ports.AttestChannel` on a wire."""

    def __init__(self, wire: Wire, node_id: str) -> None:
        self._wire = wire
        self._node_id = node_id
        self.notes: list[Callable[[str, bytes], None]] = []
        self.news: list[Callable[[str], None]] = []

    def peers(self) -> Sequence[str]:
        """Everybody else on the wire."""
        return [node_id for node_id in self._wire.ends if node_id != self._node_id]

    def send(self, node_id: str, note: bytes) -> bool:
        """Delivered on the next turn of the loop, unless the wire is cut."""
        self._wire.sent.append((self._node_id, node_id, note))
        if (self._node_id, node_id) not in self._wire.cut:
            asyncio.get_running_loop().call_soon(self._wire.ends[node_id].deliver, self._node_id, note)
        return True

    def deliver(self, sender: str, note: bytes) -> None:
        """A note arrives."""
        for callback in self.notes:
            callback(sender, note)

    def on_note(self, callback: Callable[[str, bytes], None]) -> None:
        """Told by `deliver`."""
        self.notes.append(callback)

    def on_peer(self, callback: Callable[[str], None]) -> None:
        """Told by `meet`."""
        self.news.append(callback)

    def meet(self, node_id: str) -> None:
        """A session with a peer begins."""
        for callback in self.news:
            callback(node_id)


def keys_of(node_id: str, number: int = 1) -> NodeKeys:
    """The signing keys of a node of the made-up network; its TLS identity is empty."""
    seeds = world.node_keys(node_id, number)
    signing = tuple(
        SigningKey(purpose, f"{purpose}-{number}", ed25519.public_key(seed), seed)
        for purpose, seed in (
            (Purpose.NODE, seeds.node),
            (Purpose.LOG, seeds.log),
            (Purpose.COSIGNER, seeds.cosigner),
        )
    )
    return NodeKeys(signing, TlsIdentity(b"", b""))


def parts_of(
    core: Core, channel: Channel, folder: Path, keys: NodeKeys | None = None, **attest: int
) -> Parts:
    """What `service` would hand to the companions; `attest` changes the pace of cosigning."""
    config = NodeConfig(node_id=core.node_id, genesis="genesis.bin", attest=Attest(**attest), folder=folder)
    return Parts(core, channel, keys or keys_of(core.node_id), config)


class Known:
    """A `standing.Attestation` whose final checkpoint a test sets; `era_notes` by height of the era's end."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.final: Attested | None = None
        self.covered: Attested | None = None
        self.convicted: tuple[str, ...] = ()
        self.era_notes: dict[int, bytes] = {}
        self._callbacks: list[Callable[[], None]] = []

    def finalize(
        self, height: int, signers: tuple[str, ...] = ("broker-1", "market-1", "auditor-1")
    ) -> Attested:
        """Let the block end at `height` be final (and covered), signed with genesis keys."""
        self.final = self.covered = self.sign(height, signers)
        self.tell()
        return self.final

    def sign(self, height: int, signers: tuple[str, ...]) -> Attested:
        """The block end at `height`, signed by these nodes."""
        book = ChainBook(self._core)
        point = book.point(height)
        note = world.signed_note(world.genesis(), point.size, point.root, signers)
        parsed = notes.parse(note, self._core.chain_id)
        known = book.electorate(height).signers
        seen = tuple(
            Seen(known[line.name, line.key_id], point.size, notes.claimed_time(line) or 0, parsed.text, line)
            for line in parsed.lines
            if (line.name, line.key_id) in known
        )
        return Attested(point, note, seen)

    def seen(self) -> tuple[Seen, ...]:
        """Those of the final checkpoint."""
        return self.final.signers if self.final else ()

    def era_note(self, height: int) -> tuple[int, bytes | None] | None:
        """As set."""
        ends = [end for end in self.era_notes if end >= height]
        return (min(ends), self.era_notes[min(ends)]) if ends else None

    def on_change(self, callback: Callable[[], None]) -> None:
        """Told by `tell`."""
        self._callbacks.append(callback)

    def tell(self) -> None:
        """Something has changed."""
        for callback in self._callbacks:
            callback()
