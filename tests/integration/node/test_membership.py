"""Governance changes who takes part while the nodes run: an observer becomes a voter, a voter leaves, a
gateway is revoked. Everything through signed proposals, ordered as entries.
"""

from pathlib import Path

import pytest
from node_cluster import Cluster

from ledger.encoding import Value, pack
from ledger.governance_proposal import (
    Action,
    DemoteNode,
    PromoteNode,
    RevokeSubmitter,
    encode_proposal,
    sign_proposal,
)
from node.errors import DoorError
from node.keys import load_key
from node.ports import Role
from scripts.network import NODES


async def _propose(cluster: Cluster, action: Action) -> int:
    """Let three institutions sign a proposal and the leader order it; returns its height."""
    service = cluster.services[await cluster.leader()]
    state = service.view.governance
    raw = encode_proposal(state.chain_id, state.next_sequence, action)
    signatures: list[Value] = []
    for institution in ("AUDITOR", "BROKER", "MARKET"):
        key = load_key(cluster.network.folder / "governance-keys" / f"{institution}.key")
        signed = sign_proposal(raw, institution, key.key_id, key.seed)
        signatures.append([signed.institution, signed.key_id, signed.sig_alg, signed.signature])
    assert service._runtime is not None
    future = service._runtime.ordering.proposals.hand_in(pack([raw, signatures]))
    service._runtime.wake()
    return await future


def _give_the_regulator_a_peer_door(cluster: Cluster) -> None:
    """An observer needs none and has none; one that is to vote must be reachable by the others first."""
    door = f'peer = "{cluster.places["regulator-1"].peer_address}"\n'
    for name, place in cluster.places.items():
        mark = "[doors]\n" if name == "regulator-1" else "[peers.regulator-1]\n"
        text = place.config_path.read_text("utf-8")
        place.config_path.write_text(text.replace(mark, mark + door), "utf-8")


async def test_an_observer_becomes_a_voter_while_it_runs(tmp_path: Path) -> None:
    """It follows, catches up, is promoted, and from then on its acknowledgement counts: with it, any one of
    four may be missing.
    """
    async with Cluster(tmp_path, NODES) as cluster:
        _give_the_regulator_a_peer_door(cluster)
        await cluster.start()
        committed = await cluster.order(cluster.envelope(3))
        regulator = cluster.services["regulator-1"].view
        await cluster.until(lambda: regulator.applied_height >= committed.height, "the observer follows")
        assert regulator.raft_status().role is Role.OBSERVER
        voters = [service.view for name, service in cluster.services.items() if name != "regulator-1"]
        await cluster.until(
            lambda: all(view.signed_lag("regulator-1") <= 64 for view in voters),
            "the observer's signatures are seen",
        )
        height = await _propose(cluster, PromoteNode("regulator-1"))
        await cluster.until(
            lambda: regulator.applied_height >= height and regulator.raft_status().role is Role.FOLLOWER,
            "the observer votes",
        )
        leader = await cluster.leader()
        away = next(name for name in cluster.services if name not in {leader, "regulator-1"})
        await cluster.kill(away)
        assert (await cluster.order(cluster.envelope(1, first=50))).height > height


async def test_a_voter_that_is_demoted_leaves_the_quorum(tmp_path: Path) -> None:
    """The two that are left order on; the one demoted takes no part any more."""
    async with Cluster(tmp_path) as cluster:
        await cluster.start()
        leader = await cluster.leader()
        other = next(name for name in cluster.services if name != leader)
        height = await _propose(cluster, DemoteNode(other))
        await cluster.kill(other)
        assert (await cluster.order(cluster.envelope(1))).height > height


async def test_a_revoked_gateway_is_refused_at_once(tmp_path: Path) -> None:
    """Also on a stream that was open before."""
    async with Cluster(tmp_path) as cluster:
        await cluster.start()
        gateway = cluster.gateway(await cluster.leader())
        assert (await gateway.submit(cluster.envelope(1))).committed.height
        await _propose(cluster, RevokeSubmitter("BROKER", "gateway-1"))
        assert (await gateway.submit(cluster.envelope(1, first=9))).refused.code == "E_CHAIN_SUBMITTER"


async def test_a_proposal_without_enough_signatures_is_refused(tmp_path: Path) -> None:
    """By the rules of the chain, before anything is ordered."""
    async with Cluster(tmp_path) as cluster:
        await cluster.start()
        leader = await cluster.leader()
        service = cluster.services[leader]
        state = service.view.governance
        raw = encode_proposal(state.chain_id, state.next_sequence, RevokeSubmitter("BROKER", "gateway-1"))
        key = load_key(cluster.network.folder / "governance-keys/BROKER.key")
        signed = sign_proposal(raw, "BROKER", key.key_id, key.seed)
        rows: list[Value] = [[signed.institution, signed.key_id, signed.sig_alg, signed.signature]]
        assert service._runtime is not None
        future = service._runtime.ordering.proposals.hand_in(pack([raw, rows]))
        service._runtime.wake()
        with pytest.raises(DoorError) as caught:
            await future
        assert caught.value.code.startswith("E_GOVERNANCE")
        assert (await cluster.order(cluster.envelope(1))).height
