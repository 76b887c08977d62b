"""One node's pieces on stores in memory, for unit tests of the node: real chain, real consensus, no disk, no
network.

`opened` gives what `node.start.open_node` gives; `Alone` is a voter that is the only one, driven by hand.
"""

from collections.abc import Sequence
from typing import Any

import ledger_world as world
from fake_kv import MemoryKv
from store_world import INSTANCE

from consensus import Config, HardState, Raft
from ledger.body import Body
from ledger.chain import Chain
from ledger.headfile import CosignMark, StoreFacts
from ledger.store_chain import ChainStore
from ledger.store_derived import DerivedStore
from node.applier import Applier
from node.raft_storage import RaftStorage, disk_batch
from node.replica import LedgerHost
from node.start import Opened
from node.writer import merge

NODE = "broker-1"


class MemoryHead:
    """A head file in memory: the slots written so far."""

    def __init__(self) -> None:
        """Nothing written yet."""
        self.slots: list[tuple[StoreFacts, CosignMark | None]] = []
        self.fail: Exception | None = None

    def write(self, facts: StoreFacts, mark: CosignMark | None = None) -> None:
        """Remember a slot, or fail as told."""
        if self.fail is not None:
            raise self.fail
        self.slots.append((facts, mark))

    def close(self) -> None:
        """Nothing to release."""


def opened(genesis: Body, node_id: str = NODE, *, halted: str | None = None) -> Opened:
    """A new node's memories on stores in memory, with genesis applied."""
    store = ChainStore.create_in(MemoryKv(), genesis.raw, node_id=node_id, instance=INSTANCE)
    derived = DerivedStore.create_in(MemoryKv(rebuildable=True), store)
    chain, block = Chain.start(genesis)
    derived.write([block])
    applier = Applier(chain, derived)
    head: Any = None if halted else MemoryHead()
    return Opened(store, derived, head, applier, LedgerHost(node_id, chain), 0, CosignMark(), halted)


class Alone:
    """A single voter: consensus on a store in memory, applied by hand through `settle`."""

    def __init__(self, genesis: Body | None = None) -> None:
        """A leader that has applied its own term's first entry."""
        self.opened = opened(genesis or world.genesis_body(f=0, quorum=1, single=True))
        host = self.opened.host
        self.raft = Raft(
            Config(NODE),
            host,
            RaftStorage(self.opened.chain_store, host),
            hard_state=HardState(),
            applied=0,
            voters=[NODE],
            rng=_Low(),
            now_ms=0,
            wall_ms=world.START_MS + 1,
        )
        self.now_ms = 0
        self.raft.campaign(0, world.START_MS + 1)
        self.settle()

    @property
    def chain(self) -> Chain:
        """The applied chain."""
        return self.opened.applier.chain

    def settle(self) -> list[Any]:
        """Write, sync and apply until nothing is left to do; returns the applied blocks."""
        blocks: list[Any] = []
        while (ready := self.raft.ready()) is not None:
            if ready.must_sync:
                store = self.opened.chain_store
                store.write(merge([disk_batch(ready)], store.counter() + 1))
                self.raft.synced(ready.batch)
            if ready.committed:
                host = self.opened.host
                steps = [(e.index, e.term, host.take(e)) for e in ready.committed]
                done = self.opened.applier.apply(steps)
                last = done[-1]
                voters = last.state.voters() if last.governance_changed else None
                self.raft.applied(last.height, voters)
                blocks += done
        return blocks


class _Low:
    """A random source that always gives the lowest number."""

    def randrange(self, start: int, stop: int, /) -> int:
        """The lowest."""
        assert start < stop
        return start


def steps(*bodies: Body, first: int = 1, term: int = 1) -> Sequence[tuple[int, int, Body]]:
    """Bodies as the applier takes them."""
    return [(first + at, term, body) for at, body in enumerate(bodies)]
