"""The attest hub: sessions of either direction, newest first, best effort."""

from node.attest_stream import AttestHub
from node.wire import decode_attest


async def test_a_note_goes_over_the_newest_session() -> None:
    """When it ends, the one before is used again; without any, the note is not sent."""
    hub = AttestHub()
    assert not hub.send("a", b"note")
    old, new = hub.new_outbox(), hub.new_outbox()
    hub.opened("a", old)
    hub.opened("a", new)
    assert hub.peers() == ["a"]
    assert hub.send("a", b"one")
    assert (len(old), len(new)) == (0, 1)
    frame = await new.next()
    assert frame is not None
    assert decode_attest(frame) == (False, b"one")
    hub.closed("a", new)
    assert hub.send("a", b"two")
    assert len(old) == 1
    hub.closed("a", old)
    hub.closed("a", old)
    assert hub.peers() == []
    assert not hub.send("a", b"three")


async def test_arrivals_and_newcomers_are_told_to_everybody() -> None:
    """Each listener hears each note with its sender, and each session that begins."""
    hub = AttestHub()
    notes: list[tuple[str, bytes]] = []
    peers: list[str] = []
    hub.on_note(lambda who, note: notes.append((who, note)))
    hub.on_note(lambda who, note: notes.append((who, note)))
    hub.on_peer(peers.append)
    hub.opened("b", hub.new_outbox())
    hub.received("b", b"n")
    assert peers == ["b"]
    assert notes == [("b", b"n")] * 2


async def test_a_session_that_is_not_read_holds_a_bounded_number_of_notes() -> None:
    """The oldest go."""
    hub = AttestHub()
    box = hub.new_outbox()
    hub.opened("a", box)
    for at in range(200):
        hub.send("a", b"%d" % at)
    assert len(box) == 64
    first = await box.next()
    assert first is not None
    assert decode_attest(first)[1] == b"136"
