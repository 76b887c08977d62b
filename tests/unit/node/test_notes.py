"""Notes between nodes are read strictly; a line is judged alone."""

import pytest
from attest_world import CHAIN_ID, World

from ledger import ed25519
from node import notes
from node.errors import WireError
from node.notes import NoteLine

WORLD = World(length=8)
PARTY = WORLD.parties["market-1"]
RAW = PARTY.note(WORLD.points[5], 77)


def test_a_note_is_taken_apart() -> None:
    """Size, root, the signed text and both lines."""
    parsed = notes.parse(RAW, CHAIN_ID)
    point = WORLD.points[5]
    assert (parsed.size, parsed.root) == (point.size, point.root)
    assert parsed.text == notes.checkpoint_text(CHAIN_ID, point.size, point.root)
    assert [line.name for line in parsed.lines] == [CHAIN_ID, "MARKET/market-1"]
    assert notes.join(parsed.text, parsed.lines) == RAW


def test_lines_are_verified_one_by_one() -> None:
    """The cosignature gives its time, the log line is good under the log key, and neither passes for the
    other.
    """
    log, cosignature = notes.parse(RAW, CHAIN_ID).lines
    text = notes.parse(RAW, CHAIN_ID).text
    log_public = ed25519.public_key(PARTY.log_seed)
    assert notes.claimed_time(cosignature) == 77
    assert notes.claimed_time(log) is None
    assert notes.cosigned_at(PARTY.signer.public, text, cosignature) == 77
    assert notes.cosigned_at(PARTY.signer.public, text + b"x", cosignature) is None
    assert notes.cosigned_at(PARTY.signer.public, text, log) is None
    assert notes.log_signed(log_public, text, log)
    assert not notes.log_signed(log_public, text, cosignature)


def test_a_time_of_zero_counts_for_nothing() -> None:
    """C2SP tlog-witness forbids it, and we take no such line."""
    assert notes.claimed_time(NoteLine("A/a", b"1234", bytes(72))) is None


@pytest.mark.parametrize("at", range(len(RAW)))
def test_a_changed_byte_is_refused_or_leaves_no_good_line(at: int) -> None:
    """Whatever byte is changed: the note is unreadable, or the cosignature does not verify, or only the other
    line was hit.
    """
    changed = RAW[:at] + bytes([RAW[at] ^ 1]) + RAW[at + 1 :]
    try:
        parsed = notes.parse(changed, CHAIN_ID)
    except WireError:
        return
    good = [line for line in parsed.lines if notes.cosigned_at(PARTY.signer.public, parsed.text, line)]
    # the base name and key id of a line are the caller's to compare; its signature bytes are what is judged
    # here
    assert not good or parsed.text == notes.parse(RAW, CHAIN_ID).text
