"""Errors form one family, and those that carry a code or a leader show it."""

import pytest

from consensus import errors


@pytest.mark.parametrize(
    "error",
    [
        errors.NotReadyError("x"),
        errors.BarrierError("x"),
        errors.BusyError("x"),
        errors.TransferringError("x"),
        errors.ClockAheadError("x"),
        errors.HaltedError("x"),
        errors.NotLeaderError("b"),
        errors.RefusedError("E_X"),
    ],
)
def test_a_refused_proposal_is_one_kind_of_error(error: errors.ProposalError) -> None:
    """A host catches ProposalError and has them all."""
    assert isinstance(error, errors.ProposalError)
    assert isinstance(error, errors.ConsensusError)


def test_codes_and_leaders_are_told() -> None:
    """What a host needs for its answer is an attribute, not only text."""
    assert errors.NotLeaderError("b").leader == "b"
    assert "not known" in str(errors.NotLeaderError(None))
    assert errors.RefusedError("E_X").code == errors.PayloadError("E_X", "why").code == "E_X"
    assert str(errors.MessageError("E_Y", "why")) == "E_Y: why"
    assert str(errors.PayloadError("E_Z")) == "E_Z"
