"""Consensus' storage on the chain store: indices are heights, None is "", and batches carry everything."""

import ledger_world as world
import pytest
from node_world import Alone

from consensus import HardState as RaftHardState
from ledger.store_chain import HardState
from node.raft_storage import RaftStorage, disk_batch, raft_hard_state
from node.writer import merge


def test_a_leader_alone_writes_and_reads_back_its_log() -> None:
    """Everything that consensus appended stands in the store, with the hashes it computed."""
    alone = Alone()
    chain_id = alone.chain.chain_id
    for at in range(3):
        body = world.envelopes_body(chain_id, (10 * at, 3), ms=2)
        alone.raft.propose([body.raw], 1, world.START_MS + 2)
        alone.settle()
    storage = RaftStorage(alone.opened.chain_store, alone.opened.host)
    assert storage.last_index() == 4
    entries = storage.entries(0, 5, 1 << 20)
    assert [entry.index for entry in entries] == [0, 1, 2, 3, 4]
    assert [storage.hash(entry.index) for entry in entries] == [entry.hash for entry in entries]
    assert [storage.term(index) for index in range(5)] == [0, 1, 1, 1, 1]
    assert entries[3].hash == alone.raft.replica.log.hash(3)
    assert len(storage.entries(1, 5, 1)) == 1, "one entry always fits"


def test_no_vote_is_spelled_both_ways() -> None:
    """The store has "", consensus has None; commit is what is known now."""
    assert raft_hard_state(HardState(3, "", 5), 7) == RaftHardState(3, None, 7)
    assert raft_hard_state(HardState(3, "a", 5), 5) == RaftHardState(3, "a", 5)
    with pytest.raises(AssertionError):
        raft_hard_state(HardState(3, "a", 5), 4)


def test_a_ready_becomes_one_batch() -> None:
    """Term, vote, commit and entries, in the words of the store."""
    alone = Alone()
    body = world.envelopes_body(alone.chain.chain_id, (0, 1), ms=2)
    alone.raft.propose([body.raw], 1, world.START_MS + 2)
    ready = alone.raft.ready()
    assert ready is not None
    batch = disk_batch(ready)
    assert batch.hard_state == HardState(1, "broker-1", 1)
    assert [(entry.height, entry.term, entry.body_raw) for entry in batch.entries] == [(2, 1, body.raw)]
    assert batch.cost() == len(body.raw)
    assert merge([batch], 9).counter == 9
