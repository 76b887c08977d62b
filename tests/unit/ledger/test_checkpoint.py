"""Checkpoint texts: three lines in one spelling; foreign ones may say more, on request."""

import json
from base64 import b64decode

import pytest
from golden import GOLDEN, load
from mutations import mutations
from tlog_world import checkpoint

from ledger.checkpoint import Checkpoint, format_checkpoint, parse_checkpoint
from ledger.errors import CheckpointError
from ledger.merkle import EMPTY_ROOT, leaf_hash
from ledger.note import parse_note
from ledger.proof import verify_inclusion
from ledger.spelling import base64_text

FORMATS = load("checkpoint/transparency-dev-formats.json")
ROOT = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="

NOT_32_BYTES = {
    "valid one",
    "valid with different origin",
    "valid with trailing data",
    "valid with multiple trailing data lines",
    "valid with trailing newlines",
}
"""Bodies that the Go code of that corpus takes: their roots are words, not 32 bytes, as tlog-checkpoint
demands.
"""


def test_format_is_three_lines() -> None:
    """Origin, size and root, each line ended."""
    root = b64decode(ROOT)
    assert format_checkpoint(Checkpoint("example.com/a", 7, root)) == f"example.com/a\n7\n{ROOT}\n".encode()


def test_parse_gives_back_what_was_formatted() -> None:
    """Parsing and formatting are inverse."""
    text = format_checkpoint(checkpoint())
    assert parse_checkpoint(text) == checkpoint()
    assert len(text) < 350


@pytest.mark.parametrize("foreign", [False, True])
def test_changed_texts_are_refused_or_say_what_they_say(foreign: bool) -> None:
    """Any small change is refused, or is the one spelling of another checkpoint."""
    for changed in mutations(format_checkpoint(checkpoint())):
        try:
            parsed = parse_checkpoint(changed, foreign=foreign)
        except CheckpointError:
            continue
        assert format_checkpoint(parsed) == changed


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "E_CHECKPOINT_FORMAT"),
        ("\n", "E_CHECKPOINT_FORMAT"),
        (f"a\n1\n{ROOT}", "E_CHECKPOINT_FORMAT"),
        ("a\n1\n", "E_CHECKPOINT_FORMAT"),
        (f"\n1\n{ROOT}\n", "E_CHECKPOINT_ORIGIN"),
        (f"a b\n1\n{ROOT}\n", "E_CHECKPOINT_ORIGIN"),
        (f"a+b\n1\n{ROOT}\n", "E_CHECKPOINT_ORIGIN"),
        (f"{'a' * 256}\n1\n{ROOT}\n", "E_CHECKPOINT_ORIGIN"),
        (f"a\n01\n{ROOT}\n", "E_CHECKPOINT_FORMAT"),
        (f"a\n-1\n{ROOT}\n", "E_CHECKPOINT_FORMAT"),
        (f"a\n{2**63}\n{ROOT}\n", "E_CHECKPOINT_FORMAT"),
        (f"a\n1\n{ROOT[:-1]}\n", "E_CHECKPOINT_FORMAT"),
        ("a\n1\nYmFuYW5hcw==\n", "E_CHECKPOINT_FORMAT"),
        (f"a\n0\n{ROOT}\n", "E_CHECKPOINT_ROOT"),
        (f"a\n1\n{ROOT}\nmore\n", "E_CHECKPOINT_EXTENSION"),
        (f"a\n1\n{ROOT}\n\n", "E_CHECKPOINT_EXTENSION"),
        (f"a\n1\n{ROOT}\n" + "x" * 66_000, "E_CHECKPOINT_SIZE"),
    ],
)
def test_other_texts_are_refused(text: str, code: str) -> None:
    """Each way of being wrong has its code."""
    with pytest.raises(CheckpointError) as caught:
        parse_checkpoint(text.encode())
    assert caught.value.code == code


def test_text_that_is_not_utf8_is_refused() -> None:
    """Bytes that are no text are refused before anything else."""
    with pytest.raises(CheckpointError, match="E_CHECKPOINT_FORMAT"):
        parse_checkpoint(b"\xff" + format_checkpoint(checkpoint()))


def test_empty_tree_has_the_empty_root() -> None:
    """A checkpoint of size 0 is fine with the root of nothing."""
    text = format_checkpoint(Checkpoint("a", 0, EMPTY_ROOT))
    assert parse_checkpoint(text).size == 0


def test_foreign_checkpoints_may_say_more() -> None:
    """On request, extension lines and origins with spaces are kept as they are; empty lines never."""
    text = f"go.sum database tree\n1\n{ROOT}\none line\nanother\n".encode()
    parsed = parse_checkpoint(text, foreign=True)
    assert parsed.extensions == ("one line", "another")
    assert format_checkpoint(parsed) == text
    for wrong in (text + b"\n", text.replace(b"another", b""), text + b"x\n" * 20):
        with pytest.raises(CheckpointError, match="E_CHECKPOINT_EXTENSION"):
            parse_checkpoint(wrong, foreign=True)


@pytest.mark.parametrize("case", FORMATS["checkpoint_bodies"], ids=lambda case: case["desc"])
def test_published_bodies(case: dict[str, str]) -> None:
    """Whatever the corpus refuses we refuse; what it takes has roots that are no hashes, which we refuse as
    well.
    """
    with pytest.raises(CheckpointError):
        parse_checkpoint(case["body"].encode(), foreign=True)
    assert bool(case["reference_accepts"]) == (case["desc"] in NOT_32_BYTES)


@pytest.mark.parametrize("case", FORMATS["checkpoint_bodies"], ids=lambda case: case["desc"])
def test_published_bodies_with_a_real_root(case: dict[str, str]) -> None:
    """With 32 bytes for a root, only empty extension lines remain a difference."""
    lines = case["body"].split("\n")
    if not case["reference_accepts"]:
        return
    lines[2] = ROOT
    text = "\n".join(lines).encode()
    if case["desc"] == "valid with trailing newlines":
        with pytest.raises(CheckpointError, match="E_CHECKPOINT_EXTENSION"):
            parse_checkpoint(text, foreign=True)
    else:
        assert format_checkpoint(parse_checkpoint(text, foreign=True)) == text


def test_published_tree_body() -> None:
    """The Go checksum database's body is a foreign checkpoint; its root is a leaf hash of a known text."""
    body = load("signed-note/sumdb-tlog.json")["tree_body"]
    parsed = parse_checkpoint(body["text"].encode(), foreign=True)
    assert parsed.size == body["n"]
    assert parsed.root == leaf_hash(body["hash_is_leaf_hash_of_utf8"].encode())
    assert format_checkpoint(parsed).decode() == body["text"]


def test_published_example() -> None:
    """The specification's example note holds a checkpoint that our chain could have made."""
    note = load("signed-note/c2sp-examples.json")["cosigned_checkpoint_example"]["note"]
    parsed = parse_checkpoint(parse_note(note.encode()).text)
    assert (parsed.origin, parsed.size) == ("example.com/behind-the-sofa", 20_852_163)


def test_real_logs_checkpoint_and_proof() -> None:
    """A public log's entry is in the tree of that log's checkpoint, by our code alone."""
    bundle = json.loads((GOLDEN / "checkpoint" / "sigstore-staging-rekor-v2.bundle.json").read_bytes())
    entry = bundle["verificationMaterial"]["tlogEntries"][0]
    proof = entry["inclusionProof"]
    parsed = parse_checkpoint(parse_note(proof["checkpoint"]["envelope"].encode()).text)
    assert parsed.size == int(proof["treeSize"])
    assert base64_text(parsed.root) == proof["rootHash"]
    verify_inclusion(
        leaf_hash(b64decode(entry["canonicalizedBody"])),
        int(proof["logIndex"]),
        parsed.size,
        [b64decode(value) for value in proof["hashes"]],
        parsed.root,
    )
