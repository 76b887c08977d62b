"""The second verifier on what others published: Ed25519 edge cases, tree proofs, notes, keys, policies, proof files.

The same files as the first verifier's unit tests read (tests/golden/README.md), and the same answers.
"""

import json
import random
from base64 import b64decode, b64encode
from hashlib import sha256
from types import SimpleNamespace
from typing import Any

import pytest
from golden import GOLDEN, load
from receipt_changes import WORLD, file, lines
from rfc6962_reference import mth, path

from ledger import ed25519
from ledger.errors import PublicKeyError
from scripts.second_verify import (
    Receipt,
    RefusedError,
    Trust,
    ed25519_verifies,
    good_signatures,
    is_public_key,
    path_leads,
    point_from,
    read_receipt,
    read_trust_file,
    read_vkey,
)

CCTV: list[dict[str, Any]] = load("ed25519/cctv-ed25519vectors.json")
WYCHEPROOF: dict[str, Any] = load("ed25519/wycheproof-ed25519_test.json")
FORMATS: dict[str, Any] = load("checkpoint/transparency-dev-formats.json")
SUMDB: dict[str, Any] = load("signed-note/sumdb-note.json")
C2SP: dict[str, Any] = load("signed-note/c2sp-examples.json")
RECEIPT = file(WORLD, lines(WORLD))[0]


def code_of(data: bytes) -> int:
    """The exit code with which bytes are refused as a receipt, 0 if they are read."""
    try:
        read_receipt(data)
    except RefusedError as error:
        return int(error.args[0])
    return 0


def test_ed25519_agrees_with_libsodium_on_cctv() -> None:
    """On all 914 edge cases the answer is PyNaCl's: 43 are good."""
    answers = [
        (ed25519_verifies(key, message, signature), ed25519.verify(key, signature, message))
        for key, signature, message in (
            (bytes.fromhex(case["key"]), bytes.fromhex(case["sig"]), case["msg"].encode()) for case in CCTV
        )
    ]
    assert all(ours == theirs for ours, theirs in answers)
    assert sum(ours for ours, _ in answers) == 43


def test_ed25519_agrees_with_wycheproof() -> None:
    """On all 151 cases the answer is PyNaCl's and the published one."""
    count = 0
    for group in WYCHEPROOF["testGroups"]:
        public = bytes.fromhex(group["publicKey"]["pk"])
        for case in group["tests"]:
            message, signature = bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"])
            answer = ed25519_verifies(public, message, signature)
            assert answer == ed25519.verify(public, signature, message) == (case["result"] == "valid"), case
            count += 1
    assert count == 151


def test_ed25519_agrees_with_libsodium_by_chance() -> None:
    """Made signatures are good; with a flipped bit anywhere both say no."""
    rng = random.Random(1)
    for _ in range(60):
        seed, message = rng.randbytes(32), rng.randbytes(rng.randint(0, 100))
        parts = [ed25519.public_key(seed), message, ed25519.sign(seed, message)]
        assert ed25519_verifies(*parts)
        which = rng.choice([0, 2])
        at, bit = rng.randrange(len(parts[which])), 1 << rng.randrange(8)
        parts[which] = parts[which][:at] + bytes([parts[which][at] ^ bit]) + parts[which][at + 1 :]
        assert ed25519_verifies(*parts) == ed25519.verify(parts[0], parts[2], parts[1]) is False


def test_keys_that_may_stand_in_a_trust_file() -> None:
    """Exactly the keys that the first verifier registers: canonical, on the curve, of the prime order."""
    rng = random.Random(2)
    order_8 = bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
    small = [bytes(32), b"\1" + bytes(31), order_8, (2**255 - 20).to_bytes(32, "little")]
    encodings = [(2**255 - 19 + y | sign << 255).to_bytes(32, "little") for y in range(19) for sign in (0, 1)]
    assert any(point_from(y.to_bytes(32, "little")) for y in range(2, 19)), "some have a canonical encoding"
    assert not any(map(point_from, encodings)), "and none has a second one"
    keys = {bytes.fromhex(case["key"]) for case in CCTV} | {*small, *encodings}
    keys |= {rng.randbytes(32) for _ in range(60)} | {
        ed25519.public_key(rng.randbytes(32)) for _ in range(20)
    }
    accepted = 0
    for key in sorted(keys):
        try:
            ed25519.validate_public_key(key)
            registered = True
        except PublicKeyError:
            registered = False
        assert is_public_key(key) == registered, key.hex()
        accepted += registered
    assert accepted >= 21
    assert not is_public_key(bytes(31))


@pytest.mark.parametrize(
    "case", load("rfc6962-merkle/inclusion.json")["cases"], ids=lambda case: str(case["file"])
)
def test_published_inclusion_proofs(case: dict[str, Any]) -> None:
    """Each of the 98 published cases is accepted or refused as published."""
    tree = SimpleNamespace(size=case["treeSize"], root=b64decode(case["root"] or ""))
    proof, leaf_hash = [b64decode(one) for one in case["proof"] or []], b64decode(case["leafHash"] or "")
    if {len(one) for one in [leaf_hash, tree.root, *proof]} != {32}:
        assert case["wantErr"], "what is not 32 bytes long cannot even be written in a receipt"
        return
    leads = path_leads(leaf_hash, case["leafIdx"], proof, tree)  # type: ignore[arg-type]
    assert leads is not case["wantErr"]


def test_paths_of_every_small_tree() -> None:
    """In trees of 1 to 40 leaves each leaf's path leads to the root, and to no other place or size."""
    entries = [b"leaf %d" % number for number in range(41)]
    for size in range(1, 41):
        tree = SimpleNamespace(size=size, root=mth(entries[:size]))
        for index in range(size):
            proof, leaf_hash = path(index, entries[:size]), mth(entries[index : index + 1])
            assert path_leads(leaf_hash, index, proof, tree)  # type: ignore[arg-type]
            assert not path_leads(leaf_hash, index + 1, proof, tree)  # type: ignore[arg-type]
            assert not path_leads(leaf_hash, index, [*proof, bytes(32)], tree)  # type: ignore[arg-type]
            assert not path_leads(bytes(32), index, proof, tree)  # type: ignore[arg-type]


def test_a_real_logs_proof() -> None:
    """An inclusion proof of a public log leads to the root in its checkpoint."""
    bundle = json.loads((GOLDEN / "checkpoint/sigstore-staging-rekor-v2.bundle.json").read_bytes())
    entry = bundle["verificationMaterial"]["tlogEntries"][0]
    proof = entry["inclusionProof"]
    tree = SimpleNamespace(size=int(proof["treeSize"]), root=b64decode(proof["rootHash"]))
    leaf_hash = sha256(b"\0" + b64decode(entry["canonicalizedBody"])).digest()
    assert path_leads(leaf_hash, int(proof["logIndex"]), [*map(b64decode, proof["hashes"])], tree)  # type: ignore[arg-type]


def judged(note: str, vkeys: list[str]) -> bool:
    """Whether the signature lines of a note of any text are good for these keys, taken as a log's."""
    text, _, signed = note.rpartition("\n\n")
    blobs = [(line.split(" ")[1], b64decode(line.split(" ")[2])) for line in signed.splitlines()]
    signatures = [(name, blob[:4], blob[4:]) for name, blob in blobs]
    receipt = Receipt(b"", b"", 0, [], text + "\n", "", 0, b"", signatures)
    try:
        good_signatures(receipt, Trust("", dict(read_vkey(vkey, "") for vkey in vkeys), {}, ""))
    except RefusedError as error:
        if error.args[0] != 11:
            raise
        return False
    return True


@pytest.mark.parametrize("case", SUMDB["cases"], ids=lambda case: case["desc"])
def test_published_notes(case: dict[str, Any]) -> None:
    """Signatures are judged as published; what is malformed is malformed under a checkpoint, too."""
    if case["desc"].split(",")[0] in {"one of two known", "both known", "none known", "known key"}:
        assert judged(case["note"], case["known"]) is case["ok"]
        return
    text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    block = case["note"].removeprefix(text)
    assert block != case["note"] or case["desc"] == "control character"
    proof, note = RECEIPT.decode().split("\n\n", 1)
    assert code_of(f"{proof}\n\n{note[: note.index(chr(10) * 2) + 1]}{block}".encode()) == 13


def test_the_specifications_note() -> None:
    """The example of C2SP signed-note verifies."""
    assert judged(C2SP["signed_note"]["note"], [C2SP["signed_note"]["vkey"]])


def test_published_verifier_keys() -> None:
    """Good ones are read, as a log's or a witness's by their type; bad ones and a wrong id are refused."""
    for vkey in [*SUMDB["vkeys"], *FORMATS["vkeys_ok"]]:
        witness = "w" if b64decode(vkey.split("+", 2)[2])[0] == 4 else ""
        (name, key_id), _ = read_vkey(vkey, witness)
        assert f"{name}+{key_id.hex()}" == vkey.rsplit("+", 1)[0] or vkey.startswith(
            f"{name}+{key_id.hex()}+"
        )
        with pytest.raises(RefusedError):
            read_vkey(vkey, "" if witness else "w")
    for vkey in [*SUMDB["bad_vkeys"], FORMATS["vkey_mldsa_wrong_key_id"]["vkey"]]:
        with pytest.raises(RefusedError):
            read_vkey(vkey, "")


@pytest.mark.parametrize("case", FORMATS["checkpoint_bodies"], ids=lambda case: case["desc"])
def test_published_checkpoints(case: dict[str, Any]) -> None:
    """None of them has a root of 32 bytes and three lines, so none is a checkpoint here; each is with a right root."""
    proof, note = RECEIPT.decode().split("\n\n", 1)
    block = note[note.rindex("\n\n") + 1 :]
    assert code_of(f"{proof}\n\n{case['body']}{block}".encode()) == 13
    root = b64encode(bytes(32)).decode()
    body = (
        case["body"]
        .replace("YmFuYW5hcw==", root)
        .replace("dGhlIHZpZXcgZnJvbSB0aGUgdHJlZSB0b3BzIGlzIGdyZWF0IQ==", root)
    )
    plain = case["reference_accepts"] and "trailing" not in case["desc"]
    assert code_of(f"{proof}\n\n{body}{block}".encode()) == (0 if plain else 13)


@pytest.mark.parametrize(
    "policy", [*FORMATS["policies_ok"], *(case["policy"] for case in FORMATS["policies_bad"])]
)
def test_published_policies(policy: str) -> None:
    """All are refused: the good ones break rules of tlog-policy that their program does not keep (docs/formats)."""
    for text in (policy, policy + "\n"):
        with pytest.raises(RefusedError) as caught:
            read_trust_file(text.encode())
        assert caught.value.args[0] == 13


@pytest.mark.parametrize("text", load("tlog-proof/transparency-dev-formats.json")["reject"])
def test_published_bad_proofs(text: str) -> None:
    """Each is refused for its own fault, that is also with our extra line and a good checkpoint."""
    _, note = RECEIPT.decode().split("\n\n", 1)
    assert code_of(text.encode()) == 13
    repaired = text.replace("checkpoint\n", note)
    if "extra" not in repaired:
        repaired = repaired.replace("\n", f"\n{RECEIPT.decode().splitlines()[1]}\n", 1)
    assert code_of(repaired.encode()) == 13
