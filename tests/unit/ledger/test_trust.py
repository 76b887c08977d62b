"""Trust files: one chain, one section, a real quorum; and only a quorum makes a checkpoint believed."""

from hashlib import sha256
from itertools import islice

import pytest
from mutations import mutations
from tlog_world import (
    INSTITUTIONS,
    ORIGIN,
    TIME_S,
    checkpoint,
    cosignature_line,
    cosigner_key,
    log_key,
    log_line,
    policy_text,
    seed,
    signed_note,
    stranger_line,
    witness_name,
)

from ledger import ed25519
from ledger.checkpoint import Checkpoint, format_checkpoint
from ledger.errors import (
    CheckpointError,
    LedgerError,
    NoteError,
    PolicyError,
    QuorumError,
    SignatureError,
    UnsupportedError,
)
from ledger.note import ED25519, Signature, VerifierKey, format_note, format_vkey, sign
from ledger.trust import check_signatures, parse_trust, require_quorum, verify_checkpoint

TRUST = parse_trust(policy_text())
TEXT = format_checkpoint(checkpoint())


def test_trust_file_knows_its_chain_and_fingerprint() -> None:
    """The origin is the logs' name, the fingerprint the hash of the bytes."""
    assert TRUST.origin == ORIGIN
    assert TRUST.fingerprint == sha256(policy_text()).digest()
    assert TRUST.policy_for(0) is TRUST.policy_for(2**63 - 1)


def test_fingerprint_covers_comments() -> None:
    """Two files that mean the same are still two files."""
    other = parse_trust(b"# a comment\n" + policy_text())
    assert other.policy == TRUST.policy
    assert other.fingerprint != TRUST.fingerprint


@pytest.mark.parametrize("text", [b"from 0\n" + policy_text(), policy_text() + b" from 14\n", b"from\n"])
def test_form_with_sections_is_unsupported_yet(text: bytes) -> None:
    """A file with sections asks for a newer program, whatever else is in it."""
    with pytest.raises(UnsupportedError, match="unsupported yet") as caught:
        parse_trust(text)
    assert caught.value.code == "E_TRUST_SECTIONS"


def test_the_word_from_in_a_comment_is_no_section() -> None:
    """Only a line's first item makes a section."""
    assert parse_trust(b"# from 0\n" + policy_text()).origin == ORIGIN


def test_files_that_cannot_be_trust_are_refused() -> None:
    """No log, logs of two chains, no cosignature asked for, no policy at all."""
    lines = policy_text().decode().splitlines(keepends=True)
    without_logs = "".join(line for line in lines if not line.startswith("log "))
    other = VerifierKey("another-00000000", ED25519, ed25519.public_key(seed("log", "another")))
    cases = {
        without_logs: "E_TRUST_LOG",
        f"log {format_vkey(other)}\n" + "".join(lines): "E_TRUST_ORIGIN",
        "".join(lines[:-1]) + "quorum none\n": "E_TRUST_QUORUM",
        "": "E_POLICY_QUORUM",
    }
    for text, code in cases.items():
        with pytest.raises(PolicyError) as caught:
            parse_trust(text.encode())
        assert caught.value.code == code


def test_quorum_makes_a_checkpoint_believed() -> None:
    """Three of four institutions suffice; the result names who signed and when."""
    head = verify_checkpoint(TRUST, signed_note(more=[stranger_line()]))
    assert head.checkpoint == checkpoint()
    assert head.logs == (log_key("BROKER"),)
    assert [(one.witness, one.time_s) for one in head.cosigned] == [
        (witness_name(one), TIME_S) for one in INSTITUTIONS[:3]
    ]


def test_two_are_not_enough() -> None:
    """The signatures are genuine, so the checkpoint can be looked at, but it is not believed."""
    signed = check_signatures(TRUST, signed_note(INSTITUTIONS[:2], more=[stranger_line()]))
    assert (signed.checkpoint, signed.ignored) == (checkpoint(), 1)
    with pytest.raises(QuorumError, match="AUDITOR/auditor-1, BROKER/broker-1") as caught:
        require_quorum(TRUST, signed)
    assert caught.value.code == "E_QUORUM"


def test_log_signatures_never_count_as_cosignatures() -> None:
    """All four logs and two cosigners are still two."""
    logs = [log_line(TEXT, one) for one in INSTITUTIONS]
    two = [cosignature_line(TEXT, one) for one in INSTITUTIONS[:2]]
    with pytest.raises(QuorumError):
        verify_checkpoint(TRUST, format_note(TEXT, logs + two))
    with pytest.raises(QuorumError, match="nobody"):
        verify_checkpoint(TRUST, format_note(TEXT, logs))


def refused(note: bytes) -> str:
    """The code with which a note is refused."""
    with pytest.raises(LedgerError) as caught:
        verify_checkpoint(TRUST, note)
    return caught.value.code


def test_without_a_log_signature_nothing_is_believed() -> None:
    """All four cosigners do not replace the log."""
    assert refused(signed_note(INSTITUTIONS, log=None)) == "E_NOTE_NO_LOG"


def test_cosigner_key_does_not_sign_as_log() -> None:
    """A plain signature of a cosigner's key is a stranger's line."""
    forged = sign(ORIGIN, seed("cosigner", "BROKER"), TEXT)
    assert refused(signed_note(log=None, more=[forged])) == "E_NOTE_NO_LOG"


def test_another_chain_is_refused_before_its_signatures() -> None:
    """A checkpoint is judged by the trust file of its own chain only, even when the right keys signed it."""
    other = Checkpoint("another-00000000", 13, checkpoint().root)
    assert refused(signed_note(head=other)) == "E_TRUST_CHAIN"


def test_unsigned_and_badly_signed_checkpoints_are_refused() -> None:
    """Strangers' lines only; one bad line among good ones; a cosigner twice."""
    assert refused(format_note(TEXT, [stranger_line()])) == "E_NOTE_UNSIGNED"
    bad = Signature(witness_name("REGULATOR"), cosigner_key("REGULATOR").key_id, bytes(72))
    assert refused(signed_note(more=[bad])) == "E_NOTE_SIGNATURE"
    again = cosignature_line(TEXT, "BROKER", TIME_S + 1)
    assert refused(signed_note(more=[again])) == "E_NOTE_TWICE"


def test_extension_lines_are_refused_although_signed() -> None:
    """Our checkpoints have none, whoever signs them."""
    head = Checkpoint(ORIGIN, 13, checkpoint().root, ("more",))
    assert refused(signed_note(head=head)) == "E_CHECKPOINT_EXTENSION"


def test_malformed_notes_keep_their_own_codes() -> None:
    """What is unreadable is told apart from what is not trusted."""
    with pytest.raises(NoteError, match="E_NOTE_FORMAT") as caught:
        verify_checkpoint(TRUST, b"garbage\n")
    assert not isinstance(caught.value, SignatureError)
    with pytest.raises(CheckpointError):
        verify_checkpoint(TRUST, signed_note().replace(b"\n13\n", b"\n+13\n", 1))


@pytest.mark.parametrize("step", [11, pytest.param(1, marks=pytest.mark.slow)])
def test_small_changes_are_refused_or_touch_only_what_need_not_count(step: int) -> None:
    """However a signed checkpoint is changed in one place, what is believed is the same head by a quorum."""
    note = signed_note(INSTITUTIONS, more=[stranger_line()])
    whole = verify_checkpoint(TRUST, note)
    for changed in islice(mutations(note), 0, None, step):
        try:
            head = verify_checkpoint(TRUST, changed)
        except LedgerError:
            continue
        assert head.checkpoint == whole.checkpoint
        assert len(head.cosigned) >= 3
        assert set(head.cosigned) <= set(whole.cosigned)
