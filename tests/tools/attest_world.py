"""A made-up chain of points and signers with real keys, for tests of attestation without a store or a
network.
"""

from dataclasses import dataclass, field
from hashlib import sha256

from ledger import ed25519, note
from ledger.merkle import root_of
from node import notes
from node.cosigner import Chain, Point
from node.electorate import Electorate, LineName, Signer
from node.findings import Seen
from node.gathering import Book
from node.notes import NoteLine

CHAIN_ID = "test-00c0ffee"
INSTITUTIONS = {
    "broker-1": "BROKER",
    "market-1": "MARKET",
    "auditor-1": "AUDITOR",
    "regulator-1": "REGULATOR",
}
LEAVES_PER_BLOCK = 3


def seed_of(word: str) -> bytes:
    """A seed that anybody can make again."""
    return sha256(word.encode()).digest()


@dataclass(frozen=True, slots=True)
class Party:
    """A signer with its seeds."""

    node_id: str
    signer: Signer
    seed: bytes
    log_seed: bytes

    @property
    def line_name(self) -> LineName:
        """Name and key id of its cosignature lines."""
        return self.signer.name, note.key_id(self.signer.name, note.ED25519_COSIGNATURE, self.signer.public)

    def seen(self, point: Point, time_s: int) -> Seen:
        """Its cosignature of a point."""
        text = notes.checkpoint_text(CHAIN_ID, point.size, point.root)
        line = note.cosign(self.signer.name, self.seed, text, time_s)
        return Seen(self.signer, point.size, time_s, text, line)

    def log_line(self, point: Point) -> NoteLine:
        """Its log signature of a point."""
        return note.sign(CHAIN_ID, self.log_seed, notes.checkpoint_text(CHAIN_ID, point.size, point.root))

    def note(self, point: Point, time_s: int = 1_700_000_000) -> bytes:
        """Its own note of a point: log signature and cosignature."""
        seen = self.seen(point, time_s)
        return notes.join(seen.text, [self.log_line(point), seen.line])


def party(node_id: str, institution: str, *, voter: bool, generation: str = "") -> Party:
    """A signer made from its name."""
    seed, log_seed = seed_of(f"{node_id}{generation} cosigner"), seed_of(f"{node_id}{generation} log")
    signer = Signer(f"{institution}/{node_id}", institution, node_id, ed25519.public_key(seed), voter)
    return Party(node_id, signer, seed, log_seed)


def electorate(parties: list[Party], quorum: int) -> Electorate:
    """Who judges, from a list of parties."""
    voters = sum(one.signer.voter for one in parties)
    logs = {}
    for one in parties:
        public = ed25519.public_key(one.log_seed)
        logs[CHAIN_ID, note.key_id(CHAIN_ID, note.ED25519, public)] = public
    return Electorate(quorum, voters // 2 + 1, 1, {one.line_name: one.signer for one in parties}, logs)


@dataclass(slots=True)
class World:
    """A chain of `length` blocks of three leaves each, and four parties; `salt` makes another chain.

    `era_ends`: heights of governance blocks. `every`: attest_every.
    """

    length: int = 64
    salt: str = ""
    fork_at: int = 10**9
    every: int = 1
    era_ends: frozenset[int] = frozenset()
    quorum: int = 3
    parties: dict[str, Party] = field(default_factory=dict)
    points: list[Point] = field(default_factory=list)
    leaves: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.parties = {
            node_id: party(node_id, institution, voter=institution != "REGULATOR")
            for node_id, institution in INSTITUTIONS.items()
        }
        for height in range(self.length):
            salt = self.salt if height >= self.fork_at else ""
            self.leaves += [
                sha256(f"{height} {leaf} {salt}".encode()).digest() for leaf in range(LEAVES_PER_BLOCK)
            ]
            size = len(self.leaves)
            root = root_of(self.leaves)
            self.points.append(Point(height, size, root, height in self.era_ends))

    def book(self) -> Book:
        """What `Gathering` asks."""
        by_size = {point.size: point for point in self.points}
        return Book(
            CHAIN_ID,
            by_size.get,
            lambda size: root_of(self.leaves[:size]),
            lambda size: (size - 1) // LEAVES_PER_BLOCK,
            lambda _height: electorate(list(self.parties.values()), self.quorum),
        )

    def chain(self) -> Chain:
        """What `Schedule` asks."""
        return Chain(
            self.points.__getitem__,
            lambda _height: self.every,
            lambda height: min((end for end in self.era_ends if end > height), default=None),
        )
