"""No sender can push out another's notes, and who sends rubbish is not listened to for a while."""

from node.note_inbox import MUTE_S, PER_TURN, QUEUE_MAX, STRIKES_MAX, NoteInbox


def test_a_flood_costs_its_sender_only() -> None:
    """Its own oldest notes go; the other's single note comes in the first turn."""
    inbox = NoteInbox()
    for number in range(QUEUE_MAX + 10):
        inbox.put("market-1", b"%d" % number, 0.0)
    inbox.put("auditor-1", b"one", 0.0)
    turn = inbox.take()
    assert ("auditor-1", b"one") in turn
    assert len(turn) == PER_TURN + 1
    assert turn[0] == ("market-1", b"10")


def test_everything_is_taken_in_the_end() -> None:
    """In order of arrival for each sender."""
    inbox = NoteInbox()
    for number in range(150):
        inbox.put("market-1", b"%d" % number, 0.0)
    taken: list[bytes] = []
    while inbox:
        taken += [raw for _, raw in inbox.take()]
    assert taken == [b"%d" % number for number in range(150)]


def test_rejections_mute_for_a_while() -> None:
    """Exactly at the limit; what waits of the sender is dropped; afterwards it is heard again."""
    inbox = NoteInbox()
    inbox.put("market-1", b"x", 0.0)
    assert [inbox.strike("market-1", 1.0) for _ in range(STRIKES_MAX)] == [False] * (STRIKES_MAX - 1) + [True]
    assert not inbox
    assert not inbox.put("market-1", b"x", 1.0)
    assert inbox.put("auditor-1", b"x", 1.0)
    assert inbox.put("market-1", b"x", 1.0 + MUTE_S)
    assert not inbox.strike("market-1", 1.0 + MUTE_S)
