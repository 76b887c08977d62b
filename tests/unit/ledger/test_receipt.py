"""Receipts: what one file proves offline about one record, and how everything else is refused."""

from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import ledger_world as world
import pytest
from mutations import mutations
from rfc6962_reference import path

from ledger.body import EmptyReason
from ledger.chain import AppliedBlock, Chain
from ledger.errors import ReceiptError, ReceiptFormatError, ReceiptMismatchError, ReceiptTrustError
from ledger.governance import policy_text
from ledger.header import encode_header
from ledger.receipt import HeaderProof, VerifiedReceipt, build_receipt, parse_receipt, verify_receipt
from ledger.tlogproof import TlogProof, format_proof, parse_proof
from ledger.trust import parse_trust

QUORUM = ("broker-1", "market-1", "regulator-1")


@dataclass(frozen=True)
class Case:
    """A chain of two blocks with records, all leaves, and the block that holds the record in question."""

    leaves: list[bytes]
    blocks: list[AppliedBlock]
    index: int

    @property
    def last(self) -> AppliedBlock:
        """The newest block, whose checkpoint receipts are made at."""
        return self.blocks[-1]

    @property
    def block(self) -> AppliedBlock:
        """The block of the record."""
        return self.blocks[1]

    def note(self, signers: tuple[str, ...] = QUORUM) -> bytes:
        """The newest checkpoint, signed."""
        return world.signed_note(self.last.state, self.last.tree_size, self.last.root, signers)

    def header(self, block: AppliedBlock) -> HeaderProof:
        """The proof of a block's header."""
        proven = tuple(path(block.header_index, self.leaves))
        return HeaderProof(block.header_index, block.header_leaf, proven)

    def receipt(self, *, header: HeaderProof | None = None, note: bytes | None = None) -> bytes:
        """The record's receipt at the newest checkpoint."""
        proven = tuple(path(self.index, self.leaves))
        return build_receipt(self.leaves[self.index], self.index, proven, note or self.note(), header)


def case() -> Case:
    """Genesis, five records, an empty block, three records."""
    chain, block = Chain.start(world.genesis_body())
    blocks, leaves = [block], [block.header_leaf]
    for body in (
        world.envelopes_body(chain.chain_id, (0, 5)),
        world.empty_body(EmptyReason.NEW_ERA),
        world.envelopes_body(chain.chain_id, (5, 3)),
    ):
        block = chain.apply(chain.height + 1, 1, body)
        blocks.append(block)
        for envelope in body.envelopes:
            leaves += [envelope.leaves[at + 1 : at + 129] for at in range(0, len(envelope.leaves), 129)]
        leaves.append(block.header_leaf)
    return Case(leaves, blocks, 3)


CASE = case()
TRUST = parse_trust(policy_text(CASE.last.ruling))
COMMITMENT = sha256(b"record 2").digest()
PLAIN = CASE.receipt()
FULL = CASE.receipt(header=CASE.header(CASE.block))


def refusal(data: bytes, kind: type[ReceiptError], commitment: bytes = COMMITMENT) -> str:
    """The code with which a receipt is refused, as the kind that gives the exit code."""
    with pytest.raises(ReceiptError) as caught:
        verify_receipt(data, TRUST, commitment)
    assert type(caught.value) is kind
    return caught.value.code


def test_a_receipt_proves_its_record() -> None:
    """The record, its place and the signing institutions with their times come out."""
    found = verify_receipt(PLAIN, TRUST, COMMITMENT)
    assert found.record == world.records(2, 1)[0]
    assert (found.leaf, found.index) == (CASE.leaves[3], 3)
    assert (found.origin, found.size, found.root) == (TRUST.origin, CASE.last.tree_size, CASE.last.root)
    assert found.block is None
    assert [one.institution for one in found.signatures] == ["BROKER", "MARKET", "REGULATOR"]
    assert found.signatures[0].witness == "BROKER/broker-1"
    assert found.signatures[0].time_s == 1_764_000_001
    assert len(found.logs) == 1


def test_a_header_proves_height_and_time() -> None:
    """With the header, the block's own facts are proven by the same signatures."""
    found = verify_receipt(FULL, TRUST, COMMITMENT)
    assert found.block == CASE.block.header
    assert replace(found, block=None) == verify_receipt(PLAIN, TRUST, COMMITMENT)


def test_what_is_built_is_parsed() -> None:
    """Parsing gives the parts, and building gives the same bytes again."""
    for data in (PLAIN, FULL):
        parts = parse_receipt(data)
        proof = parts.proof
        assert (
            build_receipt(parts.leaf, proof.index, proof.path, proof.checkpoint, parts.header_proof) == data
        )


def essence(found: VerifiedReceipt) -> tuple[Any, ...]:
    """What must not differ in an accepted file."""
    return (found.leaf, found.index, found.size, found.root, found.record, found.origin)


@pytest.mark.parametrize("data", [PLAIN, FULL], ids=["plain", "with header"])
def test_every_change_is_refused_or_changes_nothing(data: bytes) -> None:
    """A changed byte is refused, or touched only a signature line that the quorum did not need."""
    good = verify_receipt(data, TRUST, COMMITMENT)
    accepted = 0
    for bad in mutations(data):
        try:
            found = verify_receipt(bad, TRUST, COMMITMENT)
        except ReceiptError:
            continue
        accepted += 1
        assert essence(found) == essence(good)
        assert found.block == good.block
        assert len(found.signatures) >= 3
        assert parse_proof(bad).checkpoint.split(b"\n\n")[0] == parse_proof(data).checkpoint.split(b"\n\n")[0]
    assert not accepted, "with exactly a quorum there is no line that does not count"


def test_a_line_beyond_the_quorum_may_differ() -> None:
    """A fourth cosignature under another name is an unknown line, and the receipt stays good."""
    note = CASE.note((*QUORUM, "auditor-1"))
    data = CASE.receipt(note=note)
    assert len(verify_receipt(data, TRUST, COMMITMENT).signatures) == 4
    renamed = data.replace("— AUDITOR/auditor-1".encode(), "— AUDITOR/auditor-2".encode())
    assert essence(verify_receipt(renamed, TRUST, COMMITMENT)) == essence(
        verify_receipt(data, TRUST, COMMITMENT)
    )


def with_extra(data: bytes, extra: bytes | None) -> bytes:
    """The same file with another extra line."""
    return format_proof(replace(parse_proof(data), extra=extra))


def with_header(header: HeaderProof) -> bytes:
    """The record's receipt with this header proof."""
    return CASE.receipt(header=header)


HEADER = CASE.header(CASE.block)
OTHER_CHAIN = encode_header(replace(CASE.block.header, chain_id="test-00000000"))
SHIFTED = encode_header(replace(CASE.block.header, tree_size=CASE.block.header.tree_size + 1))
LEAF = CASE.leaves[3]


@pytest.mark.parametrize(
    ("code", "data"),
    [
        ("E_RECEIPT_VERSION", PLAIN[1:]),
        ("E_RECEIPT_VERSION", b""),
        ("E_RECEIPT_FORMAT", PLAIN.replace(b"index 3", b"index 03")),
        ("E_RECEIPT_FORMAT", PLAIN.replace(b"\n\n", b"\n")),
        ("E_RECEIPT_EXTRA", with_extra(PLAIN, None)),
        ("E_RECEIPT_EXTRA", with_extra(PLAIN, LEAF[:-1])),
        ("E_RECEIPT_LEAF", with_extra(PLAIN, CASE.block.header_leaf)),
        ("E_RECEIPT_LEAF", with_extra(PLAIN, b"\x02" + LEAF[1:])),
        ("E_RECEIPT_HEADER", with_extra(PLAIN, LEAF + b"\x00")),
        ("E_RECEIPT_HEADER", with_extra(FULL, parse_proof(FULL).extra + b"\x00")),  # type: ignore[operator]
        ("E_RECEIPT_HEADER", with_header(replace(HEADER, leaf=LEAF))),
        ("E_RECEIPT_HEADER", with_header(replace(HEADER, path=(bytes(31),)))),
        ("E_RECEIPT_HEADER", with_header(replace(HEADER, path=(bytes(32),) * 64))),
        ("E_RECEIPT_CHECKPOINT", CASE.receipt(note=b"nonsense")),
        ("E_RECEIPT_CHECKPOINT", CASE.receipt(note=CASE.note().replace(b"test-", b"te st-"))),
    ],
)
def test_unreadable(code: str, data: bytes) -> None:
    """Files that are not well formed are unreadable, exit code 13, also with another record's digest."""
    assert refusal(data, ReceiptFormatError) == code
    assert refusal(data, ReceiptFormatError, bytes(32)) == code


def test_another_record() -> None:
    """Another digest is content that differs, exit code 10, whoever signed."""
    assert refusal(PLAIN, ReceiptMismatchError, bytes(32)) == "E_RECEIPT_COMMITMENT"
    unsigned = CASE.receipt(note=CASE.note(("broker-1",)))
    assert refusal(unsigned, ReceiptMismatchError, bytes(32)) == "E_RECEIPT_COMMITMENT"


def test_another_leaf_with_the_same_digest() -> None:
    """The digest alone is not enough: source, template and number are in the leaf that the path proves."""
    other = LEAF.replace(b"PUSH.SMS", b"PUSH.SMT").replace(b"CRM", b"CRN")
    assert other != LEAF
    assert refusal(with_extra(PLAIN, other), ReceiptMismatchError) == "E_PROOF_ROOT"


@pytest.mark.parametrize(
    ("code", "signers"), [("E_QUORUM", ("broker-1", "market-1")), ("E_QUORUM", ("broker-1",))]
)
def test_too_few(code: str, signers: tuple[str, ...]) -> None:
    """Fewer institutions than the quorum are refused, exit code 11."""
    assert refusal(CASE.receipt(note=CASE.note(signers)), ReceiptTrustError) == code


def test_signatures_are_judged_before_the_path() -> None:
    """Of a file with too few signatures and a wrong path, the signatures are named."""
    wrong = format_proof(replace(parse_proof(CASE.receipt(note=CASE.note(QUORUM[:2]))), index=2))
    assert refusal(wrong, ReceiptTrustError) == "E_QUORUM"
    assert refusal(format_proof(replace(parse_proof(PLAIN), index=2)), ReceiptMismatchError) == "E_PROOF_ROOT"


def test_another_chain() -> None:
    """A checkpoint of another origin is refused before anything is counted."""
    other = parse_trust(policy_text(world.genesis(single=True, f=0, quorum=1)))
    with pytest.raises(ReceiptTrustError) as caught:
        verify_receipt(PLAIN, other, COMMITMENT)
    assert caught.value.code == "E_TRUST_CHAIN"


def test_the_path() -> None:
    """A path of another leaf, length or size leads nowhere."""
    proof: TlogProof = parse_proof(PLAIN)
    short = format_proof(replace(proof, path=proof.path[:-1]))
    assert refusal(short, ReceiptMismatchError) == "E_PROOF_LENGTH"
    beyond = format_proof(replace(proof, index=CASE.last.tree_size))
    assert refusal(beyond, ReceiptMismatchError) == "E_PROOF_RANGE"


@pytest.mark.parametrize(
    ("code", "header"),
    [
        ("E_RECEIPT_HEADER_CHAIN", replace(HEADER, leaf=OTHER_CHAIN)),
        ("E_RECEIPT_HEADER_INDEX", replace(HEADER, index=HEADER.index + 1)),
        ("E_RECEIPT_HEADER_INDEX", replace(HEADER, leaf=SHIFTED)),
        ("E_RECEIPT_HEADER_RANGE", CASE.header(CASE.blocks[2])),
        ("E_RECEIPT_HEADER_RANGE", CASE.header(CASE.blocks[3])),
        ("E_RECEIPT_HEADER_RANGE", CASE.header(CASE.blocks[0])),
        ("E_PROOF_LENGTH", replace(HEADER, path=HEADER.path[:-1])),
        ("E_PROOF_ROOT", replace(HEADER, leaf=encode_header(replace(CASE.block.header, term=2)))),
        ("E_PROOF_ROOT", replace(HEADER, leaf=encode_header(replace(CASE.block.header, timestamp_ms=1)))),
    ],
)
def test_headers(code: str, header: HeaderProof) -> None:
    """Another block's header, a changed one or one at another place is refused, exit code 10."""
    assert refusal(with_header(header), ReceiptMismatchError) == code


def test_a_commitment_has_32_bytes() -> None:
    """Asking with something else is our own bug."""
    with pytest.raises(AssertionError):
        verify_receipt(PLAIN, TRUST, b"")
