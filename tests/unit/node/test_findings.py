"""What is found carries the bytes that prove it."""

from attest_world import CHAIN_ID, World

from node import notes


def test_a_seen_signature_is_a_note_of_its_own() -> None:
    """The note of one line parses, and its line verifies."""
    world = World(length=4)
    party, point = world.parties["market-1"], world.points[3]
    seen = party.seen(point, 99)
    parsed = notes.parse(seen.note(), CHAIN_ID)
    assert (parsed.size, parsed.root) == (point.size, point.root)
    assert notes.cosigned_at(party.signer.public, parsed.text, parsed.lines[0]) == 99
