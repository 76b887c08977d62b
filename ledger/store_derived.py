"""The derived store: everything that can be computed again from the chain store, kept so that it need not be.

Headers, block starts, tiles, the right edge, governance states, the record index, and a shelf of collected
notes. It is written without sync, so after a power cut it may be behind; and since nobody trusts it, it may
be thrown away.

Rules kept here:
- A block's keys and the applied point are one batch: the store is always exactly some block's state.
- It never runs ahead of the chain store. If it does, the chain store has lost something, and what was derived
  from that is rebuilt (whether the node may still promise is the head file's question, not this one's).
- Damage is never fatal and never repaired: `prepare` throws the folder away and starts from nothing, and the
  node applies the chain again, at about a microsecond per record plus the checks.
- `restore` believes nothing: header, tree, and governance state must fit each other before the chain goes on.
- Notes hold signatures of others, which cannot be computed. They are carried over when a store is rebuilt, as
  far as they can be read; each is signed, so whoever uses one checks it.

Threads: one writer calls `write` and `close`; any thread reads, and `put_note` may come from any thread.
Trust: an attacker with write access can make proofs and positions wrong, hence a node out of service, but no
forged proof: roots are compared with signed ones by whoever serves, and again by whoever receives.
Refuses: being asked whether a body is valid, being ahead, being repaired.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from struct import Struct
from typing import Final

from ledger import keyspace
from ledger.chain import AppliedBlock, Chain, ChainPoint
from ledger.errors import DerivedDamagedError, LedgerError, StoreDamagedError, StoreError
from ledger.governance import State, decode_state, encode_state, governance_hash, validate_state
from ledger.header import Header, block_hash, parse_header
from ledger.merkle import TILE_WIDTH
from ledger.proof import Coordinate
from ledger.record import commitment_keys
from ledger.store_chain import ChainStore
from ledger.store_index import RecordIndex
from ledger.store_kv import KeyValue, Operation, Options, create_database, open_database
from ledger.store_leaves import LeafFinder
from ledger.store_meta import DERIVED, StoreMeta, decode_meta, encode_meta, require_meta
from ledger.store_tiles import CACHE_TILES, TileShelf

NOTES_MAX: Final = 65_536
NOTE_BYTES_MAX: Final = 65_536
OPTIONS: Final = Options(64 * 1024 * 1024, cache_bytes=64 * 1024 * 1024, rebuildable=True)
_POINT: Final = Struct(
    ">QQQQ32s32sQ"
)  # height, term, timestamp, tree size, block hash, entry hash, state's height


@dataclass(frozen=True, slots=True)
class _Applied:
    """Where the store stands. `state_height` is the newest block at or below `height` that made a state."""

    point: ChainPoint
    state_height: int


class DerivedStore:
    """See the module. Made by `store_prepare.prepare`, `create` or `open`; `attach` takes any KeyValue, as
    tests do.

    `_applied` is None while the store is empty; the writer replaces it after each write.
    """

    __slots__ = ("_applied", "_governance", "_index", "_kv", "_leaves", "_tiles")

    def __init__(self, kv: KeyValue, chain: ChainStore, *, cache_tiles: int = CACHE_TILES) -> None:
        self._kv = kv
        self._governance = lru_cache(64)(lambda height: _read_state(kv, chain.chain_id, height))
        self._applied = self._read_applied()
        size = 0 if self._applied is None else self._applied.point.tree_size
        self._tiles = TileShelf(kv, size, cache_tiles=cache_tiles)
        self._index = RecordIndex(kv)
        self._leaves = LeafFinder(self._index, lambda height: chain.entry(height).body_raw, self.header)

    # --- life
    # ---------------------------------------------------------------------------------------------------

    @classmethod
    def create(cls, path: Path, chain: ChainStore) -> "DerivedStore":
        """Make an empty derived store beside `chain`. Raises StoreError E_STORE_EXISTS, E_STORE_OPEN,
        StoreFatalError.
        """
        return cls.create_in(create_database(path, OPTIONS), chain)

    @classmethod
    def create_in(cls, kv: KeyValue, chain: ChainStore) -> "DerivedStore":
        """Fill an empty key-value store."""
        kv.write([(keyspace.DERIVED_META, encode_meta(_meta_beside(chain)))], sync=True)
        return cls(kv, chain)

    @classmethod
    def open(cls, path: Path, chain: ChainStore) -> "DerivedStore":
        """Open the derived store that belongs to `chain`; see `attach`.

        Raises StoreError E_STORE_MISSING, E_STORE_FOREIGN, E_STORE_LOCKED, E_STORE_VERSION,
        DerivedDamagedError.
        """
        kv = open_database(path, OPTIONS)
        try:
            return cls.attach(kv, chain, where=str(path))
        except BaseException:
            kv.close()
            raise

    @classmethod
    def attach(cls, kv: KeyValue, chain: ChainStore, *, where: str = "the derived store") -> "DerivedStore":
        """Open a key-value store that `create_in` has made: compare it with the chain store, index what it
        has not yet indexed. Takes half a microsecond per record (the filter), and two seconds at most for the
        rest.
        """
        try:
            meta = decode_meta(kv.get(keyspace.DERIVED_META), where)
        except StoreDamagedError as error:
            raise _damaged(error.message) from error
        require_meta(meta, kind=DERIVED, node_id=chain.meta.node_id, where=where)
        if meta != _meta_beside(chain):
            raise StoreError(
                "E_STORE_FOREIGN", f"{where} belongs to another chain or another `init` of this node"
            )
        store = cls(kv, chain)
        store._require_not_ahead(chain)
        applied = store.applied()
        if store._index.next_height > applied + 1:
            raise _damaged("the record index is ahead of the blocks")
        for height in range(store._index.next_height, applied + 1):
            store._index.add(height, [leaf[13:29] for leaf in store._leaves.block(height).leaves])
        return store

    def close(self) -> None:
        """Release the files; neither a read nor a write may be running."""
        self._kv.close()

    # --- writing
    # ------------------------------------------------------------------------------------------------

    def write(self, blocks: Sequence[AppliedBlock]) -> None:
        """Write applied blocks that follow each other, unsynced; about 1 us per record.

        Raises DerivedDamagedError (`condemn` and start again), StoreFatalError.
        """
        if not blocks:
            return
        applied = self._applied
        operations: list[Operation] = []
        for block in blocks:
            expected = 0 if applied is None else applied.point.height + 1
            assert block.height == expected, "blocks are written in their order"
            operations.append((keyspace.derived_header(block.height), block.header_leaf))
            operations.append((keyspace.derived_start(block.first_index), block.height.to_bytes(8, "big")))
            if applied is None or block.governance_changed:
                operations.append((keyspace.derived_governance(block.height), encode_state(block.state)))
                applied = _Applied(block.point(), block.height)
            else:
                applied = _Applied(block.point(), applied.state_height)
        assert applied is not None, "there was a block"
        tiles = [full for block in blocks for full in block.tiles]
        operations += self._tiles.operations(tiles, blocks[-1].edge)
        operations.append((keyspace.DERIVED_APPLIED, _pack(applied)))
        self._kv.write(operations, sync=False)
        for block in blocks:
            keys = [key for envelope in block.body.envelopes for key in commitment_keys(envelope.leaves)]
            self._index.add(block.height, keys)
        self._tiles.publish(blocks[-1].tree_size, blocks[-1].edge)
        self._applied = applied

    def put_note(self, name: str, note: bytes) -> None:
        """Keep a note (a checkpoint with its signatures) under a name, unsynced. Raises like `write`."""
        assert len(note) <= NOTE_BYTES_MAX, "a note has at most 64 KiB"
        self._kv.write([(keyspace.derived_note(name), note)], sync=False)

    # --- blocks
    # -------------------------------------------------------------------------------------------------

    def applied(self) -> int:
        """Return the height of the last block in here, -1 if there is none."""
        return -1 if self._applied is None else self._applied.point.height

    def header_leaf(self, height: int) -> bytes:
        """Return the bytes of the header leaf at `height`.

        Raises StoreError E_STORE_HEIGHT if it is not applied yet, DerivedDamagedError.
        """
        value = self._kv.get(keyspace.derived_header(height))
        if value is None:
            if height > self.applied():
                raise StoreError(
                    "E_STORE_HEIGHT", f"block {height} is not applied; the last is {self.applied()}"
                )
            raise _damaged(f"the header at height {height} is missing")
        return value

    def header(self, height: int) -> Header:
        """Return the header at `height`; about 20 us. Raises like `header_leaf`."""
        leaf = self.header_leaf(height)
        try:
            header = parse_header(leaf)
        except LedgerError as error:
            raise _damaged(f"the header at height {height}: {error}") from error
        if header.height != height:
            raise _damaged(f"the header at height {height} is of height {header.height}")
        return header

    def first_index(self, height: int) -> int:
        """Return the tree index of the first leaf of the block at `height`. Raises like `header_leaf`."""
        header = self.header(height)
        return header.tree_size - header.records

    def block_at(self, index: int) -> int:
        """Return the height of the block that holds leaf `index`; about 40 us.

        Raises StoreError E_STORE_INDEX if the tree has no such leaf, DerivedDamagedError.
        """
        if not 0 <= index < self.size:
            raise StoreError("E_STORE_INDEX", f"there is no leaf {index} in a tree of {self.size} leaves")
        start = keyspace.starts_range()[0]
        found = self._kv.scan(start, keyspace.derived_start(index + 1), limit=1, reverse=True)
        if not found:
            raise _damaged(f"the start of the block with leaf {index} is missing")
        height = int.from_bytes(found[0][1], "big")
        if self.header(height).tree_size < index:  # the header leaf is the last of its block
            raise _damaged(f"the start of the block with leaf {index} is missing")
        return height

    def entries(self, start: int, count: int) -> list[bytes]:
        """Return `count` leaves from tree index `start` without their prefix, as entry bundles hold them.

        At most 4,096. Raises StoreError E_STORE_INDEX if they are not all there, and what the chain store
        raises.
        """
        assert 1 <= count <= 4096, "a bounded number of leaves"
        found: list[bytes] = []
        self.block_at(start + count - 1)  # refuses what reaches beyond the tree before anything is read
        height = self.block_at(start)
        while len(found) < count:
            block = self._leaves.block(height)
            leaves = [leaf[1:] for leaf in block.leaves[max(0, start + len(found) - block.first_index) :]]
            found += [*leaves, self.header_leaf(height)]
            height += 1
        return found[:count]

    def governance(self, height: int) -> State:
        """Return the governance state after the block at `height`, which rules height + 1.

        Raises StoreError E_STORE_HEIGHT if it is not applied yet, DerivedDamagedError.
        """
        if not 0 <= height <= self.applied():
            raise StoreError("E_STORE_HEIGHT", f"block {height} is not applied; the last is {self.applied()}")
        return self._governance(self._state_height(height))

    def governance_heights(self) -> list[int]:
        """Return the heights of genesis and of all blocks that changed the governance state, rising."""
        start, stop = keyspace.governance_range()
        return [int.from_bytes(key[1:], "big") for key, _ in self._kv.scan(start, stop, limit=65_536)]

    # --- tree
    # ---------------------------------------------------------------------------------------------------

    @property
    def size(self) -> int:
        """Leaves of the tree after the last block."""
        return self._tiles.size

    def tile(self, level: int, index: int, width: int = TILE_WIDTH) -> bytes:
        """Return the first `width` hashes of a tile; see `TileShelf.tile`."""
        return self._tiles.tile(level, index, width)

    def hashes(self, coordinates: Sequence[Coordinate]) -> list[bytes]:
        """Return stored hashes for `ledger.proof`; see `TileShelf.hashes`."""
        return self._tiles.hashes(coordinates)

    def root_at(self, size: int) -> bytes | None:
        """Return the root of the first `size` leaves, None if there are not so many: for
        `headfile.judge_root`.
        """
        return self._tiles.root_at(size)

    # --- records
    # ------------------------------------------------------------------------------------------------

    @property
    def records(self) -> int:
        """Number of records in all blocks."""
        return self._index.records

    def find(self, commitment: bytes) -> list[tuple[int, int]]:
        """Return (height, tree index) of every record with this commitment; see `LeafFinder.find`."""
        return self._leaves.find(commitment)

    def known(self, leaves: bytes) -> list[int | None]:
        """Return the tree index of each prefixed leaf that is on the chain; see `LeafFinder.known`."""
        return self._leaves.known(leaves)

    # --- notes
    # --------------------------------------------------------------------------------------------------

    def note(self, name: str) -> bytes | None:
        """Return the note of this name. Raises DerivedDamagedError."""
        return self._kv.get(keyspace.derived_note(name))

    def notes(self) -> dict[str, bytes]:
        """Return all notes by name. Raises DerivedDamagedError."""
        found = self._kv.scan(*keyspace.notes_range(), limit=NOTES_MAX)
        return {key[1:].decode("ascii", "replace"): note for key, note in found}

    # --- restart
    # ------------------------------------------------------------------------------------------------

    def restore(self) -> Chain | None:
        """Return the chain at the applied height, None if the store is empty; about a millisecond.

        Raises DerivedDamagedError if header, tree and governance state do not fit each other.
        """
        if self._applied is None:
            return None
        point = self._applied.point
        leaf = self.header_leaf(point.height)
        header = self.header(point.height)
        own_index = point.tree_size - 1
        fits = (
            block_hash(leaf) == point.block_hash == self.hashes([(0, own_index)])[0]
            and (header.term, header.timestamp_ms, header.tree_size)
            == (point.term, point.timestamp_ms, own_index)
            and header.governance_hash == governance_hash(point.state)
            and header.root == self.root_at(own_index)
        )
        if not fits:
            raise _damaged(f"what is kept of height {point.height} does not fit its header")
        return Chain.restore(point)

    def _require_not_ahead(self, chain: ChainStore) -> None:
        if self._applied is None:
            return
        point, last = self._applied.point, chain.last().height
        if point.height > last:
            raise _damaged(f"it is at height {point.height}, and the chain store ends at {last}")
        if chain.term_and_hash(point.height) != (point.term, point.entry_hash):
            raise _damaged(f"the chain store has another entry at height {point.height}")

    def _state_height(self, height: int) -> int:
        start, stop = keyspace.governance_range()[0], keyspace.derived_governance(height + 1)
        found = self._kv.scan(start, stop, limit=1, reverse=True)
        if not found:
            raise _damaged("the governance state of genesis is missing")
        return int.from_bytes(found[0][0][1:], "big")

    def _read_applied(self) -> _Applied | None:
        value = self._kv.get(keyspace.DERIVED_APPLIED)
        if value is None:
            if self._kv.get(keyspace.derived_header(0)) is not None:
                raise _damaged("the applied point is missing")
            return None
        if len(value) != _POINT.size:
            raise _damaged("the applied point is none")
        height, term, timestamp_ms, size, own_hash, entry, state_height = _POINT.unpack(value)
        if self._state_height(height) != state_height:
            raise _damaged("the newest governance state is missing")
        edge = TileShelf(self._kv, size).edge
        state = self._governance(state_height)
        return _Applied(
            ChainPoint(height, term, timestamp_ms, own_hash, entry, size, edge, state), state_height
        )


def _meta_beside(chain: ChainStore) -> StoreMeta:
    return StoreMeta(DERIVED, chain.meta.chain_id, chain.meta.node_id, chain.meta.instance)


def _read_state(kv: KeyValue, chain_id: str, height: int) -> State:
    value = kv.get(keyspace.derived_governance(height))
    try:
        if value is not None:
            state = decode_state(chain_id, value)
            validate_state(state)
            return state
    except LedgerError as error:
        raise _damaged(f"the governance state of height {height}: {error}") from error
    raise _damaged(f"the governance state of height {height} is missing")


def _pack(applied: _Applied) -> bytes:
    point = applied.point
    return _POINT.pack(
        point.height,
        point.term,
        point.timestamp_ms,
        point.tree_size,
        point.block_hash,
        point.entry_hash,
        applied.state_height,
    )


def _damaged(words: str) -> DerivedDamagedError:
    return DerivedDamagedError("E_DERIVED_DAMAGED", f"the derived store is not usable: {words}")
