"""The peer book: identity by exact certificates, and hellos that can only contradict."""

import ledger_world as world
import pytest
from mutations import mutations

from node.errors import PeerRefusedError
from node.peer_book import PeerBook, book_from, check_hello, make_hello

INSTANCE, NONCE = bytes(range(16)), bytes(16)


def _book(own_id: str = "broker-1") -> PeerBook:
    return book_from(world.genesis(), own_id)


def test_a_book_knows_voters_and_pins() -> None:
    """The observer is pinned too, and does not vote."""
    book = _book()
    assert book.voters == {"broker-1", "market-1", "auditor-1"}
    assert set(book.pins) == {"broker-1", "market-1", "auditor-1", "regulator-1"}
    assert len(book.all_pins()) == 3, "everybody's but our own"


def test_identity_is_decided_by_the_exact_certificate() -> None:
    """One byte more is nobody."""
    book = _book()
    der = book.pins["market-1"][0]
    assert book.owner_of(der) == "market-1"
    assert book.owner_of(der + b"\x00") is None
    assert book.owner_of(None) is None


def test_a_hello_is_accepted_from_its_sender_to_its_recipient() -> None:
    """It tells the instance of the sender's folder."""
    hello = make_hello(_book("market-1"), "broker-1", INSTANCE, NONCE)
    assert check_hello(hello, _book(), "market-1") == INSTANCE


@pytest.mark.parametrize(
    ("hello", "code"),
    [
        (b"", "E_PEER_HELLO"),
        (b"\x90", "E_PEER_HELLO"),
        (b"\xff" * 600, "E_PEER_HELLO"),
        (make_hello(_book("auditor-1"), "broker-1", INSTANCE, NONCE), "E_PEER_NAME"),
        (make_hello(_book("market-1"), "auditor-1", INSTANCE, NONCE), "E_PEER_RECIPIENT"),
    ],
)
def test_a_hello_that_contradicts_is_refused(hello: bytes, code: str) -> None:
    """Each lie has its code."""
    with pytest.raises(PeerRefusedError) as caught:
        check_hello(hello, _book(), "market-1")
    assert caught.value.code == code


def test_a_hello_of_another_chain_is_refused() -> None:
    """Two test networks on one machine must not meet."""
    other = PeerBook("other-00000000", "market-1", frozenset(), {})
    with pytest.raises(PeerRefusedError) as caught:
        check_hello(make_hello(other, "broker-1", INSTANCE, NONCE), _book(), "market-1")
    assert caught.value.code == "E_PEER_CHAIN"


def test_every_changed_hello_is_refused_or_differs_in_its_random_parts_only() -> None:
    """Instance and nonce are opaque; everything else is one spelling."""
    hello = make_hello(_book("market-1"), "broker-1", INSTANCE, NONCE)
    book = _book()
    for changed in mutations(hello):
        try:
            check_hello(changed, book, "market-1")
        except PeerRefusedError:
            continue
        assert len(changed) == len(hello)
        assert changed[:-34] == hello[:-34], "before instance (18 bytes) and nonce (16 of its 18)"
