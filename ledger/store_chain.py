"""The chain store: what a node may never lose. Bodies, entry hashes, term, vote, commit, all in synced
batches.

Why one batch: a vote, the term it was given in, the entries and the truncation before them are one promise.
Written apart, a crash between them makes a node vote twice or acknowledge what it does not hold. So each turn
of the node's loop writes exactly one synced batch, and that batch has a number, which the head file repeats.

Rules kept here:
- A batch is the counter + 1, the hard state, at most one truncation, then entries; all of it or nothing.
- Nothing at or below commit is ever truncated; term and commit never fall; a vote is given once per term.
- What is handed out for applying, serving or signing was checked: `entry` and `entries` recompute the entry
  hash from the body. A store whose bytes changed says so and never serves them.
- The writer brings the entry hash along, since it has just checked the body; it is not hashed a second time
  here.

Threads: one thread calls `write` and `close`; any thread reads. Reads that need more than one key use a
snapshot, so a truncation in the middle of them cannot look like damage.

Trust: whoever can write to the folder can forge bodies only together with every entry hash behind them, and
the result contradicts the cosigned checkpoints; they can also delete it. See docs/formats/storage.md.
Refuses: compaction, deletion below commit, repair, opening what `create` did not finish.
"""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from struct import Struct
from typing import Final

from ledger import keyspace, names
from ledger.body import BODY_BYTES_MAX, BodyKind, parse_body
from ledger.entry import NO_ENTRY, entry_hash
from ledger.errors import StoreDamagedError, StoreError
from ledger.headfile import StoreFacts
from ledger.store_kv import KeyValue, Operation, Options, Reader, create_database, open_database
from ledger.store_meta import CHAIN, StoreMeta, decode_meta, encode_meta, require_meta

_STATE: Final = Struct(">QQ32sQQ32s")  # counter, term, vote, commit, last height, last entry hash
_ENTRY: Final = Struct(">Q32s")  # term, entry hash
_MEBIBYTE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class HardState:
    """Raft's promises: the current term, the vote in it ("" for none) and the commit height known when
    written.
    """

    term: int
    vote: str
    commit: int


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """An entry as it lies in the store. `body_raw` are its exact bytes, `entry_hash` has 32."""

    height: int
    term: int
    entry_hash: bytes
    body_raw: bytes


@dataclass(frozen=True, slots=True)
class EntryId:
    """Which entry stands at a height."""

    height: int
    term: int
    entry_hash: bytes


@dataclass(frozen=True, slots=True)
class ChainBatch:
    """One synced batch. `hard_state` None: unchanged. `truncate_from`: drop this height and all above it
    first.
    """

    counter: int
    hard_state: HardState | None = None
    truncate_from: int | None = None
    entries: tuple[StoredEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class _State:
    """The value under CHAIN_STATE, plus the last entry's term; replaced as a whole after each batch."""

    counter: int
    hard: HardState
    last: EntryId


def write_buffer_for(node_id: str) -> int:
    """Return LevelDB's write buffer for a node: 4 to 8 MiB, another size on each node.

    Equal nodes receive equal bytes; with equal buffers they would all flush at the same moment and stall the
    quorum.
    """
    share = sha256(node_id.encode()).digest()[0]
    return 4 * _MEBIBYTE + share * 4 * _MEBIBYTE // 255


class ChainStore:
    """See the module. Made by `create` or `open`; `create_in` and `attach` take any KeyValue, as tests do.

    `_state` belongs to the writer and is published whole; everything else is constant.
    """

    __slots__ = ("_kv", "_state", "meta")

    def __init__(self, kv: KeyValue, meta: StoreMeta, state: _State) -> None:
        self._kv = kv
        self._state = state
        self.meta = meta

    # --- life
    # ---------------------------------------------------------------------------------------------------

    @classmethod
    def create(cls, path: Path, genesis: bytes, *, node_id: str, instance: bytes) -> "ChainStore":
        """Make the chain store of a new node from the genesis body. Only `init` calls this.

        `instance` has 16 random bytes. Raises StoreError E_STORE_EXISTS, E_STORE_OPEN, BodyError or
        EncodingError if `genesis` is not a genesis body, StoreFatalError.
        """
        chain_id_of(genesis)  # refuses before a folder is made
        kv = create_database(path, Options(write_buffer_for(node_id)))
        return cls.create_in(kv, genesis, node_id=node_id, instance=instance)

    @classmethod
    def create_in(cls, kv: KeyValue, genesis: bytes, *, node_id: str, instance: bytes) -> "ChainStore":
        """Fill an empty key-value store, in one synced batch: a creation that was cut off left nothing."""
        chain_id = chain_id_of(genesis)
        meta = StoreMeta(CHAIN, chain_id, node_id, instance)
        digest = entry_hash(chain_id, NO_ENTRY, 0, 0, sha256(genesis).digest())
        state = _State(0, HardState(0, "", 0), EntryId(0, 0, digest))
        operations: list[Operation] = [
            (keyspace.CHAIN_META, encode_meta(meta)),
            (keyspace.CHAIN_STATE, _pack_state(state)),
            (keyspace.chain_entry(0), _ENTRY.pack(0, digest)),
            (keyspace.chain_body(0), genesis),
        ]
        kv.write(operations, sync=True)
        return cls(kv, meta, state)

    @classmethod
    def open(cls, path: Path, *, node_id: str) -> "ChainStore":
        """Open the chain store of `node_id`.

        Raises StoreError E_STORE_MISSING, E_STORE_FOREIGN, E_STORE_LOCKED, E_STORE_VERSION, E_STORE_OPEN,
        StoreDamagedError E_STORE_DAMAGED.
        """
        kv = open_database(path, Options(write_buffer_for(node_id)))
        try:
            return cls.attach(kv, node_id=node_id, where=str(path))
        except BaseException:
            kv.close()
            raise

    @classmethod
    def attach(cls, kv: KeyValue, *, node_id: str, where: str = "the chain store") -> "ChainStore":
        """Open a key-value store that `create_in` has filled; checks genesis and the newest entry. See
        `open`.
        """
        meta = decode_meta(kv.get(keyspace.CHAIN_META), where)
        require_meta(meta, kind=CHAIN, node_id=node_id, where=where)
        store = cls(kv, meta, _read_state(kv))
        if chain_id_of(store.entry(0).body_raw) != meta.chain_id:
            raise _damaged("the genesis body belongs to another chain")
        last = store._state.last
        found = store.entry(last.height)
        if (found.term, found.entry_hash) != (last.term, last.entry_hash):
            raise _damaged(f"the entry at height {last.height} is not the one that was written last")
        start, stop = keyspace.chain_entry(last.height + 1), keyspace.entries_range()[1]
        if kv.scan(start, stop, limit=1):
            raise _damaged(f"there are entries above the last height {last.height}")
        return store

    def close(self) -> None:
        """Release the files; neither a read nor a write may be running."""
        self._kv.close()

    # --- what it holds
    # ------------------------------------------------------------------------------------------

    @property
    def chain_id(self) -> str:
        """The chain's id, which is also its checkpoints' origin."""
        return self.meta.chain_id

    def counter(self) -> int:
        """Return the number of the newest batch; 0 after creation."""
        return self._state.counter

    def hard_state(self) -> HardState:
        """Return term, vote and commit as last written."""
        return self._state.hard

    def last(self) -> EntryId:
        """Return which entry is the newest; there always is one, genesis at least."""
        return self._state.last

    def facts(self) -> StoreFacts:
        """Return what the head file repeats after each batch."""
        state = self._state
        return StoreFacts(
            node_id=self.meta.node_id,
            instance=self.meta.instance,
            counter=state.counter,
            term=state.hard.term,
            vote=state.hard.vote,
            last_height=state.last.height,
            last_hash=state.last.entry_hash,
        )

    def term_and_hash(self, height: int) -> tuple[int, bytes]:
        """Return (term, entry hash) of a height, about 6 us; the body is not looked at.

        Raises StoreError E_STORE_HEIGHT if there is no such entry, StoreDamagedError.
        """
        last = self._state.last
        if height == last.height:
            return last.term, last.entry_hash
        with self._kv.snapshot() as reader:
            return _entry_at(reader, height)

    def entry(self, height: int) -> StoredEntry:
        """Return the entry at `height`, its hash recomputed from the body and the entry hash before it.

        Costs three reads and one SHA-256 over the body: about 20 us, and 0.7 ms per MiB of body.
        Raises StoreError E_STORE_HEIGHT if there is none, StoreDamagedError E_STORE_DAMAGED.
        """
        with self._kv.snapshot() as reader:
            prev = NO_ENTRY if height == 0 else _entry_at(reader, height - 1)[1]
            return self._checked(reader, height, prev)

    def entries(self, low: int, high: int, *, max_bytes: int) -> list[StoredEntry]:
        """Return the checked entries of heights [low, high), as many as fit `max_bytes` of bodies, at least
        one.

        What lies above the last height is left out. Costs and raises like `entry`.
        """
        assert 0 <= low < high, "a half-open range of heights"
        found: list[StoredEntry] = []
        size = 0
        with self._kv.snapshot() as reader:
            high = min(high, _read_state(reader).last.height + 1)
            prev = NO_ENTRY if low == 0 else _entry_at(reader, low - 1)[1]
            for height in range(low, high):
                entry = self._checked(reader, height, prev)
                size += len(entry.body_raw)
                if found and size > max_bytes:
                    break
                found.append(entry)
                prev = entry.entry_hash
        return found

    def _checked(self, reader: Reader, height: int, prev: bytes) -> StoredEntry:
        term, kept = _entry_at(reader, height)
        body = reader.get(keyspace.chain_body(height))
        if body is None:
            raise _damaged(f"the body at height {height} is missing")
        if entry_hash(self.meta.chain_id, prev, height, term, sha256(body).digest()) != kept:
            raise _damaged(f"the body at height {height} does not have the hash that was acknowledged")
        return StoredEntry(height, term, kept, body)

    # --- writing
    # ------------------------------------------------------------------------------------------------

    def write(self, batch: ChainBatch) -> None:
        """Write one batch and sync it. On return it is on the disk; about 0.3 ms on an empty batch, 0.7 ms
        with 256 KiB of bodies.

        Raises StoreFatalError: whether the batch is there is unknown, and the process has to end.
        """
        state = self._next_state(batch)
        operations: list[Operation] = [(keyspace.CHAIN_STATE, _pack_state(state))]
        if batch.truncate_from is not None:
            for height in range(batch.truncate_from, self._state.last.height + 1):
                operations.append((keyspace.chain_entry(height), None))
                operations.append((keyspace.chain_body(height), None))
        for entry in batch.entries:
            operations.append((keyspace.chain_entry(entry.height), _ENTRY.pack(entry.term, entry.entry_hash)))
            operations.append((keyspace.chain_body(entry.height), entry.body_raw))
        self._kv.write(operations, sync=True)
        self._state = state

    def _next_state(self, batch: ChainBatch) -> _State:
        """Return the state after a batch; every assertion here is a promise that our own code would break."""
        state = self._state
        assert batch.counter == state.counter + 1, "batches are numbered without gaps"
        hard = batch.hard_state or state.hard
        assert hard.term >= state.hard.term, "the term never falls"
        assert hard.commit >= state.hard.commit, "commit never falls"
        same_term = hard.term == state.hard.term
        assert not same_term or state.hard.vote in ("", hard.vote), "one vote in a term"
        last = state.last
        if batch.truncate_from is not None:
            assert hard.commit < batch.truncate_from <= last.height, "only uncommitted entries are truncated"
            term, digest = self.term_and_hash(batch.truncate_from - 1)
            last = EntryId(batch.truncate_from - 1, term, digest)
        for entry in batch.entries:
            assert entry.height == last.height + 1, "entries follow each other"
            assert last.term <= entry.term <= hard.term, "terms rise along the log, up to the node's own"
            assert len(entry.entry_hash) == 32, "an entry hash has 32 bytes"
            assert 0 < len(entry.body_raw) <= BODY_BYTES_MAX, "a body has at most 4 MiB"
            last = EntryId(entry.height, entry.term, entry.entry_hash)
        assert hard.commit <= last.height <= keyspace.HEIGHT_MAX, "what is committed is held"
        return _State(batch.counter, hard, last)


def chain_id_of(genesis: bytes) -> str:
    """Return the chain id that a genesis body makes.

    Raises EncodingError, BodyError, StoreError E_STORE_GENESIS if it is a body of another kind.
    """
    body = parse_body(genesis)
    name = body.genesis[0] if body.genesis is not None else None
    if body.kind is not BodyKind.GENESIS or not isinstance(name, str) or not names.CHAIN_NAME.fullmatch(name):
        raise StoreError("E_STORE_GENESIS", "not a genesis body with a chain name")
    return names.chain_id(name, body.digest)


def _entry_at(reader: Reader, height: int) -> tuple[int, bytes]:
    assert height >= 0, "heights start at 0"
    value = reader.get(keyspace.chain_entry(height))
    if value is None:
        last = _read_state(reader).last.height
        if height > last:
            raise StoreError("E_STORE_HEIGHT", f"there is no entry at height {height}; the last is {last}")
        raise _damaged(f"the entry at height {height} is missing")
    if len(value) != _ENTRY.size:
        raise _damaged(f"the entry at height {height} is not one")
    term, digest = _ENTRY.unpack(value)
    return term, digest


def _read_state(reader: Reader) -> _State:
    value = reader.get(keyspace.CHAIN_STATE)
    if value is None or len(value) != _STATE.size:
        raise _damaged("the hard state is missing")
    counter, term, vote, commit, height, digest = _STATE.unpack(value)
    name = vote.rstrip(b"\x00").decode("ascii", "replace")
    if not names.PROPOSER.fullmatch(name) or commit > height:
        raise _damaged("the hard state contradicts itself")
    entry = reader.get(keyspace.chain_entry(height))
    if entry is None or len(entry) != _ENTRY.size or entry[8:] != digest:
        raise _damaged(f"the newest entry, at height {height}, is missing or another")
    return _State(counter, HardState(term, name, commit), EntryId(height, _ENTRY.unpack(entry)[0], digest))


def _pack_state(state: _State) -> bytes:
    hard, last = state.hard, state.last
    assert names.PROPOSER.fullmatch(hard.vote), "a node id, or no vote"
    return _STATE.pack(
        state.counter, hard.term, hard.vote.encode(), hard.commit, last.height, last.entry_hash
    )


def _damaged(words: str) -> StoreDamagedError:
    return StoreDamagedError(
        "E_STORE_DAMAGED",
        f"the chain store is damaged: {words}. Keep the folder as it is; nothing was repaired",
    )
