"""Contradicting signatures are remembered per key, bounded, and matched by size."""

from attest_world import CHAIN_ID, World

from node import notes
from node.dissent import DISSENT_MAX, Dissent
from node.notes import ParsedNote


def note_of(world: World, node_id: str, height: int) -> ParsedNote:
    """A note as the collection hands it in."""
    return notes.parse(world.parties[node_id].note(world.points[height]), CHAIN_ID)


def test_a_note_is_found_by_any_tree_that_contains_its_size() -> None:
    """At its size or above, not below; and only under its own key."""
    world, dissent = World(), Dissent()
    signer = world.parties["market-1"].signer
    note = note_of(world, "market-1", 5)
    assert signer.public not in dissent
    assert dissent.add(signer, note) is None
    assert signer.public in dissent
    assert dissent.at_or_below(signer.public, note.size) == note
    assert dissent.at_or_below(signer.public, note.size - 1) is None
    assert dissent.at_or_below(b"somebody else", note.size) is None


def test_another_root_at_a_known_size_is_told() -> None:
    """The earlier note comes back, as the first half of the proof."""
    one, two, dissent = World(salt="one", fork_at=2), World(salt="two", fork_at=2), Dissent()
    signer = one.parties["market-1"].signer
    first = note_of(one, "market-1", 5)
    dissent.add(signer, first)
    assert dissent.add(signer, first) is None
    assert dissent.add(signer, note_of(two, "market-1", 5)) == first


def test_signers_of_one_root_are_counted_together() -> None:
    """Only those of exactly this size and root."""
    one, two, dissent = World(salt="one", fork_at=2), World(salt="two", fork_at=2), Dissent()
    for world, node_id in ((one, "market-1"), (one, "auditor-1"), (two, "broker-1")):
        dissent.add(world.parties[node_id].signer, note_of(world, node_id, 5))
    point = one.points[5]
    assert {signer.node_id for signer in dissent.signers_of(point.size, point.root)} == {
        "market-1",
        "auditor-1",
    }


def test_the_oldest_of_a_key_give_way() -> None:
    """A key that signs nonsense for ever costs a bounded amount of memory."""
    world, dissent = World(), Dissent()
    signer = world.parties["market-1"].signer
    for height in range(DISSENT_MAX + 3):
        dissent.add(signer, note_of(world, "market-1", height))
    assert dissent.at_or_below(signer.public, world.points[2].size) is None
    assert dissent.at_or_below(signer.public, world.points[3].size) is not None
