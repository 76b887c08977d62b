"""Made-up chains of one to three hundred leaves with receipts and trust files, by seed, for both verifiers.

A case is made by the ledger's own code, as a node and its clients would make it: other institutions, key counts, quorums,
positions and signers each time, with lines of strangers in between. Everything in it is right, so both verifiers must
accept it; tests then change it.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from rfc6962_reference import mth, path

from ledger import ed25519, note
from ledger.body import BodyKind
from ledger.checkpoint import Checkpoint, format_checkpoint
from ledger.header import NO_BLOCK, Header, encode_header
from ledger.merkle import EMPTY_ROOT
from ledger.note import Signature, VerifierKey
from ledger.policy import render_policy
from ledger.receipt import HeaderProof, build_receipt
from ledger.record import RecordLeaf, encode_leaf

INSTITUTIONS = ("AUDITOR", "BROKER", "MARKET", "REGULATOR")
SIZE_MAX = 300


@dataclass(frozen=True, slots=True)
class Party:
    """A node that signs: its names and seeds."""

    institution: str
    witness: str
    log_seed: bytes
    cosigner_seed: bytes


@dataclass(frozen=True, slots=True)
class Case:
    """What a court expert has: two files and the digest of the original, as hex."""

    receipt: bytes
    trust: bytes
    digest: str
    with_header: bool


@dataclass(frozen=True, slots=True)
class World:
    """A chain's parties and leaves; the leaf at `index` is the record of the block whose header is at `header`."""

    origin: str
    parties: tuple[Party, ...]
    log_parties: tuple[Party, ...]
    quorum: int
    leaves: tuple[bytes, ...]
    index: int
    header: int | None
    commitment: bytes

    def text(self) -> bytes:
        """The newest checkpoint's text."""
        return format_checkpoint(Checkpoint(self.origin, len(self.leaves), mth(self.leaves)))

    def trust(self) -> bytes:
        """The trust file."""
        logs = [VerifierKey(self.origin, note.ED25519, _public(one.log_seed)) for one in self.log_parties]
        groups = [
            (name, [(one.witness, _cosigner_key(one)) for one in self.parties if one.institution == name])
            for name in sorted({one.institution for one in self.parties})
        ]
        return render_policy(logs, groups, self.quorum)

    def receipt(self, lines: Sequence[Signature], *, text: bytes | None = None) -> bytes:
        """The receipt with these signature lines."""
        header = None
        if self.header is not None:
            proven = tuple(path(self.header, self.leaves))
            header = HeaderProof(self.header, self.leaves[self.header], proven)
        signed = note.format_note(text or self.text(), lines)
        proven = tuple(path(self.index, self.leaves))
        return build_receipt(self.leaves[self.index], self.index, proven, signed, header)

    def case(self, lines: Sequence[Signature], *, text: bytes | None = None) -> Case:
        """The receipt with these lines, the trust file and the digest."""
        receipt = self.receipt(lines, text=text)
        return Case(receipt, self.trust(), self.commitment.hex(), self.header is not None)

    def log_line(self, party: Party, text: bytes | None = None) -> Signature:
        """A log signature of the checkpoint."""
        return note.sign(self.origin, party.log_seed, text or self.text())

    def cosignature(self, party: Party, time_s: int = 1_764_000_000, text: bytes | None = None) -> Signature:
        """A cosignature of the checkpoint."""
        return note.cosign(party.witness, party.cosigner_seed, text or self.text(), time_s)

    def good_lines(self, rng: random.Random) -> list[Signature]:
        """Lines of at least one log and of the nodes of a quorum of institutions, in any order, with strangers."""
        names = sorted({one.institution for one in self.parties})
        signing = rng.sample(names, rng.randint(self.quorum, len(names)))
        lines = [
            self.log_line(one) for one in rng.sample(self.log_parties, rng.randint(1, len(self.log_parties)))
        ]
        for name in signing:
            nodes = [one for one in self.parties if one.institution == name]
            lines += [
                self.cosignature(one, rng.randint(1, 2**33))
                for one in rng.sample(nodes, rng.randint(1, len(nodes)))
            ]
        strangers = [stranger(rng, rng.choice([self.origin, self.parties[0].witness, "w.example/九"]))]
        lines += strangers * rng.randint(0, 2)
        rng.shuffle(lines)
        return lines


def stranger(rng: random.Random, name: str) -> Signature:
    """A line of a key that nobody knows, perhaps under a name that somebody has."""
    return Signature(name, rng.randbytes(4), rng.randbytes(rng.choice([1, 64, 72, 100])))


def world(rng: random.Random) -> World:
    """A chain with parties, sizes and places by chance."""
    origin = f"chain-{rng.randbytes(4).hex()}"
    names = sorted(rng.sample(INSTITUTIONS, rng.randint(1, 4)))
    parties = tuple(
        Party(name, f"{name}/{name.lower()}-{number}", rng.randbytes(32), rng.randbytes(32))
        for name in names
        for number in range(1, rng.randint(1, 2) + 1)
    )
    log_parties = tuple(rng.sample(parties, rng.randint(1, min(4, len(parties)))))
    size = rng.choice([rng.randint(1, 8), rng.randint(1, SIZE_MAX)])
    commitment = rng.randbytes(32)
    record = RecordLeaf(
        commitment,
        rng.choice(INSTITUTIONS),
        rng.choice(["CRM", "PUSH.SMS", "A" * 24]),
        rng.choice([None, 0, 7, 2**63 - 1]),
        rng.choice(["SMS-NTC-01", "~" * 32, "!"]),
        rng.randint(0, 65_535),
    )
    leaves = [_header(origin, 0, [], rng)] + [b"leaf %d" % number for number in range(1, size)]
    index = rng.randrange(size)
    leaves[index] = encode_leaf(record)
    header = None
    if 1 <= index < size - 1:
        header = rng.choice([None, rng.randint(index + 1, size - 1)])
    if header is not None:
        leaves[header] = _header(origin, header - index + rng.randint(0, index - 1), leaves[:header], rng)
    quorum = rng.randint(1, len(names))
    return World(origin, parties, log_parties, quorum, tuple(leaves), index, header, commitment)


def case(rng: random.Random) -> Case:
    """A right receipt with its trust file and digest."""
    made = world(rng)
    return made.case(made.good_lines(rng))


def _header(origin: str, records: int, before: Sequence[bytes], rng: random.Random) -> bytes:
    genesis = not before
    height = 0 if genesis else rng.randint(1, len(before) - records)
    return encode_header(
        Header(
            kind=BodyKind.GENESIS if genesis else BodyKind.ENVELOPES,
            chain_id=origin,
            height=height,
            term=0 if genesis else rng.choice([1, 200, 70_000]),
            prev=NO_BLOCK if genesis else rng.randbytes(32),
            timestamp_ms=rng.choice([0, 1_764_000_000_000, 2**63 - 1]),
            body_digest=rng.randbytes(32),
            records=records,
            tree_size=len(before),
            root=EMPTY_ROOT if genesis else mth(before),
            governance_hash=sha256(origin.encode()).digest(),
        )
    )


def _public(seed: bytes) -> bytes:
    return ed25519.public_key(seed)


def _cosigner_key(party: Party) -> VerifierKey:
    return VerifierKey(party.witness, note.ED25519_COSIGNATURE, _public(party.cosigner_seed))
