"""The seam's own values: statistics count every answer, roles have the words of the read door."""

from node.effects import Committed, Known, NotLeader, Outcome, OutcomeUnknown, Refused, SlowDown
from node.ports import NodeStats, Role


def test_every_answer_is_counted_once() -> None:
    """Refusals by their code; who was sent elsewhere is not counted."""
    stats = NodeStats()
    outcomes: list[Outcome] = [
        Committed(1, 2, 3),
        Known(()),
        Refused("E_A", "x"),
        Refused("E_A", "y"),
        Refused("E_B", "z"),
        SlowDown(5),
        NotLeader(""),
        OutcomeUnknown(),
    ]
    for outcome in outcomes:
        stats.count(outcome)
    assert (stats.envelopes_committed, stats.envelopes_known, stats.slow_downs) == (1, 1, 1)
    assert stats.envelopes_refused == {"E_A": 2, "E_B": 1}


def test_roles_are_the_words_of_the_read_door() -> None:
    """protos/read.proto lists them."""
    assert {role.value for role in Role} == {
        "leader",
        "follower",
        "candidate",
        "observer",
        "waiting",
        "halted",
    }
