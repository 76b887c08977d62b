"""Nodes are stopped, killed and started again; what was answered stays, and the others go on."""

import asyncio
from pathlib import Path

from node_cluster import Cluster

from node.ports import Role


async def test_a_follower_that_was_away_catches_up(tmp_path: Path) -> None:
    """Two of three go on without it; back again, it holds the same tree."""
    async with Cluster(tmp_path) as cluster:
        await cluster.start()
        leader = await cluster.leader()
        away = next(name for name in cluster.services if name != leader)
        await cluster.kill(away)
        placed = [await cluster.order(cluster.envelope(10, first=10 * at)) for at in range(5)]
        await cluster.start(away)
        await cluster.agreed(placed[-1].height)
        assert cluster.services[away].view.derived_store.records == 50


async def test_a_killed_leader_is_replaced_and_nothing_answered_is_lost(tmp_path: Path) -> None:
    """The other two elect one of them, which knows the replayed envelope and takes new ones."""
    async with Cluster(tmp_path) as cluster:
        await cluster.start()
        leader = await cluster.leader()
        envelope = cluster.envelope(4)
        first = await cluster.order(envelope)
        leader = await cluster.leader()
        await cluster.kill(leader)
        assert await cluster.leader() != leader
        again = await cluster.order(envelope)
        assert (again.height, again.first_index) == (first.height, first.first_index)
        after = await cluster.order(cluster.envelope(1, first=100))
        assert after.height > first.height
        await cluster.start(leader)
        await cluster.agreed(after.height)


async def test_a_polite_stop_hands_leadership_over_at_once(tmp_path: Path) -> None:
    """No election timeout passes: the successor leads a moment after the leader was asked to stop."""
    async with Cluster(tmp_path) as cluster:
        await cluster.start()
        leader = await cluster.leader()
        loop = asyncio.get_running_loop()
        started = loop.time()
        stopping = asyncio.create_task(cluster.stop(leader))
        await cluster.until(
            lambda: any(
                name != leader and s.view.raft_status().role is Role.LEADER
                for name, s in cluster.services.items()
            ),
            "a successor",
        )
        handed_over_s = loop.time() - started
        await stopping
        assert handed_over_s < 0.5, "sooner than the shortest election timeout"


async def test_two_of_three_down_orders_nothing_until_one_is_back(tmp_path: Path) -> None:
    """The one left steps down and answers so; with a second one the chain goes on."""
    async with Cluster(tmp_path) as cluster:
        await cluster.start()
        leader = await cluster.leader()
        others = [name for name in cluster.services if name != leader]
        for name in others:
            await cluster.kill(name)
        view = cluster.services[leader].view
        await cluster.until(lambda: view.raft_status().role is not Role.LEADER, "a leader alone steps down")
        reply = await cluster.gateway(leader).submit(cluster.envelope(1))
        assert reply.WhichOneof("outcome") == "not_leader"
        await cluster.start(others[0])
        assert (await cluster.order(cluster.envelope(1))).height


async def test_a_restart_of_all_keeps_everything(tmp_path: Path) -> None:
    """The same height, tree and root come back, by the same apply path."""
    async with Cluster(tmp_path) as cluster:
        await cluster.start()
        placed = [await cluster.order(cluster.envelope(20, first=100 * at)) for at in range(3)]
        await cluster.agreed(placed[-1].height)
        points = {name: (s.view.size, s.view.root) for name, s in cluster.services.items()}
        for name in list(cluster.services):
            await cluster.stop(name)
        await cluster.start()
        for name, service in cluster.services.items():
            size, root = points[name]
            assert service.view.derived_store.root_at(size) == root
