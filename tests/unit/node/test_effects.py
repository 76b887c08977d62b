"""The answers to submitters are values, and their numbers are those of the wire."""

import pytest

from node.effects import Answer, Committed, Known, LeafState, LeafStatus, OutcomeUnknown
from protos import submit_pb2 as pb


def test_leaf_states_have_the_wires_numbers() -> None:
    """The door copies the number; so it must mean the same."""
    for state in LeafState:
        assert int(pb.LeafState.Value(f"LEAF_STATE_{state.name}")) == int(state)


def test_answers_are_values() -> None:
    """Equal when they say the same, and never changed."""
    known = Known((LeafStatus(LeafState.ON_CHAIN, 5, 2), LeafStatus(LeafState.NEW)))
    assert known == Known((LeafStatus(LeafState.ON_CHAIN, index=5, height=2), LeafStatus(LeafState.NEW)))
    assert Answer(1, OutcomeUnknown()) != Answer(2, OutcomeUnknown())
    with pytest.raises(AttributeError):
        Committed(1, 2, 3).height = 4  # type: ignore[misc]
