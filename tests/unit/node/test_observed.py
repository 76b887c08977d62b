"""An observer's way in: verified entries are synced, then applied; gaps and haste are refused."""

from collections.abc import Sequence

import ledger_world as world
import pytest
from node_world import opened

from ledger.body import Body
from ledger.chain import AppliedBlock, Chain
from ledger.governance import genesis_state
from ledger.store_chain import ChainBatch, HardState
from node.applier import Step
from node.errors import HaltedError, NodeError
from node.observed import Observed
from node.ports import ObservedEntry
from node.writer import DiskBatch, merge

GENESIS = world.genesis_body()
CHAIN_ID = genesis_state(GENESIS).chain_id


class Held:
    """Stands for the disk thread: keeps batches until the test makes them durable."""

    def __init__(self) -> None:
        self.memory = opened(GENESIS, "regulator-1")
        self.batches: list[DiskBatch] = []
        self.applied: list[AppliedBlock] = []
        self.halt = False
        self.observed = Observed(self.memory.chain_store, self, self._apply)  # type: ignore[arg-type]

    def put(self, batch: DiskBatch) -> None:
        """As the writer's."""
        self.batches.append(batch)

    def sync(self) -> None:
        """Make the oldest batch durable."""
        batch = self.batches.pop(0)
        store = self.memory.chain_store
        store.write(merge([batch], store.counter() + 1))
        self.observed.synced(batch.number)

    def _apply(self, steps: Sequence[Step]) -> list[AppliedBlock]:
        if self.halt:
            return []
        blocks = self.memory.applier.apply(steps)
        self.applied += blocks
        return blocks

    def entries(self, *bodies: Body, first: int = 1, term: int = 1) -> list[ObservedEntry]:
        """Entries verified on a chain of our own, as the follower does."""
        ahead = Chain.restore(self.memory.applier.chain.point)
        made = []
        for at, body in enumerate(bodies):
            verified = ahead.verify(body)
            ahead.apply(ahead.height + 1, term, verified)
            made.append(ObservedEntry(first + at, term, verified))
        return made


async def test_a_group_is_applied_when_it_is_durable_and_not_before() -> None:
    """Its hard state follows: term, no vote, committed to its end."""
    held = Held()
    group = held.entries(world.empty_body(ms=1), world.envelopes_body(CHAIN_ID, (0, 2), ms=2), term=3)
    done = held.observed.ingest(group)
    assert not held.applied
    held.sync()
    assert done.done()
    assert [block.height for block in held.applied] == [1, 2]
    assert held.memory.chain_store.hard_state() == HardState(3, "", 2)


async def test_one_group_at_a_time_and_none_out_of_place() -> None:
    """A gap, a repetition, or haste leaves nothing behind."""
    held = Held()
    first = held.entries(world.empty_body(ms=1))
    for height in (0, 2):
        with pytest.raises(NodeError) as caught:
            held.observed.ingest([ObservedEntry(height, 1, first[0].body)])
        assert caught.value.code == "E_INGEST_GAP"
    held.observed.ingest(first)
    with pytest.raises(NodeError) as caught:
        held.observed.ingest(first)
    assert caught.value.code == "E_INGEST_BUSY"
    assert len(held.batches) == 1


async def test_a_node_that_votes_or_has_no_disk_does_not_follow() -> None:
    """Two ways into one store would be one too many."""
    held = Held()
    held.observed.is_open = False
    with pytest.raises(NodeError) as caught:
        held.observed.ingest(held.entries(world.empty_body()))
    assert caught.value.code == "E_INGEST_CLOSED"
    without = Observed(held.memory.chain_store, None, held._apply)
    with pytest.raises(NodeError):
        without.ingest(held.entries(world.empty_body()))


async def test_who_waits_hears_of_a_halt() -> None:
    """The group is durable and not applied: the node had to halt."""
    held = Held()
    done = held.observed.ingest(held.entries(world.empty_body()))
    held.halt = True
    held.sync()
    with pytest.raises(HaltedError):
        await done


async def test_a_vote_given_earlier_in_the_same_term_is_kept() -> None:
    """A node that has voted and was demoted does not forget its vote."""
    held = Held()
    store = held.memory.chain_store
    store.write(ChainBatch(1, HardState(2, "market-1", 0)))
    held.observed.ingest(held.entries(world.empty_body(), term=2))
    assert held.batches[0].hard_state == HardState(2, "market-1", 1)
