"""A contradiction is proven by its file alone; a file that proves nothing convicts nobody."""

from pathlib import Path

import pytest
from attest_world import CHAIN_ID, World

from ledger.merkle import node_hash
from ledger.proof import prove_consistency
from node import convictions
from node.errors import WireError
from node.findings import Convicted

WORLD, OTHER = World(), World(salt="other", fork_at=6)
PARTY = WORLD.parties["market-1"]


def reader(coordinates: object) -> list[bytes]:
    """Hashes of the world's tree, folded from its leaves."""
    found = []
    for level, index in coordinates:  # type: ignore[attr-defined]
        row = WORLD.leaves[index << level : (index + 1) << level]
        while len(row) > 1:
            row = [node_hash(a, b) for a, b in zip(row[::2], row[1::2], strict=True)]
        found.append(row[0])
    return found


def same_size() -> bytes:
    """Two roots at one size."""
    point, other = WORLD.points[7], OTHER.points[7]
    found = Convicted(PARTY.signer, PARTY.note(point), point.size, PARTY.note(other), other.size)
    return convictions.encode(CHAIN_ID, found, b"", ())


def larger_tree() -> bytes:
    """A signature on our tree above, and one on a foreign root below."""
    high, low, ours = WORLD.points[12], OTHER.points[7], WORLD.points[7]
    found = Convicted(PARTY.signer, PARTY.note(high), high.size, PARTY.note(low), low.size)
    proof = prove_consistency(ours.size, high.size, reader)
    return convictions.encode(CHAIN_ID, found, ours.root, proof)


@pytest.mark.parametrize("proof", [same_size(), larger_tree()])
def test_both_kinds_of_proof_convict(proof: bytes) -> None:
    """The key and its name come out."""
    conviction = convictions.verify(proof, CHAIN_ID)
    assert (conviction.name, conviction.public) == (PARTY.signer.name, PARTY.signer.public)


@pytest.mark.parametrize("proof", [same_size(), larger_tree()])
def test_a_changed_byte_convicts_nobody_else(proof: bytes) -> None:
    """Any change is refused, or touches a line that is not the key's; another key is never convicted."""
    for at in range(0, len(proof), 3):
        changed = proof[:at] + bytes([proof[at] ^ 1]) + proof[at + 1 :]
        try:
            conviction = convictions.verify(changed, CHAIN_ID)
        except WireError:
            continue
        assert conviction.public == PARTY.signer.public


def test_what_is_no_contradiction_is_refused() -> None:
    """One note twice, two consistent trees, a smaller first note, another chain, another signature."""
    point, high = WORLD.points[7], WORLD.points[12]
    note = PARTY.note(point)
    proof = prove_consistency(point.size, high.size, reader)
    stranger = WORLD.parties["auditor-1"]
    cases = [
        (Convicted(PARTY.signer, note, point.size, note, point.size), b"", ()),
        (Convicted(PARTY.signer, PARTY.note(high), high.size, note, point.size), point.root, proof),
        (Convicted(PARTY.signer, note, point.size, PARTY.note(high), high.size), point.root, proof),
        (Convicted(PARTY.signer, note, point.size, stranger.note(OTHER.points[7]), point.size), b"", ()),
    ]
    for found, root, hashes in cases:
        with pytest.raises(WireError):
            convictions.verify(convictions.encode(CHAIN_ID, found, root, hashes), CHAIN_ID)
    with pytest.raises(WireError):
        convictions.verify(same_size(), "other-00c0ffee")


def test_a_folder_is_read_back(tmp_path: Path) -> None:
    """Proofs count once per key; other files and rubbish are passed over; no folder is no convictions."""
    assert convictions.load(tmp_path / "evidence", CHAIN_ID) == ()
    (tmp_path / "one.bin").write_bytes(same_size())
    (tmp_path / "two.bin").write_bytes(larger_tree())
    (tmp_path / "rubbish.bin").write_bytes(b"\x00" * 100)
    (tmp_path / "words.txt").write_bytes(same_size())
    assert [one.public for one in convictions.load(tmp_path, CHAIN_ID)] == [PARTY.signer.public]
