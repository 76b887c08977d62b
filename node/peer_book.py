"""Who the nodes of the chain are right now, as the connections need to know it, and how they greet.

Why: pins, roles and the chain id change only when a governance block is applied. The loop then makes a new
book and replaces the old one whole; readers on other threads (TLS handshakes) never see half a change.

Rules kept here
- A book is a frozen value. Identity is decided by the exact bytes of a certificate.
- A hello names chain, both ends, the folder's instance and a nonce of this run. It is checked after TLS has
  said who is there: a hello can only contradict, never introduce.

Refuses: addresses. They are configuration, not chain state.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ledger.errors import EncodingError
from ledger.governance_state import State
from ledger.votes import Hello, encode_hello, parse_hello
from node.errors import PeerRefusedError


@dataclass(frozen=True, slots=True)
class PeerBook:
    """Everybody's role and pinned certificates (DER), after some block."""

    chain_id: str
    own_id: str
    voters: frozenset[str]
    pins: Mapping[str, tuple[bytes, ...]]

    def owner_of(self, der: bytes | None) -> str | None:
        """The node whose pinned certificate this is, None for anybody else's."""
        if der is None:
            return None
        return next((node_id for node_id, pins in self.pins.items() if der in pins), None)

    def all_pins(self) -> list[bytes]:
        """All pinned certificates but our own."""
        return [der for node_id, pins in self.pins.items() if node_id != self.own_id for der in pins]


def book_from(state: State, own_id: str) -> PeerBook:
    """The book of a governance state."""
    return PeerBook(state.chain_id, own_id, frozenset(state.voters()), state.node_tls_pins())


def make_hello(book: PeerBook, to: str, instance: bytes, nonce: bytes) -> bytes:
    """The canonical hello of this node to another."""
    return encode_hello(Hello(book.chain_id, book.own_id, to, instance, nonce))


def check_hello(raw: bytes, book: PeerBook, sender: str) -> bytes:
    """The sender's instance (16 bytes), if the hello is from `sender` to us on our chain.

    Raises PeerRefusedError: E_PEER_HELLO (malformed), E_PEER_CHAIN, E_PEER_NAME (its claim is not its
    certificate's owner), E_PEER_RECIPIENT.
    """
    try:
        hello = parse_hello(raw)
    except EncodingError as error:
        raise PeerRefusedError("E_PEER_HELLO", error.message) from error
    if hello.chain_id != book.chain_id:
        raise PeerRefusedError("E_PEER_CHAIN", f"the peer speaks of chain {hello.chain_id}")
    if hello.sender != sender:
        raise PeerRefusedError("E_PEER_NAME", f"the certificate is {sender}'s, the hello says {hello.sender}")
    if hello.receiver != book.own_id:
        raise PeerRefusedError("E_PEER_RECIPIENT", f"the hello is for {hello.receiver}")
    return hello.instance
