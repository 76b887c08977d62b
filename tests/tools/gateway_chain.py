"""A whole chain in memory for tests of the gateway: orders envelopes, answers proofs, signs checkpoints with real keys.

It is what a healthy network would be, without consensus: one list of leaves, the real fold of `ledger.chain`, every
institution's log and cosigner keys at hand. Several `gateway_nodes.FakeNode`s may show the same chain.
"""

import time
from collections.abc import Callable, Sequence

import ledger_world as world

from ledger import note
from ledger.body import encode_envelopes_body, parse_body
from ledger.chain import AppliedBlock, Chain
from ledger.checkpoint import Checkpoint, format_checkpoint
from ledger.envelope import parse_envelope
from ledger.governance import policy_text
from ledger.header import encode_header
from ledger.merkle import node_hash
from ledger.proof import Coordinate, RangeProof, prove_consistency, prove_inclusion, prove_range, root_at
from ledger.receipt import HeaderProof, build_receipt
from ledger.record import leaf_slices


class MemoryTree:
    """Hashes of every complete subtree, by level; what a store would keep as tiles."""

    def __init__(self) -> None:
        self.levels: list[list[bytes]] = [[]]

    def extend(self, hashes: Sequence[bytes]) -> None:
        """Append leaf hashes and every subtree that they complete."""
        self.levels[0] += hashes
        level = 0
        while len(self.levels[level]) >= 2:
            if level + 1 == len(self.levels):
                self.levels.append([])
            row, above = self.levels[level], self.levels[level + 1]
            above += note_parents(row, 2 * len(above))
            level += 1

    def read(self, coordinates: Sequence[Coordinate]) -> list[bytes]:
        """The `HashReader` of this tree."""
        return [self.levels[level][index] for level, index in coordinates]


def note_parents(row: Sequence[bytes], start: int) -> list[bytes]:
    """Return the parents of the complete pairs of `row` from `start`."""
    return [node_hash(row[at], row[at + 1]) for at in range(start, len(row) - 1, 2)]


class MemoryChain:
    """The chain, its index of leaves, its tree and its newest final checkpoint."""

    def __init__(self) -> None:
        self.genesis = world.genesis_body()
        self.chain, block = Chain.start(self.genesis)
        self.tree = MemoryTree()
        self.leaves: list[bytes] = []
        self.positions: dict[bytes, tuple[int, int]] = {}
        self.blocks: list[AppliedBlock] = []
        self.envelopes: list[bytes] = []
        self.in_flight: set[bytes] = set()
        self.final: tuple[bytes, int, int] | None = None
        self.listeners: list[Callable[[], None]] = []
        self._take(block)

    @property
    def chain_id(self) -> str:
        """The chain's id."""
        return self.chain.chain_id

    def policy(self) -> bytes:
        """Return the trust file's bytes."""
        return policy_text(self.chain.state)

    def _take(self, block: AppliedBlock) -> None:
        self.blocks.append(block)
        for envelope in block.body.envelopes:
            for leaf in leaf_slices(envelope.leaves):
                self.positions.setdefault(leaf[1:], (block.height, len(self.leaves)))
                self.leaves.append(leaf[1:])
        self.leaves.append(encode_header(block.header))
        self.tree.extend(block.leaf_hashes)

    def order(self, raws: Sequence[bytes], timestamp_ms: int | None = None) -> AppliedBlock:
        """Commit a block of these envelopes."""
        now_ms = max(self.chain.timestamp_ms, timestamp_ms or time.time_ns() // 1_000_000)
        body = parse_body(encode_envelopes_body("broker-1", now_ms, list(raws)))
        block = self.chain.apply(self.chain.height + 1, 1, body)
        self.envelopes += raws
        self._take(block)
        return block

    def statuses(self, raw: bytes) -> list[tuple[int, int, int]] | None:
        """Return (state, index, height) per leaf as protos/submit.proto numbers them; None when all are new."""
        found = []
        seen: set[bytes] = set()
        for prefixed in leaf_slices(parse_envelope(raw).leaves):
            leaf = prefixed[1:]
            if leaf in self.positions:
                height, index = self.positions[leaf]
                found.append((2, index, height))
            elif leaf in self.in_flight:
                found.append((3, 0, 0))
            elif leaf in seen:
                found.append((4, 0, 0))
            else:
                found.append((1, 0, 0))
            seen.add(leaf)
        return None if all(state == 1 for state, _, _ in found) else found

    def note(self, size: int | None = None, root: bytes | None = None, signers: int = 4) -> bytes:
        """Return a signed checkpoint: one log signature and `signers` institutions' cosignatures."""
        size = self.chain.tree_size if size is None else size
        root = self.root(size) if root is None else root
        text = format_checkpoint(Checkpoint(self.chain_id, size, root))
        lines = [note.sign(self.chain_id, world.node_keys("broker-1").log, text)]
        now_s = int(time.time())
        for node_id, owner in list(world.NODES.items())[:signers]:
            lines.append(note.cosign(f"{owner}/{node_id}", world.node_keys(node_id).cosigner, text, now_s))
        return note.format_note(text, lines)

    def root(self, size: int) -> bytes:
        """Return the root of the first `size` leaves."""
        return root_at(size, self.tree.read)

    def finalise(self) -> bytes:
        """Make the newest block's checkpoint final and tell whoever watches; return its note."""
        signed = self.note()
        self.final = (signed, self.chain.height, self.chain.tree_size)
        for listener in list(self.listeners):
            listener()
        return signed

    def inclusion(self, index: int, size: int) -> tuple[bytes, ...]:
        """Return an audit path."""
        return prove_inclusion(index, size, self.tree.read)

    def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        """Return a consistency proof."""
        return prove_consistency(old, new, self.tree.read)

    def range(self, start: int, count: int, size: int) -> RangeProof:
        """Return a range proof."""
        return prove_range(start, count, size, self.tree.read)

    def receipt(self, index: int, *, with_header: bool) -> bytes:
        """Return a receipt file at the final checkpoint."""
        assert self.final is not None
        signed, _, size = self.final
        header = None
        if with_header:
            block = next(block for block in self.blocks if block.first_index <= index < block.tree_size)
            at = block.header_index
            header = HeaderProof(at, self.leaves[at], self.inclusion(at, size))
        return build_receipt(self.leaves[index], index, self.inclusion(index, size), signed, header)
