"""Made-up standings and vitals for tests of what only shows them."""

from dataclasses import replace
from typing import Any

from node.health import Vitals
from node.ports import PeerLink, Role
from node.standing import CosignerStanding, Following, Standing

VITALS = Vitals(0.001, 50 * 1024**3)

VOTER = Standing(
    chain_id="test-00c0ffee",
    node_id="broker-1",
    institution="BROKER",
    role=Role.LEADER,
    reason="",
    leader="broker-1",
    term=3,
    last_height=120,
    commit_height=120,
    applied_height=120,
    size=363,
    root=bytes(range(32)),
    final_height=119,
    final_size=360,
    final_time_s=1_700_000_000,
    cosigners=(
        CosignerStanding("AUDITOR", "auditor-1", 360, 1_700_000_000),
        CosignerStanding("BROKER", "broker-1", 363, 1_700_000_001),
    ),
    convicted=(),
    links=(PeerLink("market-1", "127.0.0.1:1", connected=True, last_error=""),),
    following=None,
    version="0.1.0",
)
OBSERVER = replace(
    VOTER,
    node_id="regulator-1",
    institution="REGULATOR",
    role=Role.OBSERVER,
    leader="",
    links=(),
    following=Following("broker-1", connected=True, tip_height=121, tail_blocks=1, failures=0, last_error=""),
)


def voter(**changes: Any) -> Standing:
    """A healthy voter with changes."""
    return replace(VOTER, **changes)


def observer(**changes: Any) -> Standing:
    """A healthy observer with changes."""
    return replace(OBSERVER, **changes)
