"""The worked examples of docs/formats/tlog.md are what the program makes, and they verify."""

from pathlib import Path

from doc_examples import check_examples
from tlog_world import (
    ENTRIES,
    INSTITUTIONS,
    LEAVES,
    ORIGIN,
    TIME_S,
    checkpoint,
    cosigner_key,
    log_key,
    policy_text,
    proof,
    read,
    seed,
    signed_note,
)

from ledger.checkpoint import format_checkpoint
from ledger.cosignature import message
from ledger.merkle import EMPTY_ROOT, leaf_hash, node_hash, root_of
from ledger.note import format_vkey
from ledger.proof import prove_consistency, prove_inclusion, prove_range, verify_consistency, verify_range
from ledger.tile import format_path, tiles_of
from ledger.tlogproof import format_proof, parse_proof, verify_proof
from ledger.trust import parse_trust

PAGE = Path(__file__).resolve().parents[2] / "docs" / "formats" / "tlog.md"


def tree() -> str:
    """Hashes of the smallest trees."""
    a, b, c = LEAVES[:3]
    return "".join(
        f"{what:<26}{value.hex()}\n"
        for what, value in [
            ("root of the empty tree", EMPTY_ROOT),
            ("leaf hash of entry 0", leaf_hash(ENTRIES[0])),
            ("root of 1 entry", root_of([a])),
            ("root of 2 entries", node_hash(a, b)),
            ("root of 3 entries", node_hash(node_hash(a, b), c)),
            ("root of 13 entries", root_of(LEAVES)),
        ]
    )


def proofs() -> str:
    """One proof of each kind in the tree of 13."""
    size = len(LEAVES)
    run = prove_range(3, 4, size, read)
    consistency = prove_consistency(6, size, read)
    verify_consistency(6, root_of(LEAVES[:6]), size, root_of(LEAVES), consistency)
    verify_range(LEAVES[3:7], 3, size, run, root_of(LEAVES))
    parts = {
        "inclusion of index 5 in size 13": prove_inclusion(5, size, read),
        "consistency of size 6 with size 13": consistency,
        "range of 4 from index 3, left": run.left,
        "range of 4 from index 3, right": run.right,
    }
    return "".join(
        f"{what}\n" + "".join(f"  {value.hex()}\n" for value in values) for what, values in parts.items()
    )


def examples() -> dict[str, str]:
    """Name and text of every example."""
    return {
        "tree": tree(),
        "proofs": proofs(),
        "tiles": "".join(f"{format_path(tile)}\n" for tile in tiles_of(70_000)),
        "keys": "".join(
            f"{purpose} seed  {seed(purpose, 'BROKER').hex()}\n{purpose} vkey  {format_vkey(key)}\n"
            for purpose, key in (("log", log_key("BROKER")), ("cosigner", cosigner_key("BROKER")))
        ),
        "checkpoint": format_checkpoint(checkpoint()).decode(),
        "cosigned-message": message(format_checkpoint(checkpoint()), TIME_S).decode(),
        "note": signed_note().decode(),
        "policy": policy_text().decode(),
        "fingerprint": parse_trust(policy_text()).fingerprint.hex() + "\n",
        "proof": format_proof(proof(5)).decode(),
    }


def test_examples_are_fresh() -> None:
    """Every example on the page is what the program makes today."""
    check_examples(PAGE, examples())


def test_example_proof_verifies_under_the_example_policy() -> None:
    """What the page shows holds together: entry 5 is proved by three of four institutions."""
    shown = examples()
    trust = parse_trust(shown["policy"].encode())
    verified = verify_proof(leaf_hash(ENTRIES[5]), parse_proof(shown["proof"].encode()), trust)
    assert verified.head.checkpoint.origin == ORIGIN
    assert len(verified.head.cosigned) == 3 < len(INSTITUTIONS)
