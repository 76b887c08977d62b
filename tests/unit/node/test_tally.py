"""The containers of the collection: one line per key, bounded waiting."""

from attest_world import CHAIN_ID, World

from node import notes
from node.tally import PARKED_BYTES_MAX, Line, Parked, Tally


def test_a_tally_knows_its_signers() -> None:
    """One line per key, verified or not."""
    world = World()
    point = world.points[3]
    tally = Tally(point, notes.checkpoint_text(CHAIN_ID, point.size, point.root))
    seen = world.parties["market-1"].seen(point, 5)
    tally.lines[seen.signer.public] = Line(seen.signer, seen.line, 5, "market-1", verified=False)
    tally.lines[seen.signer.public] = Line(seen.signer, seen.line, 5, "market-1", verified=True)
    assert tally.signers() == [seen.signer]


def test_a_size_is_parked_once() -> None:
    """A newer note at the same size replaces the older, and taking it leaves nothing."""
    parked = Parked()
    parked.put(7, b"old")
    parked.put(7, b"newer")
    assert parked.size_bytes == 5
    assert parked.take(7) == b"newer"
    assert parked.take(7) == b""
    assert parked.size_bytes == 0


def test_the_oldest_arrivals_give_way() -> None:
    """Bytes are bounded, whatever the number of notes."""
    parked = Parked()
    half = b"x" * (PARKED_BYTES_MAX // 2)
    for size in (9, 5, 7):
        parked.put(size, half)
    assert list(parked.notes) == [5, 7]
    assert parked.size_bytes == PARKED_BYTES_MAX
