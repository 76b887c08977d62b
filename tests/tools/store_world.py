"""Made-up chains in real stores, for the tests of the store, its crashes and its damage.

A `Pair` is a chain store and a derived store on key-value stores of any kind, fed through the real fold, as a
single node would do it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import ledger_world as world
from fake_kv import MemoryKv

from ledger.body import Body, parse_body
from ledger.chain import AppliedBlock, Chain
from ledger.entry import entry_hash
from ledger.store_chain import ChainBatch, ChainStore, HardState, StoredEntry
from ledger.store_derived import DerivedStore

NODE = "broker-1"
INSTANCE = bytes(range(16))
GENESIS = world.genesis_body()
CHAIN_ID = world.genesis().chain_id


def stored(
    store: ChainStore, bodies: Sequence[Body], term: int, after: int | None = None
) -> tuple[StoredEntry, ...]:
    """Return the entries that carry `bodies` behind height `after` (default: the last one), hashes linked."""
    height = store.last().height if after is None else after
    prev = store.term_and_hash(height)[1]
    entries = []
    for body in bodies:
        height += 1
        prev = entry_hash(store.chain_id, prev, height, term, body.digest)
        entries.append(StoredEntry(height, term, prev, body.raw))
    return tuple(entries)


def append(store: ChainStore, *bodies: Body, term: int = 1, commit: int | None = None) -> None:
    """Write one batch with these bodies, committed up to `commit` (default: all of them)."""
    entries = stored(store, bodies, term)
    last = entries[-1].height if entries else store.last().height
    hard = HardState(term, NODE, last if commit is None else commit)
    store.write(ChainBatch(store.counter() + 1, hard, None, entries))


def bodies(count: int, *, records: int = 3, first: int = 0) -> list[Body]:
    """Return bodies to follow genesis: every third is empty, the others hold new records."""
    made = []
    for number in range(first, first + count):
        if number % 3 == 0:
            made.append(world.empty_body(ms=number + 1))
        else:
            made.append(world.envelopes_body(CHAIN_ID, (number * records, records), ms=number + 1))
    return made


def memory_chain() -> tuple[MemoryKv, ChainStore]:
    """Return a new chain store in memory."""
    kv = MemoryKv()
    return kv, ChainStore.create_in(kv, GENESIS.raw, node_id=NODE, instance=INSTANCE)


@dataclass
class Pair:
    """Both stores in memory and the fold that feeds them; `blocks` is everything applied, by height."""

    chain_kv: MemoryKv = field(default_factory=MemoryKv)
    derived_kv: MemoryKv = field(default_factory=lambda: MemoryKv(rebuildable=True))

    def __post_init__(self) -> None:
        """Start from genesis."""
        self.chain = ChainStore.create_in(self.chain_kv, GENESIS.raw, node_id=NODE, instance=INSTANCE)
        self.derived = DerivedStore.create_in(self.derived_kv, self.chain)
        self.fold, block = Chain.start(GENESIS)
        self.derived.write([block])
        self.blocks: list[AppliedBlock] = [block]

    def apply(self, *made: Body, term: int = 1) -> list[AppliedBlock]:
        """Append, apply and store bodies, all in one batch."""
        append(self.chain, *made, term=term)
        applied = [self.fold.apply(self.fold.height + 1, term, body) for body in made]
        self.derived.write(applied)
        self.blocks += applied
        return applied


def replay(chain: ChainStore, derived: DerivedStore, fold: Chain | None) -> Chain:
    """Apply what the derived store does not have yet, as a start does; return the fold."""
    if fold is None:
        fold, block = Chain.start(parse_body(chain.entry(0).body_raw))
        derived.write([block])
    while fold.height < chain.hard_state().commit:
        entry = chain.entry(fold.height + 1)
        derived.write([fold.apply(entry.height, entry.term, parse_body(entry.body_raw))])
    return fold
