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

from ledger import names
from ledger.encoding import as_bytes, as_text, pack, require_format, unpack
from ledger.errors import EncodingError
from ledger.governance_state import NodeRole, State
from node.errors import PeerRefusedError

HELLO_PURPOSE = "tiezheng/hello"
_HELLO_MAX_BYTES = 512
INSTANCE_BYTES = 16


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
    voters = frozenset(node.node_id for node in state.nodes if node.role is NodeRole.VOTER)
    return PeerBook(state.chain_id, own_id, voters, state.node_tls_pins())


def make_hello(book: PeerBook, to: str, instance: bytes, nonce: bytes) -> bytes:
    """The canonical hello of this node to another."""
    return pack([HELLO_PURPOSE, 1, book.chain_id, book.own_id, to, instance, nonce])


def check_hello(raw: bytes, book: PeerBook, sender: str) -> bytes:
    """The sender's instance (16 bytes), if the hello is from `sender` to us on our chain.

    Raises PeerRefusedError: E_PEER_HELLO (malformed), E_PEER_CHAIN, E_PEER_NAME (its claim is not its
    certificate's owner), E_PEER_RECIPIENT.
    """
    try:
        fields = unpack(raw, max_bytes=_HELLO_MAX_BYTES, what="hello")
        if len(fields) != 7 or fields[0] != HELLO_PURPOSE:
            raise PeerRefusedError("E_PEER_HELLO", "not a hello")
        require_format(fields[1], "hello")
        chain_id = as_text(fields[2], "chain id", names.CHAIN_ID)
        claimed = as_text(fields[3], "sender", names.NODE_ID)
        to = as_text(fields[4], "recipient", names.NODE_ID)
        instance = as_bytes(fields[5], "instance", INSTANCE_BYTES)
        as_bytes(fields[6], "nonce", INSTANCE_BYTES)
    except EncodingError as error:
        raise PeerRefusedError("E_PEER_HELLO", error.message) from error
    if chain_id != book.chain_id:
        raise PeerRefusedError("E_PEER_CHAIN", f"the peer speaks of chain {chain_id}")
    if claimed != sender:
        raise PeerRefusedError("E_PEER_NAME", f"the certificate is {sender}'s, the hello says {claimed}")
    if to != book.own_id:
        raise PeerRefusedError("E_PEER_RECIPIENT", f"the hello is for {to}")
    return instance
