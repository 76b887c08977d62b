"""tlog-proof files: the C2SP format in one spelling, and three kinds of refusal."""

from base64 import b64decode
from itertools import islice
from typing import Any

import pytest
from golden import load
from mutations import mutations, substitutions
from tlog_world import (
    INSTITUTIONS,
    LEAVES,
    checkpoint,
    policy_text,
    proof,
    signed_note,
    stranger_line,
)

from ledger.errors import (
    LedgerError,
    ReceiptError,
    ReceiptFormatError,
    ReceiptMismatchError,
    ReceiptTrustError,
)
from ledger.note import parse_note
from ledger.tlogproof import (
    EXTRA_BYTES_MAX,
    PROOF_BYTES_MAX,
    TlogProof,
    format_proof,
    parse_proof,
    verify_proof,
)
from ledger.trust import parse_trust

CORPUS: dict[str, Any] = load("tlog-proof/transparency-dev-formats.json")
TRUST = parse_trust(policy_text())
HASH = "rzFuy5Go7nrpkhBwKy1HWPMM3eO/YePY54fXRoH5Cm4="
HEAD = "c2sp.org/tlog-proof@v1\n"


@pytest.mark.parametrize("case", CORPUS["marshal"], ids=lambda case: f"index-{case['index']}")
def test_published_text(case: dict[str, Any]) -> None:
    """The published texts come out of their parts, and their parts out of them."""
    parts = TlogProof(
        case["index"],
        tuple(b64decode(value) for value in case["hashes"]),
        case["checkpoint"].encode(),
        None if case["extra"] is None else case["extra"].encode(),
    )
    assert format_proof(parts) == case["text"].encode()
    assert parse_proof(case["text"].encode()) == parts


@pytest.mark.parametrize("text", CORPUS["reject"])
def test_published_rejects(text: str) -> None:
    """What the corpus rejects is refused."""
    with pytest.raises(ReceiptFormatError):
        parse_proof(text.encode())


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "E_RECEIPT_VERSION"),
        ("c2sp.org/tlog-proof@v2\nindex 0\n\nx\n", "E_RECEIPT_VERSION"),
        (" " + HEAD + "index 0\n\nx\n", "E_RECEIPT_VERSION"),
        (HEAD[:-1] + "\r\nindex 0\n\nx\n", "E_RECEIPT_VERSION"),
        (HEAD + "index 0\n", "E_RECEIPT_FORMAT"),
        (HEAD + "index 0\n\n", "E_RECEIPT_FORMAT"),
        (HEAD + "\nx\n", "E_RECEIPT_FORMAT"),
        (HEAD + "extra AA==\n\nx\n", "E_RECEIPT_FORMAT"),
        (HEAD + "extra \nindex 0\n\nx\n", "E_RECEIPT_FORMAT"),
        (HEAD + "extra AB==\nindex 0\n\nx\n", "E_RECEIPT_FORMAT"),
        (HEAD + "extra AA==\nextra AA==\nindex 0\n\nx\n", "E_RECEIPT_FORMAT"),
        (HEAD + "index 0\nextra AA==\n\nx\n", "E_RECEIPT_FORMAT"),
        (HEAD + "index 00\n\nx\n", "E_RECEIPT_FORMAT"),
        (HEAD + f"index {2**63}\n\nx\n", "E_RECEIPT_FORMAT"),
        (HEAD + "index  0\n\nx\n", "E_RECEIPT_FORMAT"),
        (HEAD + "index 0 \n\nx\n", "E_RECEIPT_FORMAT"),
        (HEAD + "index ٣\n\nx\n", "E_RECEIPT_FORMAT"),
        (HEAD + f"index 0\n{HASH} \n\nx\n", "E_RECEIPT_FORMAT"),
        (HEAD + f"index 0\n{HASH[:-1]}\n\nx\n", "E_RECEIPT_FORMAT"),
        (HEAD + "index 0\n" + f"{HASH}\n" * 64 + "\nx\n", "E_RECEIPT_FORMAT"),
        (HEAD + "x" * PROOF_BYTES_MAX, "E_RECEIPT_SIZE"),
        (HEAD + f"extra {'AAAA' * 30_000}\nindex 0\n\nx\n", "E_RECEIPT_FORMAT"),
    ],
)
def test_other_texts_are_refused(text: str, code: str) -> None:
    """Each way of being malformed is a refusal of format."""
    with pytest.raises(ReceiptFormatError) as caught:
        parse_proof(text.encode())
    assert caught.value.code == code


def test_limits_are_reached() -> None:
    """63 hashes and the largest extra are taken."""
    parts = TlogProof(0, (bytes(32),) * 63, b"x", bytes(EXTRA_BYTES_MAX))
    assert parse_proof(format_proof(parts)) == parts


@pytest.mark.parametrize("index", range(len(LEAVES)))
def test_every_entry_has_a_proof(index: int) -> None:
    """A proof of each entry, written and read again, verifies and says where the entry is."""
    verified = verify_proof(LEAVES[index], parse_proof(format_proof(proof(index))), TRUST)
    assert (verified.leaf_hash, verified.index) == (LEAVES[index], index)
    assert verified.head.checkpoint == checkpoint()


def refusal(leaf: bytes, parts: TlogProof) -> ReceiptError:
    """The error of a proof that must not verify."""
    with pytest.raises(ReceiptError) as caught:
        verify_proof(leaf, parts, TRUST)
    return caught.value


def test_wrong_content_is_a_mismatch() -> None:
    """Another leaf, index, or path does not lead to the root: exit code 10."""
    good = proof(5)
    cases = {
        "leaf": (LEAVES[6], good),
        "index": (LEAVES[5], TlogProof(4, good.path, good.checkpoint)),
        "beyond": (LEAVES[5], TlogProof(13, good.path, good.checkpoint)),
        "shorter": (LEAVES[5], TlogProof(5, good.path[:-1], good.checkpoint)),
        "longer": (LEAVES[5], TlogProof(5, (*good.path, bytes(32)), good.checkpoint)),
        "path": (LEAVES[5], TlogProof(5, good.path[::-1], good.checkpoint)),
    }
    for leaf, parts in cases.values():
        assert isinstance(refusal(leaf, parts), ReceiptMismatchError)


@pytest.mark.parametrize(
    ("note", "code"),
    [
        (signed_note(INSTITUTIONS[:2]), "E_QUORUM"),
        (signed_note([]), "E_QUORUM"),
        (signed_note(log=None), "E_NOTE_NO_LOG"),
        (signed_note(head=checkpoint(12)).replace(b"\n12\n", b"\n13\n", 1), "E_NOTE_SIGNATURE"),
        (signed_note().replace(b"example-1f3c5a70\n", b"example-1f3c5a71\n", 1), "E_TRUST_CHAIN"),
    ],
)
def test_wrong_signatures_are_not_trusted(note: bytes, code: str) -> None:
    """Genuine content under signatures that are not enough, or not good: exit code 11."""
    error = refusal(LEAVES[5], proof(5, note))
    assert isinstance(error, ReceiptTrustError)
    assert error.code == code


@pytest.mark.parametrize(
    "note", [b"x", b"x\n\n\n", signed_note()[:-1], signed_note().replace(b"\n13\n", b"\n013\n", 1)]
)
def test_unreadable_checkpoints_are_a_matter_of_format(note: bytes) -> None:
    """What cannot be read is neither content nor trust: exit code 13."""
    error = refusal(LEAVES[5], proof(5, note))
    assert isinstance(error, ReceiptFormatError)
    assert error.code == "E_RECEIPT_CHECKPOINT"


def test_trust_is_judged_before_content() -> None:
    """With both wrong the answer is about trust: a root that nobody signed says nothing about content."""
    assert isinstance(refusal(LEAVES[6], proof(5, signed_note([]))), ReceiptTrustError)


def outcome(data: bytes, leaf: bytes) -> tuple[object, ...]:
    """What must stay byte-identical: index, leaf, path, root, and the signatures that counted."""
    parts = parse_proof(data)
    verified = verify_proof(leaf, parts, TRUST)
    lines = set(parse_note(parts.checkpoint).signatures)
    return verified.index, verified.leaf_hash, parts.path, verified.head.checkpoint, lines


@pytest.mark.parametrize("cosigners", [INSTITUTIONS[:3], INSTITUTIONS])
@pytest.mark.parametrize("step", [11, pytest.param(1, marks=pytest.mark.slow)])
def test_every_small_change_is_refused_or_harmless(step: int, cosigners: tuple[str, ...]) -> None:
    """Whatever is changed in one place of a file: it is refused, or index, leaf, path and root are
    byte-identical and so are a log's and a quorum's lines among the signatures.
    """
    data = format_proof(proof(5, signed_note(cosigners, more=[stranger_line()])))
    whole = outcome(data, LEAVES[5])
    known = set(parse_note(signed_note(cosigners)).signatures)
    kinds: dict[str, int] = {}
    for changed in islice(mutations(data), 0, None, step):
        try:
            got = outcome(changed, LEAVES[5])
        except LedgerError as error:
            kinds[type(error).__name__] = kinds.get(type(error).__name__, 0) + 1
            continue
        kinds["accepted"] = kinds.get("accepted", 0) + 1
        assert got[:4] == whole[:4]
        untouched = known & got[4]  # type: ignore[operator]
        assert len(untouched) >= 1 + 3  # the log's line and three cosignatures
    assert set(kinds) == {"ReceiptFormatError", "ReceiptTrustError", "ReceiptMismatchError", "accepted"}


@pytest.mark.parametrize("step", [11, pytest.param(1, marks=pytest.mark.slow)])
def test_with_exactly_a_quorum_only_the_strangers_line_may_change(step: int) -> None:
    """If every known signature is needed, a changed byte is refused unless it lies in the unknown line."""
    data = format_proof(proof(5, signed_note(more=[stranger_line()])))
    last_line = data.rindex(b"\n", 0, len(data) - 1) + 1
    for changed in islice(substitutions(data), 0, None, step):
        try:
            verify_proof(LEAVES[5], parse_proof(changed), TRUST)
        except LedgerError:
            continue
        assert changed[:last_line] == data[:last_line]


def test_extra_is_carried_and_never_looked_at() -> None:
    """`extra` is the caller's to bind; the proof verifies whatever it holds."""
    parts = parse_proof(format_proof(proof(5, extra=b"anything")))
    assert parts.extra == b"anything"
    verify_proof(LEAVES[5], parts, TRUST)


def test_leaf_hash_of_another_length_is_our_own_bug() -> None:
    """The caller computes the leaf hash itself."""
    with pytest.raises(AssertionError):
        verify_proof(b"", proof(5), TRUST)
