"""Which node an envelope goes to."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.routing import ELECTION_PAUSE_S, PAUSE_MAX_S, PAUSE_MIN_S, Route

NODES = ("broker-1", "market-1", "auditor-1")


def test_a_hint_is_followed_at_once() -> None:
    """A node that names the leader costs no pause."""
    route = Route(NODES)
    assert route.target(0.0) == ("broker-1", 0.0)
    route.redirected("broker-1", "auditor-1", 0.0)
    assert route.target(0.0) == ("auditor-1", 0.0)
    route.succeeded("auditor-1")
    assert route.target(9.0) == ("auditor-1", 0.0)


def test_without_a_hint_the_others_are_tried_then_there_is_a_pause() -> None:
    """An election is waited for, a tenth of a second at a time, not stormed."""
    route = Route(NODES)
    tried = []
    for _ in NODES:
        node, pause = route.target(0.0)
        assert pause == 0.0
        tried.append(node)
        route.redirected(node, "", 0.0)
    assert tried == list(NODES)
    assert route.target(0.0) == ("broker-1", ELECTION_PAUSE_S)


def test_a_failing_node_pauses_longer_each_time() -> None:
    """From PAUSE_MIN_S doubling to PAUSE_MAX_S; a success ends it."""
    route = Route(("only-1",))
    pauses = []
    now = 0.0
    for _ in range(8):
        route.failed("only-1", now)
        _, pause = route.target(now)
        pauses.append(round(pause, 6))
        now += pause
    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
    assert pauses[0] == PAUSE_MIN_S
    assert pauses[-1] == PAUSE_MAX_S
    route.succeeded("only-1")
    assert route.target(now) == ("only-1", 0.0)


def test_a_dead_leader_is_left() -> None:
    """When the leader fails the next node is asked at once."""
    route = Route(NODES)
    route.succeeded("market-1")
    route.failed("market-1", 1.0)
    assert route.target(1.0) == ("auditor-1", 0.0)
    route.redirected("auditor-1", "market-1", 1.0)  # it has not noticed yet
    assert route.target(1.0)[0] == "broker-1"


def test_hints_that_lead_nowhere_are_ignored() -> None:
    """A node that names itself, or somebody unknown, names nobody."""
    route = Route(NODES)
    route.redirected("broker-1", "broker-1", 0.0)
    assert route.leader is None
    route.redirected("market-1", "stranger-9", 0.0)
    assert route.leader is None


@given(
    st.lists(
        st.tuples(st.sampled_from(["failed", "redirected", "succeeded"]), st.sampled_from(NODES)), max_size=50
    )
)
def test_there_is_always_a_target_within_the_longest_pause(events: list[tuple[str, str]]) -> None:
    """No history of failures makes the gateway give up."""
    route = Route(NODES)
    for event, other in events:
        node, pause = route.target(0.0)
        assert node in NODES
        assert 0.0 <= pause <= PAUSE_MAX_S
        if event == "failed":
            route.failed(node, 0.0)
        elif event == "redirected":
            route.redirected(node, other, 0.0)
        else:
            route.succeeded(node)
