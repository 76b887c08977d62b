"""Who may do what at which height: the values that governance folds, and the questions asked of them.

Why: a block at height h is judged by what the chain had decided up to h - 1, by everybody alike, also years
later. So nothing is ever dropped from the state: a key that is replaced or revoked keeps its row with the
heights at which it was valid, and its id and its bytes can never come back.

Rules kept here:
- A range [from_height, until_height) in heights: the first height a key is valid at and the first it no
  longer is; until 0 means open. An action in block h gives and ends ranges at h + 1, so the block itself is
  still signed with the old keys.
- All lists are sorted: institutions by id, nodes by id, submitters by (institution, key id), keys in the
  order they were given. An answer never depends on the order of a dict or a set.

Refuses: changing anything. `governance_actions` makes new states, `governance_rules` says which ones may
exist.
"""

from bisect import bisect_left
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

INSTITUTION_ROLES: Final = ("broker", "market", "auditor", "regulator", "partner")


class NodeRole(StrEnum):
    """What a node does: voters order, observers follow and sign, removed ones are history."""

    VOTER = "voter"
    OBSERVER = "observer"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Key:
    """An Ed25519 public key (32 bytes) with the heights it is valid at."""

    key_id: str
    sig_alg: int
    public: bytes
    from_height: int
    until_height: int

    def open_at(self, height: int) -> bool:
        """Return whether the key is valid at `height`."""
        return self.from_height <= height and (not self.until_height or height < self.until_height)


@dataclass(frozen=True, slots=True)
class TlsPin:
    """A node's exact TLS certificate (DER) with the heights it is pinned at."""

    key_id: str
    der: bytes
    from_height: int
    until_height: int

    def open_at(self, height: int) -> bool:
        """Return whether the certificate is pinned at `height`."""
        return self.from_height <= height and (not self.until_height or height < self.until_height)


@dataclass(frozen=True, slots=True)
class Institution:
    """An institution; it is a member for as long as one of its governance keys is open."""

    institution: str
    name: str
    uscc: str
    role: str
    keys: tuple[Key, ...]

    @property
    def open(self) -> bool:
        """Whether the institution is a member in this state."""
        return any(not key.until_height for key in self.keys)


@dataclass(frozen=True, slots=True)
class Node:
    """A process of one institution, with every key it has had. Unless removed, each list has one open key."""

    node_id: str
    institution: str
    role: NodeRole
    node_keys: tuple[Key, ...]
    log_keys: tuple[Key, ...]
    cosigner_keys: tuple[Key, ...]
    tls: tuple[TlsPin, ...]

    def cosigner_name(self) -> str:
        """Return the name of this node's cosigner in policies and note lines."""
        return f"{self.institution}/{self.node_id}"


@dataclass(frozen=True, slots=True)
class Submitter:
    """A gateway's signing key and its exact TLS client certificate (DER), valid at the same heights."""

    institution: str
    key_id: str
    sig_alg: int
    public: bytes
    tls_der: bytes
    from_height: int
    until_height: int

    def open_at(self, height: int) -> bool:
        """Return whether the submitter may submit at `height`."""
        return self.from_height <= height and (not self.until_height or height < self.until_height)


@dataclass(frozen=True, slots=True)
class Limits:
    """The chain's own limits, below the formats' hard ones.

    attest_every: heights between checkpoints that everybody signs. skew_ms: how far a leader's clock may be
    ahead of a follower's. promote_lag_heights: how far behind an observer may be that becomes a voter.
    """

    attest_every: int = 1
    skew_ms: int = 10_000
    body_max_bytes: int = 1_048_576
    body_max_records: int = 5_000
    envelope_max_records: int = 5_000
    promote_lag_heights: int = 64


@dataclass(frozen=True, slots=True)
class State:
    """Everything governance has decided up to some height. It rules the next one.

    `f` is fixed at genesis: how many institutions may lie without two contradicting checkpoints becoming
    final. `quorum` is how many institutions sign, a checkpoint or a proposal. `next_sequence` numbers
    proposals, so that none is applied twice. `chain_id` is not part of the state's bytes: it hangs on them.
    """

    chain_id: str
    f: int
    quorum: int
    next_sequence: int
    institutions: tuple[Institution, ...]
    nodes: tuple[Node, ...]
    submitters: tuple[Submitter, ...]
    limits: Limits

    def institution(self, institution: str) -> Institution | None:
        """Return an institution, member or former member, or None."""
        at = bisect_left(self.institutions, institution, key=lambda row: row.institution)
        if at < len(self.institutions) and self.institutions[at].institution == institution:
            return self.institutions[at]
        return None

    def node(self, node_id: str) -> Node | None:
        """Return a node, removed ones too, or None."""
        at = bisect_left(self.nodes, node_id, key=lambda row: row.node_id)
        return self.nodes[at] if at < len(self.nodes) and self.nodes[at].node_id == node_id else None

    def submitter(self, institution: str, key_id: str) -> Submitter | None:
        """Return a submitter, revoked ones too, or None."""
        wanted = (institution, key_id)
        at = bisect_left(self.submitters, wanted, key=lambda row: (row.institution, row.key_id))
        if at < len(self.submitters):
            row = self.submitters[at]
            if (row.institution, row.key_id) == wanted:
                return row
        return None

    def submitter_key(self, institution: str, key_id: str, height: int) -> bytes | None:
        """Return the public key with which that submitter signs envelopes at `height`, or None if it may
        not.
        """
        row = self.submitter(institution, key_id)
        return row.public if row is not None and row.open_at(height) else None

    def governance_key(self, institution: str, key_id: str, height: int) -> bytes | None:
        """Return the public key with which that institution signs proposals at `height`, or None."""
        row = self.institution(institution)
        keys = row.keys if row is not None else ()
        return next((key.public for key in keys if key.key_id == key_id and key.open_at(height)), None)

    def node_key(self, node_id: str, height: int) -> bytes | None:
        """Return the node key (votes, acknowledgements, hello) of a node at `height`, or None."""
        row = self.node(node_id)
        keys = row.node_keys if row is not None else ()
        return next((key.public for key in keys if key.open_at(height)), None)

    def voters(self) -> tuple[str, ...]:
        """Return the ids of the nodes that order, sorted."""
        return tuple(node.node_id for node in self.nodes if node.role is NodeRole.VOTER)

    def observers(self) -> tuple[str, ...]:
        """Return the ids of the nodes that follow, sorted."""
        return tuple(node.node_id for node in self.nodes if node.role is NodeRole.OBSERVER)

    def open_nodes(self) -> tuple[Node, ...]:
        """Return voters and observers, sorted by id."""
        return tuple(node for node in self.nodes if node.role is not NodeRole.REMOVED)

    def node_tls_pins(self) -> dict[str, tuple[bytes, ...]]:
        """Return node id -> its pinned TLS certificates (DER) that are open, for voters and observers."""
        return {
            node.node_id: tuple(pin.der for pin in node.tls if not pin.until_height)
            for node in self.open_nodes()
        }

    def submitter_tls_pins(self) -> dict[tuple[str, str], bytes]:
        """Return (institution, key id) -> TLS client certificate (DER) of each open submitter."""
        return {(row.institution, row.key_id): row.tls_der for row in self.submitters if not row.until_height}

    def institution_of(self, node_id: str) -> str | None:
        """Return the institution that runs a node, or None if there is no such node."""
        row = self.node(node_id)
        return row.institution if row is not None else None

    def cosigning_institutions(self) -> tuple[str, ...]:
        """Return the institutions that have an open cosigner key: the n of the quorum rule, sorted."""
        found = {
            node.institution for node in self.nodes if any(not k.until_height for k in node.cosigner_keys)
        }
        return tuple(sorted(found))
