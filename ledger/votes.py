"""The bytes of signed acknowledgements, votes and greetings between nodes. Formats only, fixed before they
are used.

Why now: a lie can be proven only if what was said was signed, and a format that is added later would leave a
time in which nothing can be proven. So the bytes are fixed from the start, also while nothing signs them yet.

Formats (canonical arrays; a node signs exactly these bytes with its node key):

- acknowledgement ``["tiezheng/ack", 1, chain_id, node_id, term, height, entry_hash]``: "I durably hold this
  entry"
- vote ``["tiezheng/vote", 1, chain_id, term, voter, candidate, last_height, last_entry_hash]``
- hello ``["tiezheng/hello", 1, chain_id, from, to, instance (16 bytes), nonce (16 bytes)]``

Rules kept here: one spelling each; the purposes differ, so no signature can be taken for another's.
Refuses: counting or judging. Two acknowledgements of one node for one (term, height) with different entry
hashes, or two votes of one voter in one term, convict their key; who looks for that is not decided here.
"""

from dataclasses import dataclass
from typing import Final

from ledger import names
from ledger.encoding import as_array, as_bytes, as_int, as_text, pack, require_format, unpack
from ledger.errors import EncodingError

ACK: Final = "tiezheng/ack"
VOTE: Final = "tiezheng/vote"
HELLO: Final = "tiezheng/hello"
INSTANCE_BYTES: Final = 16
NONCE_BYTES: Final = 16
_BYTES_MAX: Final = 256


@dataclass(frozen=True, slots=True)
class Ack:
    """A node durably holds the entry with this hash at (term, height)."""

    chain_id: str
    node_id: str
    term: int
    height: int
    entry_hash: bytes


@dataclass(frozen=True, slots=True)
class Vote:
    """A voter's one vote in a term; `last_height` and `last_entry_hash` are the candidate's, which it
    compared.
    """

    chain_id: str
    term: int
    voter: str
    candidate: str
    last_height: int
    last_entry_hash: bytes


@dataclass(frozen=True, slots=True)
class Hello:
    """One instance of a node greets another; `nonce` is the other side's challenge."""

    chain_id: str
    sender: str
    receiver: str
    instance: bytes
    nonce: bytes


def encode_ack(ack: Ack) -> bytes:
    """Return the bytes that the acknowledging node signs."""
    return pack([ACK, 1, ack.chain_id, ack.node_id, ack.term, ack.height, ack.entry_hash])


def encode_vote(vote: Vote) -> bytes:
    """Return the bytes that the voter signs."""
    last: list[int | bytes] = [vote.last_height, vote.last_entry_hash]
    return pack([VOTE, 1, vote.chain_id, vote.term, vote.voter, vote.candidate, *last])


def encode_hello(hello: Hello) -> bytes:
    """Return the bytes that the greeting node signs."""
    return pack([HELLO, 1, hello.chain_id, hello.sender, hello.receiver, hello.instance, hello.nonce])


def parse_ack(raw: bytes) -> Ack:
    """Return the acknowledgement that `raw` spells. Raises EncodingError E_ENCODING_…, E_FIELD_…,
    E_VOTE_PURPOSE.
    """
    fields = _fields(raw, ACK, 7)
    return Ack(
        as_text(fields[2], "ack chain id", names.CHAIN_ID),
        as_text(fields[3], "ack node id", names.NODE_ID),
        as_int(fields[4], "ack term"),
        as_int(fields[5], "ack height"),
        as_bytes(fields[6], "ack entry hash", 32),
    )


def parse_vote(raw: bytes) -> Vote:
    """Return the vote that `raw` spells. Raises EncodingError E_ENCODING_…, E_FIELD_…, E_VOTE_PURPOSE."""
    fields = _fields(raw, VOTE, 8)
    return Vote(
        as_text(fields[2], "vote chain id", names.CHAIN_ID),
        as_int(fields[3], "vote term"),
        as_text(fields[4], "voter", names.NODE_ID),
        as_text(fields[5], "candidate", names.NODE_ID),
        as_int(fields[6], "vote last height"),
        as_bytes(fields[7], "vote last entry hash", 32),
    )


def parse_hello(raw: bytes) -> Hello:
    """Return the greeting that `raw` spells. Raises EncodingError E_ENCODING_…, E_FIELD_…, E_VOTE_PURPOSE."""
    fields = _fields(raw, HELLO, 7)
    return Hello(
        as_text(fields[2], "hello chain id", names.CHAIN_ID),
        as_text(fields[3], "hello sender", names.NODE_ID),
        as_text(fields[4], "hello receiver", names.NODE_ID),
        as_bytes(fields[5], "hello instance", INSTANCE_BYTES),
        as_bytes(fields[6], "hello nonce", NONCE_BYTES),
    )


def _fields(raw: bytes, purpose: str, length: int) -> list[object]:
    fields = as_array(unpack(raw, max_bytes=_BYTES_MAX, what=purpose), purpose, length)
    if fields[0] != purpose:
        raise EncodingError("E_VOTE_PURPOSE", f"not the bytes of a {purpose}")
    require_format(fields[1], purpose)
    return fields
