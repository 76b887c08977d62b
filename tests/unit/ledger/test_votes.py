"""Acknowledgements, votes and greetings: fixed bytes that cannot be taken for each other."""

from collections.abc import Callable
from typing import Any

import pytest
from mutations import mutations

from ledger import votes
from ledger.encoding import pack
from ledger.errors import EncodingError

ACK = votes.Ack("test-00112233", "broker-1", 3, 300, bytes(range(32)))
VOTE = votes.Vote("test-00112233", 4, "broker-1", "market-1", 300, bytes(range(32)))
HELLO = votes.Hello("test-00112233", "broker-1", "market-1", bytes(16), b"\x01" * 16)
FORMATS: list[tuple[Any, Callable[[Any], bytes], Callable[[bytes], Any]]] = [
    (ACK, votes.encode_ack, votes.parse_ack),
    (VOTE, votes.encode_vote, votes.parse_vote),
    (HELLO, votes.encode_hello, votes.parse_hello),
]


@pytest.mark.parametrize(("value", "encode", "parse"), FORMATS)
def test_each_is_read_back(value: Any, encode: Callable[[Any], bytes], parse: Callable[[bytes], Any]) -> None:
    """Encoding and parsing are inverse, and no change leaves the meaning."""
    good = encode(value)
    assert parse(good) == value
    for bad in mutations(good):
        try:
            found = parse(bad)
        except EncodingError:
            continue
        assert found != value
        assert encode(found) == bad


def test_the_documented_arrays() -> None:
    """The bytes are those of the arrays in the docs."""
    assert votes.encode_ack(ACK) == pack(
        ["tiezheng/ack", 1, "test-00112233", "broker-1", 3, 300, bytes(range(32))]
    )
    assert votes.encode_vote(VOTE) == pack(
        ["tiezheng/vote", 1, "test-00112233", 4, "broker-1", "market-1", 300, bytes(range(32))]
    )
    assert votes.encode_hello(HELLO) == pack(
        ["tiezheng/hello", 1, "test-00112233", "broker-1", "market-1", bytes(16), b"\x01" * 16]
    )


def test_none_is_another() -> None:
    """Bytes of one purpose are refused as any other."""
    for value, encode, _ in FORMATS:
        for other, _, parse in FORMATS:
            if other is not value:
                with pytest.raises(EncodingError):
                    parse(encode(value))
    with pytest.raises(EncodingError) as caught:
        votes.parse_ack(pack(["tiezheng/hack", 1, "test-00112233", "broker-1", 3, 300, bytes(32)]))
    assert caught.value.code == "E_VOTE_PURPOSE"
