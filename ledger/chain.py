"""The chain: one fold over committed bodies that every node, every restart and every audit performs alike.

Why one: if running and restarting took different paths, a restart could end somewhere else. Here a body, its
height and its term go in, and out come the header, the block's leaves and everything that has to be written
down.

Rules kept here (deterministic, hence each breach of them by a committed body halts the node that finds it):
- Heights follow each other from 0, terms never fall, timestamps never fall. The body of height 0, and no
  other, is genesis; its term is 0.
- The proposer is a node that governance knows. (Not necessarily still a voter: a term-start entry may stand
  behind the very change that demotes its proposer.)
- Body, envelopes and records keep the chain's limits.
- An envelope's key belongs to its institution, is open at this height, and the signature holds for this
  chain.
- A governance body folds into a new state, which rules from the next height.
- The header is derived, never received; it is the block's last leaf and its leaf hash is the block's hash.

Not rules: the upper bound of the clock (only a vote's business), and duplicates (a faulty leader that repeats
a leaf does no harm; the first position counts). The chain's validity never depends on a clock or an index.

Sources: RFC 6962 for the tree; docs/formats/ledger.md for the bytes.
Refuses: being rewound. A block that is applied is committed, and what is committed stays.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ledger.body import Body, BodyKind
from ledger.entry import NO_ENTRY, entry_hash
from ledger.envelope import verify_envelope
from ledger.errors import BodyError, ChainError, LedgerError
from ledger.governance import State, fold, genesis_state, governance_hash
from ledger.header import NO_BLOCK, Header, block_hash, encode_header
from ledger.merkle import FullTile, Tree, leaf_hashes
from ledger.record import leaf_slices

GENESIS_HEIGHT: Final = 0
GENESIS_TERM: Final = 0


@dataclass(frozen=True, slots=True)
class VerifiedBody:
    """A body that keeps all rules at `height` under exactly `state`. Only `verify_body` makes one."""

    body: Body
    height: int
    state: State
    state_after: State


@dataclass(frozen=True, slots=True)
class ChainPoint:
    """Where a chain stands after a block: all that `Chain.restore` needs.

    `state` rules the next height. `edge` are the partial tiles of the tree of `tree_size` leaves, lowest
    level first.
    """

    height: int
    term: int
    timestamp_ms: int
    block_hash: bytes
    entry_hash: bytes
    tree_size: int
    edge: tuple[bytes, ...]
    state: State


@dataclass(frozen=True, slots=True)
class AppliedBlock:
    """One applied block and everything that has to be persisted for it.

    `first_index` is the tree index of its first leaf; `leaf_hashes` are those of its records and, last, its
    header (index `tree_size` - 1). `tree_size` and `root` are the checkpoint at this block's end. `ruling` is
    the state that ruled this height, and so judges that checkpoint; `state` rules the next. `tiles` became
    full in this block.
    """

    height: int
    term: int
    body: Body
    entry_hash: bytes
    header: Header
    header_leaf: bytes
    block_hash: bytes
    first_index: int
    leaf_hashes: tuple[bytes, ...]
    tree_size: int
    root: bytes
    tiles: tuple[FullTile, ...]
    edge: tuple[bytes, ...]
    ruling: State
    state: State

    @property
    def governance_changed(self) -> bool:
        """Whether this block changed the governance state."""
        return self.state is not self.ruling

    @property
    def header_index(self) -> int:
        """Tree index of the header leaf."""
        return self.tree_size - 1

    def point(self) -> ChainPoint:
        """Return where the chain stands after this block."""
        return ChainPoint(
            self.height,
            self.term,
            self.header.timestamp_ms,
            self.block_hash,
            self.entry_hash,
            self.tree_size,
            self.edge,
            self.state,
        )


def verify_body(state: State, height: int, prev_timestamp_ms: int, body: Body) -> VerifiedBody:
    """Return the body as verified for `height`, where `state` is the governance state after height - 1.

    A leader asks this before it proposes and a follower before it acknowledges; `Chain.apply` accepts the
    answer instead of verifying again. Raises ChainError E_CHAIN_GENESIS, E_CHAIN_TIME, E_CHAIN_PROPOSER,
    E_CHAIN_LIMIT, E_CHAIN_SUBMITTER, E_ENVELOPE_SIGNATURE, and the codes of `governance.fold`.
    """
    if body.kind is BodyKind.GENESIS:
        raise ChainError("E_CHAIN_GENESIS", f"block {height} cannot be a genesis")
    if body.timestamp_ms < prev_timestamp_ms:
        raise ChainError(
            "E_CHAIN_TIME",
            f"block {height} is {prev_timestamp_ms - body.timestamp_ms} ms before the last one",
        )
    if state.node(body.proposer) is None:
        raise ChainError("E_CHAIN_PROPOSER", f"block {height} is proposed by unknown node {body.proposer}")
    _require_limits(state, height, body)
    after = state
    try:
        for envelope in body.envelopes:
            public = state.submitter_key(envelope.institution, envelope.key_id, height)
            if public is None:
                raise BodyError(
                    "E_CHAIN_SUBMITTER", f"{envelope.institution} has no open submitter key {envelope.key_id}"
                )
            verify_envelope(envelope, state.chain_id, public)
        if body.proposal is not None:
            after = fold(state, height, body.proposal)
    except LedgerError as error:
        raise ChainError(error.code, f"block {height}: {error.message}") from error
    return VerifiedBody(body, height, state, after)


def _require_limits(state: State, height: int, body: Body) -> None:
    limits = state.limits
    largest = max((envelope.count for envelope in body.envelopes), default=0)
    for what, value, most in (
        ("bytes", len(body.raw), limits.body_max_bytes),
        ("records", body.records, limits.body_max_records),
        ("records in one envelope", largest, limits.envelope_max_records),
    ):
        if value > most:
            raise ChainError("E_CHAIN_LIMIT", f"block {height} has {value} {what}, more than {most}")


class Chain:
    """The fold. Holds the last block's facts, the governance state and the tree's right edge.

    Owned by one caller at a time. `apply` either advances by one block or raises and changes nothing.
    """

    __slots__ = ("_governance_hash", "_last", "_tree")

    def __init__(self, last: ChainPoint, tree: Tree) -> None:
        """For `start` and `restore` only."""
        self._last = last
        self._tree = tree
        self._governance_hash = governance_hash(last.state)

    @classmethod
    def start(cls, genesis: Body) -> tuple["Chain", AppliedBlock]:
        """Return the chain that a genesis body founds, and block 0.

        Raises ChainError with the code of whatever is wrong with genesis.
        """
        try:
            state = genesis_state(genesis)
        except LedgerError as error:
            raise ChainError(error.code, f"genesis: {error.message}") from error
        tree = Tree()
        before = ChainPoint(-1, GENESIS_TERM, 0, NO_BLOCK, NO_ENTRY, 0, (), state)
        block = _derive(before, tree, GENESIS_TERM, genesis, state=state, governance=governance_hash(state))
        return cls(block.point(), tree), block

    @classmethod
    def restore(cls, point: ChainPoint) -> "Chain":
        """Return the chain that stands at `point`. Raises TileError E_TILE_EDGE if the edge does not fit the
        size.
        """
        return cls(point, Tree.restore(point.tree_size, point.edge))

    @property
    def chain_id(self) -> str:
        """The chain's id, also the origin of its checkpoints."""
        return self._last.state.chain_id

    @property
    def height(self) -> int:
        """Height of the last applied block."""
        return self._last.height

    @property
    def timestamp_ms(self) -> int:
        """Time of the last applied block; the next one's is not less."""
        return self._last.timestamp_ms

    @property
    def state(self) -> State:
        """Governance state that rules the next height."""
        return self._last.state

    @property
    def tree_size(self) -> int:
        """Leaves of the tree, the last header included."""
        return self._last.tree_size

    @property
    def root(self) -> bytes:
        """Root of the tree of `tree_size` leaves."""
        return self._tree.root()

    @property
    def point(self) -> ChainPoint:
        """Where the chain stands."""
        return self._last

    def verify(self, body: Body) -> VerifiedBody:
        """Return `body` as verified for the next height. Raises ChainError as `verify_body`."""
        return verify_body(self.state, self.height + 1, self.timestamp_ms, body)

    def apply(self, height: int, term: int, body: Body | VerifiedBody) -> AppliedBlock:
        """Apply the committed body at `height` and return the block.

        A `VerifiedBody` is verified anew unless it was verified for this very height and state. Raises
        ChainError E_CHAIN_HEIGHT, E_CHAIN_TERM and whatever `verify_body` raises; then nothing has changed.
        """
        last = self._last
        if height != last.height + 1:
            raise ChainError("E_CHAIN_HEIGHT", f"block {height} does not follow block {last.height}")
        if term < last.term or (term == GENESIS_TERM):
            raise ChainError("E_CHAIN_TERM", f"block {height} has term {term} after term {last.term}")
        verified = body
        if isinstance(body, VerifiedBody):
            if body.height != height or body.state is not last.state:
                verified = self.verify(body.body)
        else:
            verified = self.verify(body)
        assert isinstance(verified, VerifiedBody), "a verified body"
        # The time is compared again: between verification and commit only this chain's own last block counts.
        if verified.body.timestamp_ms < last.timestamp_ms:
            raise ChainError("E_CHAIN_TIME", f"block {height} is earlier than the one before")
        after = verified.state_after
        changed = after is not last.state
        hash_after = governance_hash(after) if changed else self._governance_hash
        block = _derive(last, self._tree, term, verified.body, state=after, governance=hash_after)
        self._last = block.point()
        self._governance_hash = hash_after
        return block


def _derive(
    last: ChainPoint, tree: Tree, term: int, body: Body, *, state: State, governance: bytes
) -> AppliedBlock:
    """Extend the tree by a block whose rules are all checked, and return the block."""
    height = last.height + 1
    first_index = tree.size
    hashes: list[bytes] = []
    for envelope in body.envelopes:
        hashes += leaf_hashes(leaf_slices(envelope.leaves))
    tiles = tree.extend(hashes)
    header = Header(
        kind=body.kind,
        chain_id=state.chain_id,
        height=height,
        term=term,
        prev=last.block_hash,
        timestamp_ms=body.timestamp_ms,
        body_digest=body.digest,
        records=len(hashes),
        tree_size=tree.size,
        root=tree.root(),
        governance_hash=governance,
    )
    header_leaf = encode_header(header)
    own_hash = block_hash(header_leaf)
    tiles += tree.extend([own_hash])
    return AppliedBlock(
        height=height,
        term=term,
        body=body,
        entry_hash=entry_hash(state.chain_id, last.entry_hash, height, term, body.digest),
        header=header,
        header_leaf=header_leaf,
        block_hash=own_hash,
        first_index=first_index,
        leaf_hashes=(*hashes, own_hash),
        tree_size=tree.size,
        root=tree.root(),
        tiles=_in_order(tiles),
        edge=tree.edge(),
        ruling=last.state,
        state=state,
    )


def _in_order(tiles: Sequence[FullTile]) -> tuple[FullTile, ...]:
    """Return the tiles lowest level first; the header may have completed one more of a level."""
    return tuple(sorted(tiles, key=lambda tile: (tile.level, tile.index)))
