"""Which states may exist: every rule refuses with its own code."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import ledger_world as world
import pytest

from ledger.errors import GovernanceError
from ledger.governance_rules import validate_genesis, validate_state
from ledger.governance_state import Key, Limits, NodeRole, State
from ledger.note import VerifierKey

Change = Callable[[State], State]


def refusal(state: State, call: Callable[[State], None] = validate_state) -> str:
    """The code with which a state is refused."""
    with pytest.raises(GovernanceError) as caught:
        call(state)
    return caught.value.code


def institution(state: State, at: int, **change: Any) -> State:
    """A state with one institution changed."""
    rows = list(state.institutions)
    rows[at] = replace(rows[at], **change)
    return replace(state, institutions=tuple(rows))


def node(state: State, at: int, **change: Any) -> State:
    """A state with one node changed."""
    rows = list(state.nodes)
    rows[at] = replace(rows[at], **change)
    return replace(state, nodes=tuple(rows))


def submitter(state: State, **change: Any) -> State:
    """A state with its one submitter changed."""
    return replace(state, submitters=(replace(state.submitters[0], **change),))


def ended(key: Key) -> Key:
    """A key that ended at height 1."""
    return replace(key, until_height=1)


def closed_member(state: State) -> State:
    """The regulator is no longer a member but runs a node."""
    return institution(state, 3, keys=(ended(state.institutions[3].keys[0]),))


def colliding(state: State) -> State:
    """Every node has the log key of the first."""
    return node(state, 1, log_keys=state.nodes[0].log_keys)


CHANGES: list[tuple[str, Change]] = [
    ("E_GOVERNANCE_ORDER", lambda s: replace(s, institutions=s.institutions[::-1])),
    ("E_GOVERNANCE_ORDER", lambda s: replace(s, nodes=s.nodes[::-1])),
    (
        "E_GOVERNANCE_ORDER",
        lambda s: replace(s, submitters=(world.submitter("B", "b"), world.submitter("A", "a"))),
    ),
    ("E_GOVERNANCE_ID_REUSED", lambda s: replace(s, institutions=(s.institutions[0], *s.institutions))),
    ("E_GOVERNANCE_ID_REUSED", lambda s: replace(s, nodes=(s.nodes[0], *s.nodes))),
    ("E_GOVERNANCE_ID_REUSED", lambda s: replace(s, submitters=s.submitters * 2)),
    ("E_GOVERNANCE_KEY_ID_REUSED", lambda s: submitter(s, key_id="governance-1")),
    ("E_GOVERNANCE_KEY_ID_REUSED", lambda s: node(s, 0, log_keys=(world.key("node-1", "other"),))),
    ("E_GOVERNANCE_KEY_REUSED", colliding),
    (
        "E_GOVERNANCE_KEY_REUSED",
        lambda s: node(s, 0, log_keys=(replace(s.nodes[0].node_keys[0], key_id="x"),)),
    ),
    ("E_GOVERNANCE_KEY_REUSED", lambda s: submitter(s, public=s.institutions[0].keys[0].public)),
    ("E_GOVERNANCE_KEY_REUSED", lambda s: submitter(s, tls_der=s.nodes[0].tls[0].der)),
    ("E_GOVERNANCE_RANGE", lambda s: submitter(s, from_height=5, until_height=5)),
    ("E_GOVERNANCE_OPEN_KEYS", lambda s: institution(s, 0, keys=())),
    ("E_GOVERNANCE_OPEN_KEYS", lambda s: node(s, 0, node_keys=())),
    ("E_GOVERNANCE_OPEN_KEYS", lambda s: node(s, 0, tls=())),
    ("E_GOVERNANCE_OPEN_KEYS", lambda s: node(s, 0, log_keys=(ended(s.nodes[0].log_keys[0]),))),
    ("E_GOVERNANCE_OPEN_KEYS", lambda s: node(s, 0, log_keys=(*s.nodes[0].log_keys, world.key("b", "b")))),
    ("E_GOVERNANCE_OPEN_KEYS", lambda s: node(s, 3, role=NodeRole.REMOVED)),
    ("E_GOVERNANCE_UNKNOWN", lambda s: node(s, 0, institution="NOBODY")),
    ("E_GOVERNANCE_UNKNOWN", lambda s: submitter(s, institution="NOBODY")),
    ("E_GOVERNANCE_IN_USE", closed_member),
    ("E_GOVERNANCE_USCC", lambda s: institution(s, 0, uscc="91350100M000100Y44")),
    ("E_GOVERNANCE_USCC", lambda s: institution(s, 0, uscc=s.institutions[1].uscc)),
    (
        "E_GOVERNANCE_LAST_VOTER",
        lambda s: replace(s, nodes=tuple(replace(n, role=NodeRole.OBSERVER) for n in s.nodes)),
    ),
    ("E_GOVERNANCE_QUORUM_RULE", lambda s: replace(s, quorum=5)),
    ("E_GOVERNANCE_QUORUM_RULE", lambda s: replace(s, quorum=0)),
    ("E_GOVERNANCE_QUORUM_RULE", lambda s: replace(s, quorum=2)),
    ("E_GOVERNANCE_QUORUM_RULE", lambda s: replace(s, f=2)),
    ("E_GOVERNANCE_LIMITS", lambda s: replace(s, limits=Limits(attest_every=0))),
    ("E_GOVERNANCE_LIMITS", lambda s: replace(s, limits=Limits(body_max_bytes=131_071))),
    ("E_GOVERNANCE_LIMITS", lambda s: replace(s, limits=Limits(body_max_bytes=4 * 1024 * 1024 + 1))),
    ("E_GOVERNANCE_LIMITS", lambda s: replace(s, limits=Limits(envelope_max_records=5001))),
    ("E_GOVERNANCE_TOO_MANY", lambda s: replace(s, nodes=tuple(s.nodes[0] for _ in range(33)))),
    ("E_GOVERNANCE_TOO_MANY", lambda s: replace(s, submitters=s.submitters * 4097)),
    ("E_GOVERNANCE_TOO_MANY", lambda s: institution(s, 0, keys=s.institutions[0].keys * 257)),
]


@pytest.mark.parametrize(("code", "change"), CHANGES)
def test_each_rule(code: str, change: Change) -> None:
    """A state that breaks one rule is refused with that rule's code."""
    assert refusal(change(world.genesis())) == code


def test_good_states() -> None:
    """The default network, one institution alone with f = 0, and codes that are no 统一社会信用代码 may exist."""
    validate_genesis(world.genesis())
    validate_genesis(world.genesis(single=True, f=0, quorum=1))
    validate_state(institution(world.genesis(), 0, uscc=""))
    validate_state(institution(institution(world.genesis(), 0, uscc=""), 1, uscc=""))


def test_one_institution_cannot_have_a_liar() -> None:
    """With one institution f must be 0: a quorum of one shares one, which is not more than one."""
    state = replace(world.genesis(single=True, f=0, quorum=1), f=1)
    assert refusal(state) == "E_GOVERNANCE_QUORUM_RULE"


@pytest.mark.parametrize(
    ("n", "f", "smallest"), [(1, 0, 1), (2, 0, 2), (2, 1, 2), (3, 0, 2), (3, 1, 3), (4, 0, 3), (4, 1, 3)]
)
def test_the_smallest_quorums(n: int, f: int, smallest: int) -> None:
    """The smallest quorum that 2q - n > f allows, for up to four institutions."""
    state = world.genesis()
    kept = replace(state, f=f, institutions=state.institutions[:n], nodes=state.nodes[:n], submitters=())
    for quorum in range(1, n + 1):
        if quorum < smallest:
            assert refusal(replace(kept, quorum=quorum)) == "E_GOVERNANCE_QUORUM_RULE"
        else:
            validate_state(replace(kept, quorum=quorum))


def test_institutions_without_a_cosigner_do_not_count() -> None:
    """The n counts institutions that can sign: a partner without a node changes nothing."""
    state = world.genesis()
    kept = replace(state, nodes=state.nodes[:3], quorum=3)
    validate_state(kept)
    assert refusal(replace(kept, quorum=4)) == "E_GOVERNANCE_QUORUM_RULE"


@pytest.mark.parametrize(
    "change",
    [
        lambda s: submitter(s, from_height=1),
        lambda s: submitter(s, until_height=1),
        lambda s: institution(
            s, 0, keys=(*s.institutions[0].keys, replace(world.key("b", "b"), from_height=1))
        ),
    ],
)
def test_genesis_has_no_history(change: Change) -> None:
    """Rows of genesis are open from height 0."""
    assert refusal(change(world.genesis()), validate_genesis) == "E_GOVERNANCE_GENESIS"


def test_genesis_has_no_removed_node() -> None:
    """A removed node was something before, so genesis cannot hold one."""
    state = world.genesis()
    keys = {
        "node_keys": (ended(state.nodes[3].node_keys[0]),),
        "log_keys": (ended(state.nodes[3].log_keys[0]),),
        "cosigner_keys": (ended(state.nodes[3].cosigner_keys[0]),),
        "tls": (replace(state.nodes[3].tls[0], until_height=1),),
    }
    gone = node(state, 3, role=NodeRole.REMOVED, **keys)
    validate_state(gone)
    assert refusal(gone, validate_genesis) == "E_GOVERNANCE_GENESIS"


def test_a_policy_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two log keys whose four-byte key ids collide cannot stand in one policy, so the state is refused."""
    state = world.genesis()
    monkeypatch.setattr(VerifierKey, "key_id", property(lambda _: bytes(4)))
    assert refusal(state) == "E_GOVERNANCE_POLICY"
