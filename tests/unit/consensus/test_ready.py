"""A Ready tells everything there is to do, once."""

from consensus_stage import Stage

from consensus.ready import Evidence, EvidenceKind, Ready
from consensus.types import Role


def test_a_ready_is_complete_and_not_repeated() -> None:
    """Two in a row without an event: the second is None."""
    stage = Stage(["1"])
    stage["1"].core.campaign(0, 0)
    first = stage["1"].core.ready()
    assert isinstance(first, Ready)
    assert first.hard_state is not None
    assert (first.hard_state.term, first.hard_state.vote) == (1, "1")
    assert first.soft is not None
    assert first.soft.role is Role.CANDIDATE
    assert stage["1"].core.ready() is None


def test_evidence_compares_by_value() -> None:
    """So that the same accusation is kept once."""
    stage = Stage(["1", "2"])
    stage["1"].core.campaign(0, 0)
    ready = stage["1"].core.ready()
    assert ready is not None
    message = ready.after_sync[0]
    one, other = (Evidence(EvidenceKind.FALSE_ACK, "2", 1, 1, None, None, message) for _ in range(2))
    assert one == other
