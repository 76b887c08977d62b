"""The fold's step: who may decide, what an action does, and from which height."""

from dataclasses import replace

import ledger_world as world
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.body import ProposalSignature, SignedProposal
from ledger.errors import GovernanceError, LedgerError
from ledger.governance_actions import apply_action, fold
from ledger.governance_codec import decode_state, encode_state
from ledger.governance_proposal import (
    Action,
    AddInstitution,
    AddNode,
    AddSubmitter,
    DemoteNode,
    PromoteNode,
    RemoveInstitution,
    RemoveNode,
    RevokeSubmitter,
    RotateGovernanceKey,
    RotateKey,
    SetLimits,
    SetQuorum,
    encode_proposal,
    sign_proposal,
)
from ledger.governance_rules import validate_state
from ledger.governance_state import Key, Limits, Node, NodeRole, State

HEIGHT = 9
STATE = world.genesis()
ADD_NODE = AddNode(
    "broker-2",
    "BROKER",
    world.new_key("node-9", "n"),
    world.new_key("log-9", "l"),
    world.new_key("cosigner-9", "c"),
    world.new_tls("tls-9", "t"),
)
ADD_PARTNER = AddInstitution("PARTNER", "样例伙伴", "", "partner", (world.new_key("g-1", "p"),), 3)
ADD_SUBMITTER = AddSubmitter("MARKET", "gateway-2", 1, world.public("s2"), world.tls_der("s2"))


def refusal(state: State, *actions: Action) -> str:
    """The code with which the last of these actions is refused, each one block after the other."""
    for height, action in enumerate(actions[:-1], HEIGHT):
        state = apply_action(state, height, action)
    with pytest.raises(GovernanceError) as caught:
        apply_action(state, HEIGHT + len(actions), actions[-1])
    return caught.value.code


def after(*actions: Action) -> State:
    """The state after these actions, each one block after the other from HEIGHT."""
    state = STATE
    for height, action in enumerate(actions, HEIGHT):
        state = apply_action(state, height, action)
    return state


def node(state: State, node_id: str) -> Node:
    """A node that is there."""
    found = state.node(node_id)
    assert found is not None
    return found


def test_rotating_ends_the_old_key_where_the_new_begins() -> None:
    """At the block's own height the old key rules; from the next height only the new one."""
    state = after(RotateKey("broker-1", "node", "node-2", 1, world.public("n2")))
    assert state.node_key("broker-1", HEIGHT) == world.public("broker-1", "node-1")
    assert state.node_key("broker-1", HEIGHT + 1) == world.public("n2")
    assert [key.until_height for key in node(state, "broker-1").node_keys] == [HEIGHT + 1, 0]


@pytest.mark.parametrize("purpose", ["node", "log", "cosigner", "tls"])
def test_each_purpose_is_rotated_alone(purpose: str) -> None:
    """Rotating one purpose changes that list and no other."""
    new = world.tls_der("t2") if purpose == "tls" else world.public("k2")
    before = node(STATE, "broker-1")
    state = after(RotateKey("broker-1", purpose, "key-2", 0 if purpose == "tls" else 1, new))
    changed = node(state, "broker-1")
    lists = {"node": "node_keys", "log": "log_keys", "cosigner": "cosigner_keys", "tls": "tls"}
    differing = [
        name for name, attribute in lists.items() if getattr(changed, attribute) != getattr(before, attribute)
    ]
    assert differing == [purpose]
    assert len(getattr(changed, lists[purpose])) == 2


def test_nodes_come_observe_vote_and_go() -> None:
    """A new node observes, may be promoted and demoted, and ends with all keys closed."""
    state = after(ADD_NODE)
    assert node(state, "broker-2").role is NodeRole.OBSERVER
    assert node(state, "broker-2").node_keys[0].from_height == HEIGHT + 1
    state = after(ADD_NODE, PromoteNode("broker-2"))
    assert "broker-2" in state.voters()
    state = after(ADD_NODE, PromoteNode("broker-2"), DemoteNode("broker-2"), RemoveNode("broker-2"))
    gone = node(state, "broker-2")
    assert gone.role is NodeRole.REMOVED
    keys: list[Key] = [*gone.node_keys, *gone.log_keys, *gone.cosigner_keys]
    assert {row.until_height for row in keys} == {HEIGHT + 4}
    assert gone.tls[0].until_height == HEIGHT + 4
    assert state.node_key("broker-2", HEIGHT + 3) == world.public("n")


def test_a_voter_may_be_removed_at_once() -> None:
    """Removing a voter is one change of the voters."""
    assert after(RemoveNode("market-1"), SetLimits(Limits(attest_every=2))).voters() == (
        "auditor-1",
        "broker-1",
    )


def test_members_come_and_go_with_their_quorum() -> None:
    """An action that changes the institutions says the quorum, which rules from then on."""
    state = after(ADD_PARTNER)
    partner = state.institution("PARTNER")
    assert partner is not None
    assert partner.open
    assert partner.keys[0].from_height == HEIGHT + 1
    state = after(ADD_PARTNER, RemoveInstitution("PARTNER", 4))
    partner = state.institution("PARTNER")
    assert partner is not None
    assert not partner.open
    assert state.quorum == 4


def test_submitters_come_and_go() -> None:
    """A submitter is valid from the next height to the one before its end."""
    state = after(ADD_SUBMITTER, RevokeSubmitter("MARKET", "gateway-2"))
    keys = [state.submitter_key("MARKET", "gateway-2", height) for height in range(HEIGHT, HEIGHT + 3)]
    assert keys == [None, world.public("s2"), None]


def test_governance_keys_are_rotated() -> None:
    """The old governance key signs up to this height, the new one from the next."""
    state = after(RotateGovernanceKey("BROKER", "governance-1", "governance-2", 1, world.public("g2")))
    assert state.governance_key("BROKER", "governance-1", HEIGHT) is not None
    assert state.governance_key("BROKER", "governance-1", HEIGHT + 1) is None
    assert state.governance_key("BROKER", "governance-2", HEIGHT + 1) == world.public("g2")


def test_limits_and_quorum_are_set() -> None:
    """Both are replaced whole."""
    assert after(SetLimits(Limits(attest_every=7))).limits.attest_every == 7
    assert after(SetQuorum(4)).quorum == 4


@pytest.mark.parametrize(
    ("code", "actions"),
    [
        ("E_GOVERNANCE_UNCHANGED", [SetQuorum(3)]),
        ("E_GOVERNANCE_UNCHANGED", [SetLimits(Limits())]),
        ("E_GOVERNANCE_QUORUM_RULE", [SetQuorum(2)]),
        ("E_GOVERNANCE_QUORUM_RULE", [SetQuorum(5)]),
        ("E_GOVERNANCE_QUORUM_RULE", [SetQuorum(4), RemoveNode("regulator-1")]),
        ("E_GOVERNANCE_NODE_ROLE", [PromoteNode("broker-1")]),
        ("E_GOVERNANCE_NODE_ROLE", [DemoteNode("regulator-1")]),
        ("E_GOVERNANCE_UNKNOWN", [PromoteNode("nobody")]),
        ("E_GOVERNANCE_UNKNOWN", [RemoveNode("regulator-1"), RemoveNode("regulator-1")]),
        ("E_GOVERNANCE_UNKNOWN", [RemoveNode("regulator-1"), PromoteNode("regulator-1")]),
        ("E_GOVERNANCE_UNKNOWN", [RotateKey("nobody", "log", "x", 1, world.public("x"))]),
        ("E_GOVERNANCE_UNKNOWN", [RevokeSubmitter("MARKET", "gateway-1")]),
        ("E_GOVERNANCE_UNKNOWN", [RevokeSubmitter("BROKER", "gateway-1")] * 2),
        ("E_GOVERNANCE_UNKNOWN", [RemoveInstitution("NOBODY", 3)]),
        (
            "E_GOVERNANCE_UNKNOWN",
            [ADD_PARTNER, RemoveInstitution("PARTNER", 3), RemoveInstitution("PARTNER", 3)],
        ),
        ("E_GOVERNANCE_UNKNOWN", [RotateGovernanceKey("BROKER", "x", "y", 1, world.public("y"))]),
        ("E_GOVERNANCE_UNKNOWN", [RotateGovernanceKey("NOBODY", "x", "y", 1, world.public("y"))]),
        ("E_GOVERNANCE_UNKNOWN", [replace(ADD_NODE, institution="NOBODY")]),
        ("E_GOVERNANCE_UNKNOWN", [replace(ADD_SUBMITTER, institution="NOBODY")]),
        (
            "E_GOVERNANCE_IN_USE",
            [ADD_PARTNER, RemoveInstitution("PARTNER", 3), replace(ADD_NODE, institution="PARTNER")],
        ),
        ("E_GOVERNANCE_IN_USE", [RemoveInstitution("REGULATOR", 3)]),
        (
            "E_GOVERNANCE_IN_USE",
            [ADD_PARTNER, replace(ADD_SUBMITTER, institution="PARTNER"), RemoveInstitution("PARTNER", 3)],
        ),
        ("E_GOVERNANCE_ID_REUSED", [replace(ADD_NODE, node_id="broker-1")]),
        ("E_GOVERNANCE_ID_REUSED", [RemoveNode("regulator-1"), replace(ADD_NODE, node_id="regulator-1")]),
        ("E_GOVERNANCE_ID_REUSED", [ADD_PARTNER, RemoveInstitution("PARTNER", 3), ADD_PARTNER]),
        ("E_GOVERNANCE_ID_REUSED", [ADD_SUBMITTER, RevokeSubmitter("MARKET", "gateway-2"), ADD_SUBMITTER]),
        ("E_GOVERNANCE_OPEN_KEYS", [replace(ADD_PARTNER, keys=())]),
        ("E_GOVERNANCE_USCC", [replace(ADD_PARTNER, uscc=world.uscc("BROKER"))]),
        ("E_GOVERNANCE_KEY_ID_REUSED", [RotateKey("broker-1", "log", "node-1", 1, world.public("x"))]),
        ("E_GOVERNANCE_KEY_ID_REUSED", [RotateKey("broker-1", "log", "log-1", 1, world.public("x"))]),
        (
            "E_GOVERNANCE_KEY_REUSED",
            [
                RotateKey("broker-1", "log", "log-2", 1, world.public("x")),
                RotateKey("broker-1", "log", "log-3", 1, world.public("broker-1", "log-1")),
            ],
        ),
        ("E_GOVERNANCE_KEY_REUSED", [replace(ADD_SUBMITTER, public=world.public("BROKER", "gateway-1"))]),
        (
            "E_GOVERNANCE_KEY_REUSED",
            [RotateKey("broker-1", "tls", "tls-2", 0, world.tls_der("market-1", "tls-1"))],
        ),
        ("E_GOVERNANCE_LIMITS", [SetLimits(Limits(skew_ms=0))]),
        (
            "E_GOVERNANCE_LAST_VOTER",
            [DemoteNode("market-1"), DemoteNode("broker-1"), DemoteNode("auditor-1")],
        ),
    ],
)
def test_each_refusal(code: str, actions: list[Action]) -> None:
    """What an action may not do is refused with a stable code, and what led there was allowed."""
    assert refusal(STATE, *actions) == code


def test_the_last_voter_is_not_removed() -> None:
    """Of a network of one node, the node cannot go."""
    alone = world.genesis(single=True, f=0, quorum=1)
    assert refusal(alone, RemoveNode("broker-1")) == "E_GOVERNANCE_LAST_VOTER"


def test_a_refused_action_leaves_nothing() -> None:
    """States are values: a refusal changes none."""
    before = encode_state(STATE)
    with pytest.raises(GovernanceError):
        apply_action(STATE, HEIGHT, SetQuorum(2))
    assert encode_state(STATE) == before


def signed_by(*signers: str, sequence: int = 0, chain: str = STATE.chain_id) -> SignedProposal:
    """The proposal of a quorum of four, with good signatures of these institutions."""
    raw = encode_proposal(chain, sequence, SetQuorum(4))
    lines = tuple(
        sign_proposal(raw, one, "governance-1", world.seed(one, "governance-1")) for one in sorted(signers)
    )
    return SignedProposal(raw, lines)


QUORUM = ("AUDITOR", "BROKER", "MARKET")


def test_a_quorum_decides() -> None:
    """Three of four signatures are enough, four too, and the sequence number rises."""
    for signers in (QUORUM, tuple(world.INSTITUTIONS)):
        state = fold(STATE, HEIGHT, signed_by(*signers))
        assert (state.quorum, state.next_sequence) == (4, 1)


def test_a_proposal_is_applied_once() -> None:
    """The same proposal is refused by the state that it made."""
    signed = signed_by(*QUORUM)
    with pytest.raises(GovernanceError) as caught:
        fold(fold(STATE, HEIGHT, signed), HEIGHT + 1, signed)
    assert caught.value.code == "E_GOVERNANCE_SEQUENCE"


@pytest.mark.parametrize(
    ("code", "signed"),
    [
        ("E_GOVERNANCE_QUORUM", signed_by("BROKER", "MARKET")),
        ("E_GOVERNANCE_QUORUM", signed_by()),
        ("E_GOVERNANCE_SEQUENCE", signed_by(*QUORUM, sequence=1)),
        ("E_GOVERNANCE_CHAIN", signed_by(*QUORUM, chain="test-00000000")),
        ("E_GOVERNANCE_SIGNER", signed_by(*QUORUM, "NOBODY")),
    ],
)
def test_who_may_decide(code: str, signed: SignedProposal) -> None:
    """Too few, unknown signers, another chain or another turn are refused."""
    with pytest.raises(GovernanceError) as caught:
        fold(STATE, HEIGHT, signed)
    assert caught.value.code == code


def test_one_bad_signature_spoils_a_proposal() -> None:
    """Even beside a full quorum, a false signature is refused: nothing false enters the chain."""
    good = signed_by(*world.INSTITUTIONS)
    for at, line in enumerate(good.signatures):
        bad = replace(line, signature=bytes((line.signature[0] ^ 1,)) + line.signature[1:])
        lines: tuple[ProposalSignature, ...] = (*good.signatures[:at], bad, *good.signatures[at + 1 :])
        with pytest.raises(GovernanceError) as caught:
            fold(STATE, HEIGHT, SignedProposal(good.proposal, lines))
        assert caught.value.code == "E_GOVERNANCE_SIGNATURE"


def test_closed_governance_keys_do_not_sign() -> None:
    """After its rotation, a key's signature is an unknown signer's."""
    state = after(RotateGovernanceKey("BROKER", "governance-1", "governance-2", 1, world.public("g2")))
    with pytest.raises(GovernanceError) as caught:
        fold(state, HEIGHT + 1, signed_by(*QUORUM, sequence=1))
    assert caught.value.code == "E_GOVERNANCE_SIGNER"


ANY_ACTION = st.one_of(
    st.builds(SetQuorum, st.integers(1, 5)),
    st.builds(PromoteNode, st.sampled_from([*world.NODES, "broker-2"])),
    st.builds(DemoteNode, st.sampled_from([*world.NODES, "broker-2"])),
    st.builds(RemoveNode, st.sampled_from([*world.NODES, "broker-2"])),
    st.just(ADD_NODE),
    st.just(ADD_PARTNER),
    st.builds(RemoveInstitution, st.sampled_from([*world.INSTITUTIONS, "PARTNER"]), st.integers(1, 5)),
    st.just(ADD_SUBMITTER),
    st.builds(RevokeSubmitter, st.just("MARKET"), st.just("gateway-2")),
    st.builds(
        lambda node_id, purpose, number: RotateKey(
            node_id, purpose, f"{purpose}-{number}", 1, world.public(node_id, purpose, number)
        ),
        st.sampled_from(list(world.NODES)),
        st.sampled_from(["node", "log", "cosigner"]),
        st.integers(2, 5),
    ),
)


@given(st.lists(ANY_ACTION, max_size=12))
def test_whatever_is_decided_the_rules_hold(actions: list[Action]) -> None:
    """Any run of accepted actions ends in a state that may exist, keeps its history and survives its
    bytes.
    """
    state = STATE
    for height, action in enumerate(actions, 1):
        try:
            new = apply_action(state, height, action)
        except LedgerError:
            continue
        validate_state(new)
        assert decode_state(new.chain_id, encode_state(new)) == new
        assert len(set(new.voters()) ^ set(state.voters())) <= 1
        for before in state.nodes:
            assert node(new, before.node_id).node_keys[0].public == before.node_keys[0].public
        for node_id in world.NODES:
            assert new.node_key(node_id, height) == state.node_key(node_id, height)
        state = new
