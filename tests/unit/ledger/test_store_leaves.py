"""From commitments to positions: whole leaves decide, all positions are found, and nobody's copies hide an
original.
"""

import random
from collections.abc import Sequence

import pytest
from fake_kv import MemoryKv

from ledger import store_index, store_leaves
from ledger.body import Body, BodyKind, encode_envelopes_body, parse_body
from ledger.envelope import seal_envelope
from ledger.errors import DerivedDamagedError, StoreDamagedError
from ledger.header import Header
from ledger.record import encode_leaves
from ledger.store_index import RecordIndex
from ledger.store_leaves import LeafFinder

CHAIN_ID = "test-01234567"


def _leaves(commitments: Sequence[bytes], source: str = "PUSH.SMS") -> bytes:
    count = len(commitments)
    return encode_leaves(
        "BROKER",
        commitments=list(commitments),
        sources=[source] * count,
        source_seqs=[None] * count,
        templates=["T"] * count,
        template_versions=[1] * count,
    )


class _World:
    """Blocks of made-up envelopes, with an index and a finder over them; counts the bodies that are read."""

    def __init__(self) -> None:
        self.bodies: list[Body | None] = [None]
        self.headers = [self._header(0, None, 0)]
        self.index = RecordIndex(MemoryKv(rebuildable=True))
        self.index.add(0, [])
        self.read: list[int] = []
        self.finder = LeafFinder(self.index, self._body, lambda height: self.headers[height])

    def _header(self, height: int, body: Body | None, size: int) -> Header:
        kind = BodyKind.ENVELOPES if body else BodyKind.EMPTY
        records = body.records if body else 0
        digest = body.digest if body else bytes(32)
        zeros = bytes(32)
        return Header(kind, CHAIN_ID, height, 1, zeros, 0, digest, records, size + records, zeros, zeros)

    def _body(self, height: int) -> bytes:
        self.read.append(height)
        body = self.bodies[height]
        assert body is not None
        return body.raw

    def add(self, *envelopes: bytes) -> int:
        """Add a block of envelopes with these leaves (none: an empty block); return its first index."""
        height, size = len(self.bodies), self.headers[-1].tree_size + 1
        sealed = [seal_envelope(CHAIN_ID, "BROKER", "k", leaves, bytes(32)).raw for leaves in envelopes]
        body = parse_body(encode_envelopes_body("broker-1", 1, sealed)) if sealed else None
        self.bodies.append(body)
        self.headers.append(self._header(height, body, size))
        joined = b"".join(envelopes)
        self.index.add(height, [joined[at + 13 : at + 29] for at in range(0, len(joined), 129)])
        return size


def _commitments(seed: int, count: int) -> list[bytes]:
    rng = random.Random(seed)
    return [rng.randbytes(32) for _ in range(count)]


def test_positions_over_several_envelopes() -> None:
    """A block's records are numbered through all its envelopes; `find` and `known` agree with that."""
    world = _World()
    first, second = _commitments(1, 5), _commitments(2, 3)
    start = world.add(_leaves(first), _leaves(second))
    assert start == 1
    assert world.add() == 10
    assert world.finder.find(second[1]) == [(1, 7)]
    assert world.finder.known(_leaves([second[2], first[0]])) == [8, 1]
    assert world.finder.find(bytes(32)) == []
    assert world.finder.block(1).first_index == 1
    assert world.finder.block(2).leaves == ()


def test_when_nothing_is_known_no_body_is_read() -> None:
    """The usual case ends at the filter."""
    world = _World()
    world.add(_leaves(_commitments(1, 500)))
    assert world.finder.known(_leaves(_commitments(9, 500))) == [None] * 500
    assert world.read == []


def test_a_replayed_envelope_reads_its_block_once() -> None:
    """All positions come from one body, in the order of the question."""
    world = _World()
    old = _commitments(1, 300)
    start = world.add(_leaves(old))
    for seed in range(5):
        world.add(_leaves(_commitments(20 + seed, 50)))
    asked = [*old[100:200], *_commitments(8, 3), *old[:100]]
    expected = [*range(start + 100, start + 200), None, None, None, *range(start, start + 100)]
    assert world.finder.known(_leaves(asked)) == expected
    assert world.read == [1]
    assert world.finder.known(_leaves(old))[:2] == [start, start + 1]
    assert world.read == [1]


def test_records_of_many_blocks_in_one_question() -> None:
    """Old records from everywhere, twice the same included, each get their own position."""
    world = _World()
    blocks = [_commitments(seed, 4) for seed in range(30)]
    starts = [world.add(_leaves(block)) for block in blocks]
    asked = [blocks[n][n % 4] for n in range(30)] + [blocks[3][3], bytes(31) + b"\1"]
    expected = [starts[n] + n % 4 for n in range(30)] + [starts[3] + 3, None]
    assert world.finder.known(_leaves(asked)) == expected


def test_a_duplicate_is_the_whole_leaf() -> None:
    """The same commitment under another source is another record; `find` gives both positions."""
    world = _World()
    commitment = _commitments(1, 1)
    start = world.add(_leaves(commitment))
    assert world.finder.known(_leaves(commitment, "CRM")) == [None]
    other = world.add(_leaves(commitment, "CRM"), _leaves(_commitments(2, 1)))
    assert world.finder.known(_leaves(commitment, "CRM")) == [other]
    assert world.finder.known(_leaves(commitment)) == [start]
    assert world.finder.find(commitment[0]) == [(1, start), (2, other)]


def test_commitments_that_begin_alike_are_not_alike() -> None:
    """Sixteen equal bytes lead to the same heights and to different answers."""
    world = _World()
    stem = bytes(16)
    alike = [stem + bytes((n,)) * 16 for n in range(1, 6)]
    start = world.add(_leaves(alike))
    assert world.finder.find(alike[2]) == [(1, start + 2)]
    assert world.finder.find(stem + b"\x77" * 16) == []
    assert world.finder.known(_leaves([stem + b"\x77" * 16, alike[4]])) == [None, start + 4]


def test_a_repeated_leaf_counts_at_its_first_position() -> None:
    """A faulty leader's repetition, within a block or later, changes no answer; `find` shows all of it."""
    world = _World()
    commitment = _commitments(1, 1)
    start = world.add(_leaves(_commitments(5, 2)), _leaves(commitment), _leaves(commitment))
    later = world.add(_leaves(commitment))
    assert world.finder.known(_leaves(commitment)) == [start + 2]
    assert world.finder.find(commitment[0]) == [(1, start + 2), (1, start + 3), (2, later)]


def test_copies_hide_no_original(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody copies the first 16 bytes into more blocks than are examined: the original is still found
    first.
    """
    monkeypatch.setattr(store_leaves, "CANDIDATES_MAX", 5)
    world = _World()
    original = _commitments(1, 1)
    start = world.add(_leaves(original))
    copies = [original[0][:16] + bytes((n,)) * 16 for n in range(20)]
    for copy in copies:
        world.add(_leaves([copy]))
    assert world.finder.find(original[0]) == [(1, start)]
    assert world.finder.known(_leaves(original)) == [start]
    world.read.clear()
    assert world.finder.known(_leaves([copies[19]])) == [None]
    assert len(world.read) <= 5


def test_an_index_that_lies_makes_no_position(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heights that hold no such leaf lead to "not on the chain", never to a wrong position."""
    world = _World()
    world.add(_leaves(_commitments(1, 5)))
    monkeypatch.setattr(RecordIndex, "suspects", lambda _, keys: list(range(len(keys))))
    monkeypatch.setattr(RecordIndex, "heights", lambda *_: [1])
    asked = _commitments(2, 3)
    assert world.finder.known(_leaves(asked)) == [None, None, None]
    assert world.finder.find(asked[0]) == []


def test_a_header_of_another_block_is_damage() -> None:
    """Header and body must belong together before a position is told."""
    world = _World()
    world.add(_leaves(_commitments(1, 5)))
    world.add(_leaves(_commitments(2, 5)))
    world.bodies[1] = world.bodies[2]
    with pytest.raises(DerivedDamagedError, match="not of one block"):
        world.finder.block(1)


def test_damage_of_the_chain_store_stays_what_it_is() -> None:
    """The derived store must not be rebuilt because a body is damaged: that error passes through."""

    def damaged(_: int) -> bytes:
        raise StoreDamagedError("E_STORE_DAMAGED", "a body")

    world = _World()
    world.add(_leaves(_commitments(1, 5)))
    finder = LeafFinder(world.index, damaged, lambda height: world.headers[height])
    with pytest.raises(StoreDamagedError) as caught:
        finder.find(_commitments(1, 1)[0])
    assert not isinstance(caught.value, DerivedDamagedError)
    garbage = LeafFinder(world.index, lambda _: b"\xc1", lambda height: world.headers[height])
    with pytest.raises(DerivedDamagedError):
        garbage.find(_commitments(1, 1)[0])


def test_runs_and_memory_answer_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same questions get the same answers when the index has been written to pages."""
    monkeypatch.setattr(store_index, "RUN_RECORDS", 20)
    world = _World()
    blocks = [_commitments(seed, 7) for seed in range(20)]
    starts = [world.add(_leaves(block)) for block in blocks]
    for start, block in zip(starts, blocks, strict=True):
        assert world.finder.known(_leaves(block)) == list(range(start, start + 7))
