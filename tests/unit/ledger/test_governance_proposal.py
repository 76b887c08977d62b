"""Proposals: the bytes that institutions sign, and what they mean."""

from typing import Any

import ledger_world as world
import pytest
from mutations import mutations

from ledger import ed25519
from ledger.encoding import pack, unpack
from ledger.errors import LedgerError
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
    parse_proposal,
    sign_proposal,
)
from ledger.governance_state import Limits

CHAIN = "test-00112233"
ACTIONS: list[Action] = [
    AddInstitution("PARTNER", "样例伙伴", "", "partner", (world.new_key("g-1", "p"),), 3),
    RemoveInstitution("PARTNER", 3),
    SetQuorum(4),
    AddNode(
        "broker-2",
        "BROKER",
        world.new_key("node-9", "n"),
        world.new_key("log-9", "l"),
        world.new_key("cosigner-9", "c"),
        world.new_tls("tls-9", "t"),
    ),
    PromoteNode("regulator-1"),
    DemoteNode("market-1"),
    RemoveNode("market-1"),
    RotateKey("broker-1", "node", "node-2", 1, world.public("n2")),
    RotateKey("broker-1", "log", "log-2", 1, world.public("l2")),
    RotateKey("broker-1", "cosigner", "cosigner-2", 1, world.public("c2")),
    RotateKey("broker-1", "tls", "tls-2", 0, world.tls_der("t2")),
    RotateGovernanceKey("BROKER", "governance-1", "governance-2", 1, world.public("g2")),
    AddSubmitter("BROKER", "gateway-2", 1, world.public("s2"), world.tls_der("s2")),
    RevokeSubmitter("BROKER", "gateway-1"),
    SetLimits(Limits(attest_every=2)),
]


def refusal(raw: bytes) -> str:
    """The code with which a proposal is refused."""
    with pytest.raises(LedgerError) as caught:
        parse_proposal(raw)
    return caught.value.code


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: type(action).__name__)
def test_each_action_is_read_back(action: Action) -> None:
    """Encoding and parsing are inverse for every action."""
    raw = encode_proposal(CHAIN, 7, action)
    found = parse_proposal(raw)
    assert (found.chain_id, found.sequence, found.action, found.raw) == (CHAIN, 7, action, raw)


@pytest.mark.parametrize("action", [ACTIONS[0], ACTIONS[2], ACTIONS[7]], ids=lambda a: type(a).__name__)
def test_a_changed_byte_is_refused_or_another_proposal(action: Action) -> None:
    """What a changed proposal still says is something else, in its one spelling."""
    good = parse_proposal(encode_proposal(CHAIN, 7, action))
    for bad in mutations(good.raw):
        try:
            found = parse_proposal(bad)
        except LedgerError:
            continue
        assert (found.chain_id, found.sequence, found.action) != (good.chain_id, good.sequence, good.action)
        assert encode_proposal(found.chain_id, found.sequence, found.action) == bad


def test_signatures_are_over_the_bytes() -> None:
    """A signature is over the proposal's bytes and carries its signer's names."""
    raw = encode_proposal(CHAIN, 0, SetQuorum(4))
    line = sign_proposal(raw, "BROKER", "governance-1", world.seed("BROKER", "governance-1"))
    assert (line.institution, line.key_id, line.sig_alg) == ("BROKER", "governance-1", 1)
    assert ed25519.verify(world.public("BROKER", "governance-1"), line.signature, raw)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        (["tiezheng/envelope", 1, CHAIN, 0, ["set_quorum", 3]], "E_PROPOSAL_PURPOSE"),
        ([b"tiezheng/proposal", 1, CHAIN, 0, ["set_quorum", 3]], "E_PROPOSAL_PURPOSE"),
        (["tiezheng/proposal", 2, CHAIN, 0, ["set_quorum", 3]], "E_FORMAT_UNKNOWN"),
        (["tiezheng/proposal", 1, "x", 0, ["set_quorum", 3]], "E_FIELD_PATTERN"),
        (["tiezheng/proposal", 1, CHAIN, "0", ["set_quorum", 3]], "E_FIELD_TYPE"),
        (["tiezheng/proposal", 1, CHAIN, 0], "E_FIELD_LENGTH"),
        (["tiezheng/proposal", 1, CHAIN, 0, []], "E_PROPOSAL_ACTION"),
        (["tiezheng/proposal", 1, CHAIN, 0, [1]], "E_PROPOSAL_ACTION"),
        (["tiezheng/proposal", 1, CHAIN, 0, ["drop_all"]], "E_PROPOSAL_ACTION"),
        (["tiezheng/proposal", 1, CHAIN, 0, "set_quorum"], "E_FIELD_TYPE"),
        (["tiezheng/proposal", 1, CHAIN, 0, ["set_quorum", 3, 3]], "E_FIELD_LENGTH"),
        (["tiezheng/proposal", 1, CHAIN, 0, ["set_quorum", 0]], "E_FIELD_RANGE"),
        (
            ["tiezheng/proposal", 1, CHAIN, 0, ["rotate_key", "a", "x", "k", 1, bytes(32)]],
            "E_PROPOSAL_ACTION",
        ),
        (["tiezheng/proposal", 1, CHAIN, 0, ["rotate_key", "a", "log", "k", 1, bytes(32)]], "E_KEY_POINT"),
        (
            ["tiezheng/proposal", 1, CHAIN, 0, ["rotate_key", "a", "log", "k", 2, bytes(32)]],
            "E_ALGORITHM_UNSUPPORTED",
        ),
        (
            ["tiezheng/proposal", 1, CHAIN, 0, ["rotate_key", "a", "tls", "k", 1, world.tls_der(1)]],
            "E_FIELD_RANGE",
        ),
        (
            ["tiezheng/proposal", 1, CHAIN, 0, ["rotate_key", "a", "tls", "k", 0, bytes(200)]],
            "E_GOVERNANCE_TLS",
        ),
        (
            ["tiezheng/proposal", 1, CHAIN, 0, ["add_institution", ["A", "a", "", "x", []], 3]],
            "E_GOVERNANCE_ROLE",
        ),
    ],
)
def test_each_rule_of_form(fields: Any, code: str) -> None:
    """Every other shape is refused with its code."""
    assert refusal(pack(fields)) == code


def test_size_is_capped() -> None:
    """A proposal fits into a body with its signatures."""
    assert refusal(bytes(65_537)) == "E_ENCODING_SIZE"


def test_an_action_has_its_documented_array() -> None:
    """The bytes of a proposal are those of the documented array."""
    raw = encode_proposal(CHAIN, 3, PromoteNode("regulator-1"))
    assert unpack(raw, max_bytes=999, what="x") == [
        "tiezheng/proposal",
        1,
        CHAIN,
        3,
        ["promote_node", "regulator-1"],
    ]
