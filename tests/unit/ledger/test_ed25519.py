"""Ed25519 as this ledger sees it: RFC 8032, with libsodium's answers to every edge case frozen here."""

from typing import Any

import pytest
from golden import load
from nacl import bindings

from ledger import ed25519
from ledger.errors import PublicKeyError

CCTV: list[dict[str, Any]] = load("ed25519/cctv-ed25519vectors.json")
WYCHEPROOF: dict[str, Any] = load("ed25519/wycheproof-ed25519_test.json")

CCTV_REFUSED_FLAGS = {
    "low_order_A",  # a key that fits many messages
    "low_order_R",
    "non_canonical_A",
    "non_canonical_R",
    "low_order_residue",  # good only after multiplying by the cofactor 8
    "reencoded_k",  # good only if R or A is re-encoded before hashing
}
"""A CCTV signature is accepted exactly if it has none of these flags: no cofactor, no second encoding."""

CCTV_ACCEPTED = [
    7, 29, 50, 117, 139, 161, 182, 249, 305, 411, 425, 438, 465, 473, 481, 489, 497, 511, 525, 538, 565, 573,
    581, 589, 597, 611, 625, 638, 665, 673, 681, 689, 697, 711, 725, 738, 765, 773, 781, 789, 797, 832, 899,
]  # fmt: skip

SEED = bytes(range(32))

# The eight points of small order, in canonical encoding, and two encodings of the identity that are not.
SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
]
NON_CANONICAL = [
    "0100000000000000000000000000000000000000000000000000000000000080",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


def accepts(case: dict[str, Any]) -> bool:
    """Whether `verify` takes a CCTV case."""
    return ed25519.verify(bytes.fromhex(case["key"]), bytes.fromhex(case["sig"]), case["msg"].encode())


def registrable(public: bytes) -> bool:
    """Whether a key may be registered."""
    try:
        ed25519.validate_public_key(public)
    except PublicKeyError:
        return False
    return True


def test_cctv_accepted_cases_are_frozen() -> None:
    """Of the 914 edge cases exactly these 43 are good; another library or version must not change it
    unseen.
    """
    assert len(CCTV) == 914
    assert [case["number"] for case in CCTV if accepts(case)] == CCTV_ACCEPTED


def test_cctv_flags_explain_every_answer() -> None:
    """A case is refused if and only if it carries one of six flags."""
    explained = [case["number"] for case in CCTV if not CCTV_REFUSED_FLAGS & set(case["flags"] or ())]
    assert explained == CCTV_ACCEPTED


def test_cctv_keys_that_may_be_registered() -> None:
    """42 of the 43 good signatures are under mixed-order keys; registration refuses those, so one remains."""
    accepted = [CCTV[number] for number in CCTV_ACCEPTED]
    remaining = [case for case in accepted if registrable(bytes.fromhex(case["key"]))]
    assert [case["flags"] or [] for case in remaining] == [[]]
    assert all("low_order_component_A" in case["flags"] for case in accepted if case not in remaining)


def test_wycheproof() -> None:
    """All 151 cases of Wycheproof get the published answer."""
    wrong = []
    count = 0
    for group in WYCHEPROOF["testGroups"]:
        public = bytes.fromhex(group["publicKey"]["pk"])
        for case in group["tests"]:
            count += 1
            got = ed25519.verify(public, bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"]))
            if got != (case["result"] == "valid"):
                wrong.append(case["tcId"])
    assert (count, wrong) == (151, [])


def test_rfc_8032_first_vector() -> None:
    """Key and signature of the RFC's first test vector come out."""
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    assert ed25519.public_key(seed).hex().startswith("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325")
    assert ed25519.sign(seed, b"").hex().startswith("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974")


def test_sign_then_verify() -> None:
    """A signature is good for its message and key, and for nothing else."""
    public = ed25519.public_key(SEED)
    signature = ed25519.sign(SEED, b"message")
    assert ed25519.verify(public, signature, b"message")
    assert not ed25519.verify(public, signature, b"messagf")
    assert not ed25519.verify(ed25519.public_key(b"\x07" * 32), signature, b"message")


def test_any_changed_bit_of_a_signature_is_refused() -> None:
    """A signature has one form: none of its 512 neighbours is good."""
    public = ed25519.public_key(SEED)
    signature = ed25519.sign(SEED, b"message")
    for bit in range(512):
        other = bytearray(signature)
        other[bit // 8] ^= 1 << bit % 8
        assert not ed25519.verify(public, bytes(other), b"message")


@pytest.mark.parametrize("length", [0, 31, 33])
def test_wrong_lengths_are_a_plain_no(length: int) -> None:
    """Keys and signatures of a wrong length verify nothing and raise nothing."""
    public, signature = ed25519.public_key(SEED), ed25519.sign(SEED, b"")
    assert not ed25519.verify(bytes(length), signature, b"")
    assert not ed25519.verify(public, signature[:length], b"")
    assert not ed25519.verify(public, signature + b"\x00", b"")


def test_seed_of_another_length_is_our_own_bug() -> None:
    """A seed has 32 bytes."""
    with pytest.raises(AssertionError):
        ed25519.sign(b"short", b"")


@pytest.mark.parametrize("encoded", SMALL_ORDER + NON_CANONICAL)
def test_small_order_and_non_canonical_keys_are_refused(encoded: str) -> None:
    """A key under which many messages verify, or one with a second spelling, is nobody's key."""
    with pytest.raises(PublicKeyError, match="E_KEY_POINT"):
        ed25519.validate_public_key(bytes.fromhex(encoded))


def test_mixed_order_key_is_refused() -> None:
    """An honest key plus a point of order 8 is refused, although signatures under it can verify."""
    honest = ed25519.public_key(SEED)
    ed25519.validate_public_key(honest)
    mixed = bindings.crypto_core_ed25519_add(honest, bytes.fromhex(SMALL_ORDER[4]))
    with pytest.raises(PublicKeyError, match="E_KEY_POINT"):
        ed25519.validate_public_key(mixed)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_key_of_another_length_is_refused(length: int) -> None:
    """A public key has 32 bytes."""
    with pytest.raises(PublicKeyError, match="E_KEY_LENGTH"):
        ed25519.validate_public_key(bytes(length))
