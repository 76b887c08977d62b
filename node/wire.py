"""Peer messages: protobuf to consensus values and back, strictly. The only module that knows both.

Why: generated classes accept what they are given (missing fields, any length, the last of two spellings).
Whatever passes here is a value of consensus/messages.py with a known sender, hashes of 32 bytes and codes of
a known shape; the ranges of its numbers are checked by the core itself (`check_ranges`).

Rules kept here
- Sender and recipient are arguments: they come from the authenticated connection, never from the bytes.
- A frame holds exactly one thing. A hello is only ever a stream's first frame and is handed back as bytes.
- Entries are encoded once per tuple and joined to each follower's own few numbers: protobuf reads a message
  that was cut in two and joined again as the same message.

Refuses: frames of other shapes, with WireError; nothing is repaired or filled in.
"""

import re
from collections import deque
from collections.abc import Callable
from typing import Any

from google.protobuf.message import DecodeError
from google.protobuf.message import Message as Proto

from consensus import messages as m
from consensus.types import Entry, Offer
from node.errors import WireError
from protos import peer_pb2 as pb

HASH_BYTES = 32
PAYLOAD_MAX_BYTES = 4 * 1024 * 1024
HELLO_MAX_BYTES = 512
NOTE_MAX_BYTES = 64 * 1024
_CODE = re.compile(r"E_[A-Z0-9_]{1,60}")

# For each control message: the frame's field, the protobuf class, and the fields by which the two correspond.
_CONTROL: dict[type, tuple[str, Callable[..., Any], tuple[str, ...]]] = {
    m.RequestPreVote: (
        "request_pre_vote",
        pb.RequestPreVote,
        ("term", "last_index", "last_term", "last_hash"),
    ),
    m.PreVoteAnswer: ("pre_vote_answer", pb.PreVoteAnswer, ("term", "asked", "granted", "wall_ms")),
    m.RequestVote: (
        "request_vote",
        pb.RequestVote,
        ("term", "last_index", "last_term", "last_hash", "transfer"),
    ),
    m.VoteAnswer: (
        "vote_answer",
        pb.VoteAnswer,
        ("term", "granted", "last_index", "last_hash", "wall_ms"),
    ),
    m.AppendAnswer: ("append_answer", pb.AppendAnswer, ("term", "index", "hash", "resend")),
    m.AppendMismatch: (
        "append_mismatch",
        pb.AppendMismatch,
        ("term", "rejected", "hint_index", "hint_term", "commit"),
    ),
    m.Refusal: ("refusal", pb.Refusal, ("term", "index", "code")),
    m.Heartbeat: ("heartbeat", pb.Heartbeat, ("term", "commit", "round")),
    m.HeartbeatAnswer: ("heartbeat_answer", pb.HeartbeatAnswer, ("term", "round", "wall_ms")),
    m.TermNotice: ("term_notice", pb.TermNotice, ("term",)),
    m.TimeoutNow: ("timeout_now", pb.TimeoutNow, ("term",)),
}
_BY_FIELD = {row[0]: (kind, row[2]) for kind, row in _CONTROL.items()}


def encode_control(message: m.Message) -> bytes:
    """Return the frame of any message but AppendEntries."""
    field, proto, names = _CONTROL[type(message)]
    inner = proto(**{name: getattr(message, name) for name in names})
    return pb.ControlFrame(**{field: inner}).SerializeToString()


def decode_control(frame: bytes, sender: str, recipient: str) -> m.Message | bytes:
    """Return the message in a control frame, or the hello's bytes.

    Raises WireError: E_WIRE_FRAME (no such frame), E_WIRE_HASH, E_WIRE_CODE, E_WIRE_HELLO.
    """
    parsed = pb.ControlFrame()
    _parse(parsed, frame)
    field = parsed.WhichOneof("frame")
    if field is None:
        raise WireError("E_WIRE_FRAME", "a control frame without a message")
    if field == "hello":
        return _hello(parsed.hello)
    kind, names = _BY_FIELD[field]
    inner = getattr(parsed, field)
    values = {name: getattr(inner, name) for name in names}
    _check_values(values)
    message: m.Message = kind(sender=sender, recipient=recipient, **values)
    return message


class AppendEncoder:
    """Encodes AppendEntries frames, each tuple of entries once, however many followers it goes to."""

    def __init__(self, remembered: int = 4) -> None:
        """Remember the encodings of the last few tuples; they are held by the core's windows anyway."""
        self._recent: deque[tuple[tuple[Entry, ...] | tuple[Offer, ...], bytes]] = deque(maxlen=remembered)

    def encode(self, message: m.AppendEntries) -> bytes:
        """Return the data frame of one AppendEntries."""
        head = pb.DataFrame(
            term=message.term,
            prev_index=message.prev_index,
            prev_term=message.prev_term,
            prev_hash=message.prev_hash,
            commit=message.commit,
        ).SerializeToString()
        return head + self._entries(message.entries) if message.entries else head

    def _entries(self, entries: tuple[Entry, ...] | tuple[Offer, ...]) -> bytes:
        for known, encoded in self._recent:
            if known is entries:
                return encoded
        encoded = pb.DataFrame(
            entries=[pb.Offer(term=entry.term, payload=entry.payload) for entry in entries]
        ).SerializeToString()
        self._recent.append((entries, encoded))
        return encoded


def decode_append(frame: bytes, sender: str, recipient: str) -> m.AppendEntries | bytes:
    """Return the AppendEntries in a data frame, or the hello's bytes.

    Raises WireError: E_WIRE_FRAME, E_WIRE_HASH, E_WIRE_PAYLOAD, E_WIRE_HELLO.
    """
    parsed = pb.DataFrame()
    _parse(parsed, frame)
    if parsed.HasField("hello"):
        if len(parsed.ListFields()) != 1:
            raise WireError("E_WIRE_HELLO", "a hello among other things")
        return _hello(parsed.hello)
    _check_values({"prev_hash": parsed.prev_hash})
    offers = tuple(Offer(offer.term, offer.payload) for offer in parsed.entries)
    for offer in offers:
        if not 0 < len(offer.payload) <= PAYLOAD_MAX_BYTES:
            raise WireError("E_WIRE_PAYLOAD", f"a payload of {len(offer.payload)} bytes")
    return m.AppendEntries(
        sender=sender,
        recipient=recipient,
        term=parsed.term,
        prev_index=parsed.prev_index,
        prev_term=parsed.prev_term,
        prev_hash=parsed.prev_hash,
        commit=parsed.commit,
        entries=offers,
    )


def encode_control_hello(hello: bytes) -> bytes:
    """Return the first frame of a control stream."""
    return pb.ControlFrame(hello=pb.Hello(hello=hello)).SerializeToString()


def encode_data_hello(hello: bytes) -> bytes:
    """Return the first frame of a data stream."""
    return pb.DataFrame(hello=pb.Hello(hello=hello)).SerializeToString()


def encode_attest_hello(hello: bytes) -> bytes:
    """Return the first frame of an attest stream."""
    return pb.AttestFrame(hello=pb.Hello(hello=hello)).SerializeToString()


def encode_note(note: bytes) -> bytes:
    """Return the attest frame of a signed note."""
    return pb.AttestFrame(note=note).SerializeToString()


def decode_attest(frame: bytes) -> tuple[bool, bytes]:
    """Return (whether it is a hello, its bytes) of an attest frame.

    Raises WireError: E_WIRE_FRAME, E_WIRE_HELLO, E_WIRE_NOTE.
    """
    parsed = pb.AttestFrame()
    _parse(parsed, frame)
    field = parsed.WhichOneof("frame")
    if field == "hello":
        return True, _hello(parsed.hello)
    if field != "note":
        raise WireError("E_WIRE_FRAME", "an attest frame without a note")
    if not 0 < len(parsed.note) <= NOTE_MAX_BYTES:
        raise WireError("E_WIRE_NOTE", f"a note of {len(parsed.note)} bytes")
    return False, parsed.note


def _parse(into: Proto, frame: bytes) -> None:
    try:
        into.ParseFromString(frame)
    except DecodeError as error:
        raise WireError("E_WIRE_FRAME", "bytes that are no frame") from error


def _hello(hello: pb.Hello) -> bytes:
    if not 0 < len(hello.hello) <= HELLO_MAX_BYTES:
        raise WireError("E_WIRE_HELLO", f"a hello of {len(hello.hello)} bytes")
    return hello.hello


def _check_values(values: dict[str, Any]) -> None:
    for name in ("last_hash", "hash", "prev_hash"):
        if name in values and len(values[name]) != HASH_BYTES:
            raise WireError("E_WIRE_HASH", f"{name} has {len(values[name])} bytes, not {HASH_BYTES}")
    if "code" in values and not _CODE.fullmatch(values["code"]):
        raise WireError("E_WIRE_CODE", "a refusal whose code is none")
