"""Three real nodes order what a gateway hands in: once, in one order, and for good."""

from pathlib import Path

import pytest
from node_cluster import Cluster, free_port_base, leaves

from protos import submit_pb2 as pb
from scripts.network import NODES, with_voters


async def test_an_envelope_comes_back_with_its_place_on_every_node(tmp_path: Path) -> None:
    """A committed envelope stands in one block, its leaves side by side, in the same tree on all nodes."""
    async with Cluster(tmp_path) as cluster:
        await cluster.start()
        committed = await cluster.order(cluster.envelope(3))
        assert committed.first_index == committed.height, "before it only the blocks' header leaves"
        assert committed.block_time_ms > 1_700_000_000_000
        await cluster.agreed(committed.height)
        for service in cluster.services.values():
            assert service.view.derived_store.entries(committed.first_index, 3)[0][12:44] == leaves(1)[13:45]


async def test_a_replayed_envelope_is_answered_with_its_positions_for_ever(tmp_path: Path) -> None:
    """Not only the leader that ordered it knows: after a restart of everybody the answer is the same."""
    async with Cluster(tmp_path) as cluster:
        await cluster.start()
        envelope = cluster.envelope(2)
        first = await cluster.order(envelope)
        for node_id in list(cluster.services):
            await cluster.kill(node_id)
        await cluster.start()
        again = await cluster.gateway(await cluster.leader()).submit(envelope)
        assert [leaf.state for leaf in again.known.leaves] == [pb.LEAF_STATE_ON_CHAIN] * 2
        assert [leaf.index for leaf in again.known.leaves] == [first.first_index, first.first_index + 1]
        assert {leaf.height for leaf in again.known.leaves} == {first.height}


async def test_an_envelope_with_one_known_leaf_is_not_ordered_at_all(tmp_path: Path) -> None:
    """Whole or not at all: the answer tells new from known, leaf by leaf, and the new one is not on the
    chain.
    """
    async with Cluster(tmp_path) as cluster:
        await cluster.start()
        leader = await cluster.leader()
        await cluster.order(cluster.envelope(1, first=7))
        reply = await cluster.gateway(await cluster.leader()).submit(cluster.envelope(2, first=7))
        assert [leaf.state for leaf in reply.known.leaves] == [pb.LEAF_STATE_ON_CHAIN, pb.LEAF_STATE_NEW]
        assert cluster.services[leader].view.derived_store.records == 1


async def test_a_node_that_does_not_lead_names_the_leader(tmp_path: Path) -> None:
    """Nothing is forwarded: the gateway has everybody's address."""
    async with Cluster(tmp_path) as cluster:
        await cluster.start()
        leader = await cluster.leader()
        await cluster.until(
            lambda: all(s.view.raft_status().leader == leader for s in cluster.services.values()),
            "everybody knows the leader",
        )
        other = next(name for name in cluster.services if name != leader)
        reply = await cluster.gateway(other).submit(cluster.envelope(1))
        assert reply.not_leader.leader == leader


async def test_many_envelopes_at_once_share_blocks_and_lose_nothing(tmp_path: Path) -> None:
    """40 envelopes of 50 records without waiting: every one committed once, in far fewer than 40 blocks'
    syncs.
    """
    async with Cluster(tmp_path) as cluster:
        await cluster.start()
        leader = await cluster.leader()
        gateway = cluster.gateway(leader)
        numbers = [await gateway.send(cluster.envelope(50, first=100 * at)) for at in range(40)]
        replies = {reply.id: reply for reply in [await gateway.receive() for _ in numbers]}
        assert sorted(replies) == numbers
        ranges = sorted((reply.committed.first_index, reply.committed.height) for reply in replies.values())
        assert len({start for start, _ in ranges}) == 40
        await cluster.agreed(max(height for _, height in ranges))
        assert cluster.services[leader].view.derived_store.records == 2_000


async def test_one_voter_alone_orders(tmp_path: Path) -> None:
    """A network of one institution (f = 0) has no peers to wait for, only its disk."""
    async with Cluster(tmp_path, with_voters(NODES, 1), quorum=1, f=0) as cluster:
        await cluster.start()
        assert (await cluster.order(cluster.envelope(1))).height == 2


@pytest.mark.parametrize("nodes", [1, 4])
def test_free_ports_are_free(nodes: int) -> None:
    """The tests' own tool finds room for so many nodes."""
    assert 1024 < free_port_base(nodes) < 65_000
