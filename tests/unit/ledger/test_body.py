"""Bodies: four kinds, one spelling, raw bytes kept as received."""

from hashlib import sha256
from typing import Any

import ledger_world as world
import pytest
from mutations import mutations

from ledger import body as bodies
from ledger.body import (
    Body,
    BodyKind,
    EmptyReason,
    ProposalSignature,
    SignedProposal,
    encode_empty_body,
    encode_envelopes_body,
    encode_governance_body,
    parse_body,
)
from ledger.encoding import pack
from ledger.errors import LedgerError

CHAIN = "test-00112233"


def line(institution: str) -> ProposalSignature:
    """A signature line of any content."""
    return ProposalSignature(institution, "governance-1", 1, bytes(64))


def encoded(body: Body) -> bytes:
    """The body's bytes, made anew from its parts."""
    if body.kind is BodyKind.ENVELOPES:
        return encode_envelopes_body(body.proposer, body.timestamp_ms, [e.raw for e in body.envelopes])
    if body.proposal is not None:
        return encode_governance_body(body.proposer, body.timestamp_ms, body.proposal)
    if body.reason is not None:
        return encode_empty_body(body.proposer, body.timestamp_ms, body.reason)
    assert body.genesis is not None
    return bodies.encode_genesis_body(body.timestamp_ms, body.genesis)


def one_of_each() -> list[Body]:
    """A small good body of each kind."""
    signed = SignedProposal(b"any bytes", (line("BROKER"), line("MARKET")))
    return [
        world.envelopes_body(CHAIN, (0, 1), (1, 2)),
        parse_body(encode_governance_body("broker-1", 7, signed)),
        world.empty_body(EmptyReason.NEW_ERA),
        world.genesis_body(single=True, f=0, quorum=1),
    ]


def refusal(raw: bytes) -> str:
    """The code with which a body is refused."""
    with pytest.raises(LedgerError) as caught:
        parse_body(raw)
    return caught.value.code


@pytest.mark.parametrize("body", one_of_each(), ids=lambda body: body.kind.name)
def test_each_kind_is_read_back(body: Body) -> None:
    """A body encodes to its own bytes again, and its digest is of these bytes."""
    assert encoded(body) == body.raw
    assert body.digest == sha256(body.raw).digest()
    filled = [
        bool(body.envelopes),
        body.proposal is not None,
        body.reason is not None,
        body.genesis is not None,
    ]
    assert filled == [number == body.kind for number in range(1, 5)]


@pytest.mark.parametrize("body", one_of_each()[:3], ids=lambda body: body.kind.name)
def test_a_changed_byte_is_refused_or_another_body(body: Body) -> None:
    """No change leaves a body as it was, and whatever is accepted has exactly one spelling."""
    for bad in mutations(body.raw):
        try:
            found = parse_body(bad)
        except LedgerError:
            continue
        assert found.raw == bad
        assert found.digest != body.digest
        assert encoded(found) == bad


def test_envelopes_keep_their_own_bytes() -> None:
    """An envelope inside a body has the bytes that its submitter signed, and the body is made of them."""
    envelopes = [world.envelope(CHAIN, 0, 3), world.envelope(CHAIN, 3, 1)]
    body = parse_body(encode_envelopes_body("broker-1", 5, [one.raw for one in envelopes]))
    assert list(body.envelopes) == envelopes
    assert all(envelope.raw in body.raw for envelope in envelopes)
    assert body.records == 4


def test_many_envelopes() -> None:
    """A body may hold as many one-record envelopes as records."""
    raws = [world.envelope(CHAIN, 0, 1).raw] * 5000
    assert parse_body(encode_envelopes_body("broker-1", 5, raws)).records == 5000


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ([2, "a", 1, 3, 1], "E_FORMAT_UNKNOWN"),
        ([1, "a", 1, 3], "E_FIELD_LENGTH"),
        ([1, "A", 1, 3, 1], "E_FIELD_PATTERN"),
        ([1, "", 1, 3, 1], "E_BODY_PROPOSER"),
        ([1, "a", 1, 4, [1] * 7], "E_BODY_PROPOSER"),
        ([1, "", 1, 4, [1] * 6], "E_FIELD_LENGTH"),
        ([1, "a", b"1", 3, 1], "E_FIELD_TYPE"),
        ([1, "a", 1, 0, 1], "E_BODY_KIND"),
        ([1, "a", 1, 5, 1], "E_BODY_KIND"),
        ([1, "a", 1, 3, 0], "E_BODY_REASON"),
        ([1, "a", 1, 3, 3], "E_BODY_REASON"),
        ([1, "a", 1, 3, [1]], "E_FIELD_TYPE"),
        ([1, "a", 1, 1, []], "E_BODY_EMPTY"),
        ([1, "a", 1, 1, 1], "E_FIELD_TYPE"),
        ([1, "a", 1, 1, [1]], "E_FIELD_TYPE"),
        ([1, "a", 1, 2, [b"p"]], "E_FIELD_LENGTH"),
        ([1, "a", 1, 2, ["p", []]], "E_FIELD_TYPE"),
        ([1, "a", 1, 2, [bytes(65_537), []]], "E_FIELD_LENGTH"),
        ([1, "a", 1, 2, [b"p", [["A", "k", 1, bytes(63)]]]], "E_FIELD_LENGTH"),
        ([1, "a", 1, 2, [b"p", [["A", "k", 2, bytes(64)]]]], "E_ALGORITHM_UNSUPPORTED"),
        (
            [1, "a", 1, 2, [b"p", [["B", "k", 1, bytes(64)], ["A", "k", 1, bytes(64)]]]],
            "E_BODY_SIGNATURE_ORDER",
        ),
        (
            [1, "a", 1, 2, [b"p", [["A", "j", 1, bytes(64)], ["A", "k", 1, bytes(64)]]]],
            "E_BODY_SIGNATURE_ORDER",
        ),
        ([1, "a", 1, 2, [b"p", [["A", "k", 1, bytes(64)]] * 65]], "E_FIELD_LENGTH"),
    ],
)
def test_each_rule_of_form(fields: Any, code: str) -> None:
    """Every rule refuses with its own code."""
    assert refusal(pack(fields)) == code


def test_a_body_has_at_most_four_mebibytes() -> None:
    """The hard cap comes before everything else."""
    assert refusal(bytes(bodies.BODY_BYTES_MAX + 1)) == "E_ENCODING_SIZE"


@pytest.mark.parametrize(
    "call",
    [
        lambda: encode_envelopes_body("broker-1", 1, []),
        lambda: encode_envelopes_body("", 1, [b"\x01"]),
        lambda: encode_empty_body("Broker", 1, EmptyReason.NEW_TERM),
        lambda: encode_empty_body("broker-1", -1, EmptyReason.NEW_TERM),
        lambda: encode_governance_body("a", 1, SignedProposal(b"p", (line("B"), line("A")))),
        lambda: bodies.encode_genesis_body(1, [1]),
    ],
)
def test_wrong_parts_are_our_own_bug(call: Any) -> None:
    """We never make a body that we would refuse."""
    with pytest.raises(AssertionError):
        call()
