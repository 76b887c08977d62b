"""Governance proposals: refused at the door, ordered one at a time, answered with their height."""

from types import SimpleNamespace
from typing import Any

import ledger_world as world
import pytest
from node_world import Alone

from ledger.encoding import Value, pack
from ledger.governance_proposal import PromoteNode, SetLimits
from ledger.governance_state import Limits
from node.errors import DoorError
from node.proposals import Proposals


def _content(alone: Alone, attest_every: int = 2) -> bytes:
    action = SetLimits(Limits(attest_every=attest_every))
    signed = world.signed_proposal(alone.chain.state, action, ("BROKER",))
    signatures: list[Value] = [[s.institution, s.key_id, s.sig_alg, s.signature] for s in signed.signatures]
    return pack([signed.proposal, signatures])


def _view(alone: Alone, lag: int = 0) -> Any:
    return SimpleNamespace(node_id="broker-1", governance=alone.chain.state, signed_lag=lambda _: lag)


def _order(proposals: Proposals, alone: Alone) -> bool:
    return proposals.order(alone.raft, _view(alone), 1, world.START_MS + 5)


async def test_a_proposal_is_answered_with_the_height_of_its_block() -> None:
    """And rules from the next one."""
    alone, proposals = Alone(), Proposals()
    future = proposals.hand_in(_content(alone))
    assert proposals.waiting
    assert _order(proposals, alone)
    for block in alone.settle():
        proposals.applied(block)
    assert await future == 2
    assert alone.chain.state.limits.attest_every == 2


@pytest.mark.parametrize("content", [b"", b"\x90", pack([b"x"]), pack([b"x", [[1]]])])
async def test_what_is_no_content_is_refused_at_the_door(content: bytes) -> None:
    """Before anything is queued."""
    proposals = Proposals()
    with pytest.raises(DoorError) as caught:
        proposals.hand_in(content)
    assert caught.value.code == "E_PROPOSAL_FORM"
    assert not proposals.waiting


async def test_what_the_rules_refuse_is_answered_with_their_code() -> None:
    """A proposal of another sequence number is a replay, or too early."""
    alone, proposals = Alone(), Proposals()
    content = _content(alone)
    first = proposals.hand_in(content)
    _order(proposals, alone)
    for block in alone.settle():
        proposals.applied(block)
    await first
    again = proposals.hand_in(content)
    assert not _order(proposals, alone)
    with pytest.raises(DoorError) as caught:
        await again
    assert caught.value.code.startswith("E_GOVERNANCE")


async def test_nothing_is_ordered_behind_a_change_that_is_not_applied() -> None:
    """The second is told to come again."""
    alone, proposals = Alone(), Proposals()
    proposals.hand_in(_content(alone))
    second = proposals.hand_in(_content(alone, 3))
    assert _order(proposals, alone)
    with pytest.raises(DoorError) as caught:
        await second
    assert caught.value.code == "E_PROPOSAL_BUSY"


@pytest.mark.parametrize(("lag", "code"), [(65, "E_PROMOTE_LAG"), (64, "E_GOVERNANCE_UNKNOWN")])
async def test_an_observer_far_behind_is_not_promoted(lag: int, code: str) -> None:
    """Beyond the chain's own limit it is the leader who refuses; within it the rules are asked."""
    alone, proposals = Alone(), Proposals()
    signed = world.signed_proposal(alone.chain.state, PromoteNode("late-1"), ("BROKER",))
    signatures: list[Value] = [[s.institution, s.key_id, s.sig_alg, s.signature] for s in signed.signatures]
    future = proposals.hand_in(pack([signed.proposal, signatures]))
    proposals.order(alone.raft, _view(alone, lag), 1, world.START_MS + 5)
    with pytest.raises(DoorError) as caught:
        await future
    assert caught.value.code == code


async def test_a_bounded_number_waits() -> None:
    """One more is refused."""
    alone, proposals = Alone(), Proposals()
    for _ in range(16):
        proposals.hand_in(_content(alone))
    with pytest.raises(DoorError):
        proposals.hand_in(_content(alone))


async def test_lost_leadership_has_no_known_outcome() -> None:
    """Whatever waits or is on its way is answered so."""
    alone, proposals = Alone(), Proposals()
    flying = proposals.hand_in(_content(alone))
    _order(proposals, alone)
    waiting = proposals.hand_in(_content(alone))
    proposals.lost("market-1")
    for future in (flying, waiting):
        with pytest.raises(DoorError, match="market-1") as caught:
            await future
        assert caught.value.code == "E_OUTCOME_UNKNOWN"
