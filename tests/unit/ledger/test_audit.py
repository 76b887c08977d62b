"""The audit: a good chain passes, and each planted error is found where it was planted."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import ledger_world as world
import pytest

from ledger import audit as audits
from ledger.audit import Finding, Progress, Verdict, audit
from ledger.body import Body, EmptyReason, encode_empty_body
from ledger.chain import AppliedBlock, Chain
from ledger.errors import StoreError
from ledger.governance_proposal import RotateKey
from ledger.merkle import split_row


@dataclass(frozen=True)
class Stored:
    """An entry as a store holds it."""

    term: int
    entry_hash: bytes
    body_raw: bytes


class FakeStore:
    """What a node stored about its chain, open to tampering."""

    def __init__(self, blocks: list[AppliedBlock]) -> None:
        self.stored = [Stored(block.term, block.entry_hash, block.body.raw) for block in blocks]
        self.headers = [block.header_leaf for block in blocks]
        self.positions = [block.first_index for block in blocks]
        self.tiles = {(t.level, t.index): t.data for block in blocks for t in block.tiles}
        for level, data in enumerate(blocks[-1].edge):
            self.tiles[level, blocks[-1].tree_size >> 8 * (level + 1)] = data
        self.height = len(blocks) - 1
        self.broken: set[str] = set()

    def entry(self, height: int) -> Stored:
        """The entry, unless it is lost."""
        self.fail("entry")
        return self.stored[height]

    def applied(self) -> int:
        """The last derived height."""
        self.fail("applied")
        return self.height

    def header_leaf(self, height: int) -> bytes:
        """The header leaf."""
        self.fail("header")
        return self.headers[height]

    def first_index(self, height: int) -> int:
        """The block's first leaf."""
        return self.positions[height]

    def tile(self, level: int, index: int, width: int) -> bytes:
        """Hashes of a tile."""
        return b"".join(split_row(self.tiles[level, index])[:width])

    def fail(self, what: str) -> None:
        """Raise as a store does when this was broken."""
        if what in self.broken:
            raise StoreError("E_STORE_DAMAGED", f"{what} cannot be read")


def made() -> list[AppliedBlock]:
    """Genesis, term start, 600 records, a log key rotation, new era, two records, and empty blocks."""
    chain, block = Chain.start(world.genesis_body())
    blocks = [block]
    rotate = RotateKey("broker-1", "cosigner", "cosigner-2", 1, world.public("c2"))
    bodies: list[Callable[[], Body]] = [
        world.empty_body,
        lambda: world.envelopes_body(chain.chain_id, (0, 600)),
        lambda: world.governance_body(chain.state, rotate),
        lambda: world.empty_body(EmptyReason.NEW_ERA),
        lambda: world.envelopes_body(chain.chain_id, (600, 2)),
        world.empty_body,
    ]
    blocks += [chain.apply(height, 1, body()) for height, body in enumerate(bodies, 1)]
    return blocks


BLOCKS = made()
LAST = len(BLOCKS) - 1
ERA = ("broker-1", "market-1", "auditor-1")


def note(height: int, signers: tuple[str, ...] = ERA, root: bytes | None = None) -> bytes:
    """A signed checkpoint at a block's end."""
    block = BLOCKS[height]
    return world.signed_note(block.ruling, block.tree_size, root or block.root, signers)


def run(store: FakeStore, last: int = LAST, **given: Any) -> tuple[list[Finding], Verdict, list[Progress]]:
    """Findings, verdict and progress of an audit of everything."""
    options: dict[str, Any] = {"derived": store, "chain_id": BLOCKS[0].state.chain_id} | given
    events = list(audit(store, last, **options))
    verdict = events.pop()
    assert isinstance(verdict, Verdict)
    findings = [event for event in events if isinstance(event, Finding)]
    return findings, verdict, [event for event in events if isinstance(event, Progress)]


def codes(store: FakeStore, last: int = LAST, **options: Any) -> list[tuple[str, int | None]]:
    """Code and height of each finding."""
    return [(one.code, one.height) for one in run(store, last, **options)[0]]


def test_a_good_chain_passes() -> None:
    """Nothing is found, the verdict names the last block, progress goes to the end."""
    notes = [note(height) for height in (0, 2, 3)] + [note(5, ("market-1", "auditor-1", "regulator-1"))]
    findings, verdict, progress = run(FakeStore(BLOCKS), notes=notes, progress_every=2)
    assert findings == []
    assert verdict == Verdict(complete=True, block=BLOCKS[-1], records=602, notes=4, findings=0)
    assert [one.height for one in progress] == [1, 3, 5, 6]
    assert progress[-1] == Progress(LAST, BLOCKS[-1].tree_size, 602)


def test_a_shorter_chain_is_complete_in_itself() -> None:
    """An auditor may stop at any committed height; a derived store may lag behind."""
    store = FakeStore(BLOCKS[:4])
    store.stored = FakeStore(BLOCKS).stored
    assert codes(store) == []
    assert run(FakeStore(BLOCKS[:4]), last=3)[1].complete


def test_bodies_alone() -> None:
    """Without a derived store and notes, the rules and entry hashes are still checked."""
    findings, verdict, _ = run(FakeStore(BLOCKS), derived=None, chain_id=None)
    assert findings == []
    assert verdict.complete


def tampered(height: int, **change: Any) -> FakeStore:
    """A store with one entry changed."""
    store = FakeStore(BLOCKS)
    store.stored[height] = replace(store.stored[height], **change)
    return store


def flipped(data: bytes, at: int) -> bytes:
    """Data with one bit flipped."""
    return data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]


@pytest.mark.parametrize(
    ("store", "code", "height"),
    [
        (
            tampered(2, body_raw=flipped(BLOCKS[2].body.raw, len(BLOCKS[2].body.raw) - 1)),
            "E_ENVELOPE_SIGNATURE",
            2,
        ),
        (tampered(2, body_raw=BLOCKS[2].body.raw[:-1]), "E_ENCODING_TRUNCATED", 2),
        (tampered(2, term=0), "E_CHAIN_TERM", 2),
        (tampered(0, term=1), "E_CHAIN_TERM", 0),
        (tampered(2, term=2), "E_AUDIT_ENTRY_HASH", 2),
        (tampered(2, entry_hash=bytes(32)), "E_AUDIT_ENTRY_HASH", 2),
        (
            tampered(1, body_raw=encode_empty_body("market-1", world.START_MS + 1, EmptyReason.NEW_TERM)),
            "E_AUDIT_ENTRY_HASH",
            1,
        ),
        (tampered(1, body_raw=encode_empty_body("broker-1", 1, EmptyReason.NEW_TERM)), "E_CHAIN_TIME", 1),
        (
            tampered(3, body_raw=flipped(BLOCKS[3].body.raw, len(BLOCKS[3].body.raw) - 1)),
            "E_GOVERNANCE_SIGNATURE",
            3,
        ),
        (tampered(0, body_raw=world.genesis_body(single=True, f=0, quorum=1).raw), "E_AUDIT_CHAIN", 0),
    ],
)
def test_a_changed_body_ends_the_audit(store: FakeStore, code: str, height: int) -> None:
    """The first height whose body is not what was ordered is named, and nothing behind it is believed."""
    findings, verdict, _ = run(store)
    assert [(one.code, one.height) for one in findings] == [(code, height)]
    assert not verdict.complete
    assert verdict.findings == 1
    assert verdict.block is None or verdict.block.height == height - 1


def test_unreadable_stores_are_findings() -> None:
    """A store that cannot be read makes a finding, not a crash."""
    store = FakeStore(BLOCKS)
    store.broken = {"entry"}
    findings, verdict, _ = run(store)
    assert [one.code for one in findings] == ["E_STORE_DAMAGED"]
    assert verdict == Verdict(complete=False, block=None, records=0, notes=0, findings=1)
    store.broken = {"applied"}
    assert codes(store) == [("E_STORE_DAMAGED", None)]
    store.broken = {"header"}
    assert codes(store) == [("E_STORE_DAMAGED", height) for height in range(LAST + 1)]


def test_changed_headers_positions_and_tiles_are_found() -> None:
    """What is derived may differ in several places; each is named at its height and the audit goes on."""
    store = FakeStore(BLOCKS)
    store.headers[1] = flipped(store.headers[1], 60)
    store.positions[4] += 1
    store.tiles[0, 0] = flipped(store.tiles[0, 0], 0)
    store.tiles[0, 2] = flipped(store.tiles[0, 2], 32 * 90)
    store.tiles[1, 0] = flipped(store.tiles[1, 0], 5)
    findings, verdict, _ = run(store)
    assert [(one.code, one.height) for one in findings] == [
        ("E_AUDIT_HEADER", 1),
        ("E_AUDIT_TILE", 2),
        ("E_AUDIT_POSITION", 4),
        ("E_AUDIT_TILE", LAST),
        ("E_AUDIT_TILE", LAST),
    ]
    assert verdict.complete
    assert verdict.findings == 5


def test_derived_ahead_of_the_chain_is_found() -> None:
    """A derived store that knows more than was committed is said so."""
    assert codes(FakeStore(BLOCKS), last=3)[0] == ("E_AUDIT_AHEAD", None)


def test_findings_are_counted_beyond_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is wrong everywhere does not fill the memory."""
    monkeypatch.setattr(audits, "FINDINGS_MAX", 3)
    store = FakeStore(BLOCKS)
    store.headers = [b""] * len(BLOCKS)
    findings, verdict, _ = run(store)
    assert len(findings) == 3
    assert verdict.findings == len(BLOCKS)


def test_notes_are_judged_by_the_keys_of_their_height() -> None:
    """The rotating block's checkpoint is signed with the old key; from the next height the old key is
    unknown.
    """
    assert codes(FakeStore(BLOCKS), notes=[note(3)]) == []
    assert codes(FakeStore(BLOCKS), notes=[note(4)]) == [("E_QUORUM", 4)]
    assert codes(FakeStore(BLOCKS), notes=[note(3), note(4)]) == [("E_QUORUM", 4)]


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        (note(2, root=bytes(32)), ("E_AUDIT_ROOT", 2)),
        (note(2, ("broker-1", "market-1")), ("E_QUORUM", 2)),
        (note(2).replace(b"test-", b"tess-"), ("E_TRUST_CHAIN", 2)),
        (b"nonsense", ("E_NOTE_FORMAT", None)),
        (world.signed_note(BLOCKS[0].state, 5, bytes(32), ERA), ("E_AUDIT_NOTE_SIZE", None)),
        (world.signed_note(BLOCKS[0].state, 10_000, bytes(32), ERA), ("E_AUDIT_BEHIND", None)),
    ],
)
def test_each_wrong_note(bad: bytes, expected: tuple[str, int | None]) -> None:
    """A checkpoint of another root, size, chain or with too few signatures is found."""
    assert codes(FakeStore(BLOCKS), notes=[note(1), bad]) == [expected]
