"""Peer messages survive the wire, and whatever is not one is refused."""

import dataclasses
from typing import Any

import pytest
from mutations import substitutions

from consensus import messages as m
from consensus.types import Entry, EntryKind, Offer
from node import wire
from node.errors import WireError
from protos import peer_pb2 as pb

HASH = bytes(range(32))
CONTROL: list[m.Message] = [
    m.RequestPreVote("a", "b", 5, 10, 4, HASH),
    m.PreVoteAnswer("a", "b", 0, 5, True, 1_764_000_000_000),
    m.RequestVote("a", "b", 5, 10, 4, HASH, True),
    m.VoteAnswer("a", "b", 5, False, 10, HASH, 1_764_000_000_000),
    m.AppendAnswer("a", "b", 5, 10, HASH, True),
    m.AppendMismatch("a", "b", 5, 10, 9, 4, 3),
    m.Refusal("a", "b", 5, 10, "E_STAMP_AHEAD"),
    m.Heartbeat("a", "b", 5, 10, 77),
    m.HeartbeatAnswer("a", "b", 5, 77, 1_764_000_000_000),
    m.TermNotice("a", "b", 1 << 62),
    m.TimeoutNow("a", "b", 5),
]
OFFERS = (Offer(4, b"body one"), Offer(5, b"body two" * 100))


def _append(entries: tuple[Any, ...] = OFFERS, **changes: Any) -> m.AppendEntries:
    message = m.AppendEntries("a", "b", 5, 10, 4, HASH, 9, entries)
    return dataclasses.replace(message, **changes)


@pytest.mark.parametrize("message", CONTROL, ids=lambda message: type(message).__name__)
def test_control_messages_come_back_as_they_were(message: m.Message) -> None:
    """Sender and recipient are told by the connection, the rest by the frame."""
    frame = wire.encode_control(message)
    assert wire.decode_control(frame, "a", "b") == message
    other = wire.decode_control(frame, "x", "y")
    assert not isinstance(other, bytes)
    assert (other.sender, other.recipient) == ("x", "y")


def test_every_message_of_consensus_has_a_frame() -> None:
    """A message type that is added must be added here."""
    assert {type(message) for message in CONTROL} | {m.AppendEntries} == set(m.Message.__args__)


@pytest.mark.parametrize("entries", [(), OFFERS[:1], OFFERS])
def test_append_entries_come_back_as_offers(entries: tuple[Offer, ...]) -> None:
    """What a leader sends as entries arrives as offers: the receiver derives them itself."""
    derived = tuple(
        Entry(11 + at, offer.term, EntryKind.NORMAL, 1, offer.payload, HASH)
        for at, offer in enumerate(entries)
    )
    frame = wire.AppendEncoder().encode(_append(derived))
    assert wire.decode_append(frame, "a", "b") == _append(entries)


def test_entries_are_encoded_once_for_all_followers() -> None:
    """The same tuple to another follower costs only the few numbers; another tuple is encoded anew."""
    encoder = wire.AppendEncoder()
    first = encoder.encode(_append(commit=1))
    recent = encoder._recent
    second = encoder.encode(_append(recipient="c", commit=9))
    assert len(recent) == 1
    assert first != second
    assert wire.decode_append(second, "a", "c") == _append(recipient="c", commit=9)
    for at in range(6):
        encoder.encode(_append((Offer(5, b"%d" % at),)))
    assert len(recent) == 4, "what is remembered is bounded"


def test_hellos_are_handed_back_as_bytes() -> None:
    """Whether a hello may stand there is the door's business."""
    assert wire.decode_control(wire.encode_control_hello(b"h"), "a", "b") == b"h"
    assert wire.decode_append(wire.encode_data_hello(b"h"), "a", "b") == b"h"
    assert wire.decode_attest(wire.encode_attest_hello(b"h")) == (True, b"h")
    assert wire.decode_attest(wire.encode_note(b"n")) == (False, b"n")


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"", "E_WIRE_FRAME"),
        (b"\xff\xff\xff", "E_WIRE_FRAME"),
        (wire.encode_control_hello(b""), "E_WIRE_HELLO"),
        (wire.encode_control_hello(bytes(513)), "E_WIRE_HELLO"),
        (
            pb.ControlFrame(append_answer=pb.AppendAnswer(term=1, hash=bytes(31))).SerializeToString(),
            "E_WIRE_HASH",
        ),
        (pb.ControlFrame(request_vote=pb.RequestVote(term=1)).SerializeToString(), "E_WIRE_HASH"),
        (pb.ControlFrame(refusal=pb.Refusal(term=1, code="no code")).SerializeToString(), "E_WIRE_CODE"),
        (
            pb.ControlFrame(refusal=pb.Refusal(term=1, code="E_" + "A" * 61)).SerializeToString(),
            "E_WIRE_CODE",
        ),
    ],
)
def test_control_frames_that_are_none(frame: bytes, code: str) -> None:
    """Each by its own code."""
    with pytest.raises(WireError) as caught:
        wire.decode_control(frame, "a", "b")
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\xff", "E_WIRE_FRAME"),
        (b"", "E_WIRE_HASH"),
        (pb.DataFrame(hello=pb.Hello(hello=b"h"), term=1).SerializeToString(), "E_WIRE_HELLO"),
        (pb.DataFrame(prev_hash=HASH, entries=[pb.Offer(term=1)]).SerializeToString(), "E_WIRE_PAYLOAD"),
        (
            pb.DataFrame(prev_hash=HASH, entries=[pb.Offer(payload=bytes(4_194_305))]).SerializeToString(),
            "E_WIRE_PAYLOAD",
        ),
    ],
)
def test_data_frames_that_are_none(frame: bytes, code: str) -> None:
    """Each by its own code."""
    with pytest.raises(WireError) as caught:
        wire.decode_append(frame, "a", "b")
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"", "E_WIRE_FRAME"),
        (b"\xff", "E_WIRE_FRAME"),
        (wire.encode_note(b""), "E_WIRE_NOTE"),
        (wire.encode_note(bytes(65_537)), "E_WIRE_NOTE"),
        (wire.encode_attest_hello(b""), "E_WIRE_HELLO"),
    ],
)
def test_attest_frames_that_are_none(frame: bytes, code: str) -> None:
    """Each by its own code."""
    with pytest.raises(WireError) as caught:
        wire.decode_attest(frame)
    assert caught.value.code == code


def test_damaged_frames_are_a_message_or_a_wire_error_and_never_a_crash() -> None:
    """Protobuf has many spellings of one value, and a flipped bit may make another value: consensus and the
    hashes deal with those. What comes out is a message of consensus, a hello, or WireError.
    """
    for message in CONTROL:
        for changed in substitutions(wire.encode_control(message)):
            try:
                found = wire.decode_control(changed, "a", "b")
            except WireError:
                continue
            assert isinstance(found, bytes | m.Message)
    for changed in substitutions(wire.AppendEncoder().encode(_append(OFFERS[:1]))):
        try:
            found = wire.decode_append(changed, "a", "b")
        except WireError:
            continue
        assert isinstance(found, bytes | m.AppendEntries)
