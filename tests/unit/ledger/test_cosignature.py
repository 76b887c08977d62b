"""Cosignatures are C2SP cosignature/v1: time and text are signed together, under a label of their own."""

from base64 import b64decode

import pytest
from golden import load
from tlog_world import checkpoint, seed

from ledger import cosignature, ed25519
from ledger.checkpoint import format_checkpoint

SEED = seed("cosigner", "MARKET")
PUBLIC = ed25519.public_key(SEED)
TEXT = format_checkpoint(checkpoint())


def test_message_is_the_published_form() -> None:
    """Label, time and the whole text, each line ended."""
    text = b"example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    assert cosignature.message(text, 1_679_315_147) == b"cosignature/v1\ntime 1679315147\n" + text


def test_published_time() -> None:
    """The time of a published cosignature is read from its first eight bytes behind the key id."""
    published = load("checkpoint/transparency-dev-formats.json")["cosignature_v1_timestamp"]
    blob = b64decode(published["base64"])[4:]
    assert len(blob) == cosignature.BLOB_BYTES
    assert cosignature.time_of(blob) == published["unix"]


def test_made_cosignature_verifies_and_tells_its_time() -> None:
    """What `make` makes, `verify` takes."""
    blob = cosignature.make(SEED, TEXT, 1_764_000_000)
    assert len(blob) == 72
    assert cosignature.time_of(blob) == 1_764_000_000
    assert cosignature.verify(PUBLIC, TEXT, blob)


def test_every_changed_bit_is_refused() -> None:
    """Time, signature and text are all bound."""
    blob = cosignature.make(SEED, TEXT, 1)
    for bit in range(8 * len(blob)):
        other = bytearray(blob)
        other[bit // 8] ^= 1 << bit % 8
        assert not cosignature.verify(PUBLIC, TEXT, bytes(other))
    assert not cosignature.verify(PUBLIC, TEXT + b"more\n", blob)
    assert not cosignature.verify(ed25519.public_key(seed("cosigner", "BROKER")), TEXT, blob)


@pytest.mark.parametrize("length", [0, 8, 64, 71, 73])
def test_blob_of_another_length_is_refused(length: int) -> None:
    """A blob has 72 bytes; a plain signature of 64 is none."""
    assert not cosignature.verify(PUBLIC, TEXT, bytes(length))
    assert not cosignature.verify(PUBLIC, TEXT, ed25519.sign(SEED, TEXT)[:length])


def test_times_beyond_the_limit_are_refused() -> None:
    """A time above 2^63 - 1 is refused even when its signature is good."""
    time_s = 2**63
    signature = ed25519.sign(SEED, b"cosignature/v1\ntime %d\n" % time_s + TEXT)
    assert not cosignature.verify(PUBLIC, TEXT, time_s.to_bytes(8, "big") + signature)
    largest = cosignature.make(SEED, TEXT, 2**63 - 1)
    assert cosignature.verify(PUBLIC, TEXT, largest)


def test_time_zero_is_never_made_but_verifies() -> None:
    """tlog-witness forbids giving out time 0; a verifier has no reason to refuse one."""
    with pytest.raises(AssertionError):
        cosignature.make(SEED, TEXT, 0)
    foreign = bytes(8) + ed25519.sign(SEED, cosignature.message(TEXT, 0))
    assert cosignature.verify(PUBLIC, TEXT, foreign)


def test_log_signature_is_no_cosignature() -> None:
    """The label keeps the two kinds apart, whatever time is claimed."""
    plain = ed25519.sign(SEED, TEXT)
    assert not cosignature.verify(PUBLIC, TEXT, bytes(8) + plain)
    assert not ed25519.verify(PUBLIC, cosignature.make(SEED, TEXT, 1)[8:], TEXT)
