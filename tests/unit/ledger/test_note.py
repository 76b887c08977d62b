"""Signed notes are those of C2SP: unknown lines are ignored, known ones must be right, one spelling each."""

from base64 import b64decode
from typing import Any

import pytest
from golden import load
from mutations import mutations
from tlog_world import INSTITUTIONS, cosigner_key, log_key, seed, signed_note, stranger_line

from ledger import ed25519
from ledger.errors import LedgerError, NoteError, PublicKeyError, SignatureError, UnsupportedError
from ledger.note import (
    ED25519,
    ED25519_COSIGNATURE,
    ML_DSA_44_COSIGNATURE,
    NOTE_BYTES_MAX,
    SIGNATURES_MAX,
    Signature,
    VerifierKey,
    cosign,
    format_note,
    format_signature,
    format_vkey,
    key_id,
    open_note,
    parse_note,
    parse_signatures,
    parse_vkey,
    sign,
    verify,
)
from ledger.spelling import base64_text

SUMDB: dict[str, Any] = load("signed-note/sumdb-note.json")
C2SP: dict[str, Any] = load("signed-note/c2sp-examples.json")
FORMATS: dict[str, Any] = load("checkpoint/transparency-dev-formats.json")

NAME, SEED = "example.com/log", seed("note", "test")
KEY = VerifierKey(NAME, ED25519, ed25519.public_key(SEED))
TEXT = b"A text.\n\nWith an empty line.\n"
NOTE = format_note(TEXT, [sign(NAME, SEED, TEXT)])
FLIPPED = bytes([ed25519.public_key(SEED)[0] ^ 1]) + ed25519.public_key(SEED)[1:]


def opened(data: bytes, *keys: VerifierKey) -> bytes:
    """The believed text of a note."""
    return open_note(parse_note(data), keys).text


# vkeys


@pytest.mark.parametrize("vkey", [*SUMDB["vkeys"], *FORMATS["vkeys_ok"], C2SP["signed_note"]["vkey"]])
def test_published_vkey(vkey: str) -> None:
    """Published vkeys of both Ed25519 types parse, and format to themselves."""
    key = parse_vkey(vkey)
    assert key.kind in (ED25519, ED25519_COSIGNATURE)
    assert key.supported
    assert format_vkey(key) == vkey


@pytest.mark.parametrize("vkey", SUMDB["bad_vkeys"])
def test_published_bad_vkey(vkey: str) -> None:
    """Published wrong vkeys are refused."""
    with pytest.raises(LedgerError):
        parse_vkey(vkey)


def test_published_vkey_with_a_wrong_id() -> None:
    """The id is recomputed: a published ML-DSA-44 key with a wrong one is refused, with the right one it is
    known.
    """
    vkey = FORMATS["vkey_mldsa_wrong_key_id"]["vkey"]
    with pytest.raises(PublicKeyError, match="E_VKEY_ID"):
        parse_vkey(vkey)
    name, _, material = vkey.split("+", 2)
    key = VerifierKey(name, ML_DSA_44_COSIGNATURE, b64decode(material)[1:])
    assert key.key_id.hex() == "31236897"
    assert parse_vkey(format_vkey(key)) == key
    assert not key.supported


def test_every_proper_part_of_a_vkey_is_refused() -> None:
    """A cut vkey is no vkey."""
    vkey = format_vkey(KEY)
    for start in range(len(vkey)):
        for stop in range(start, len(vkey) + 1):
            if stop - start < len(vkey):
                with pytest.raises(LedgerError):
                    parse_vkey(vkey[start:stop])


def test_every_small_change_of_a_vkey_is_refused() -> None:
    """The id binds name, type and key, so that no slip of a hand gives another key."""
    for changed in mutations(format_vkey(KEY).encode()):
        with pytest.raises(LedgerError):
            parse_vkey(changed.decode("utf-8", "surrogateescape"))


@pytest.mark.parametrize(
    ("kind", "public", "code"),
    [
        (ED25519, bytes(31), "E_KEY_LENGTH"),
        (ED25519, bytes(33), "E_KEY_LENGTH"),
        (ED25519, bytes(32), "E_KEY_POINT"),
        (ED25519_COSIGNATURE, b"\x01" + bytes(31), "E_KEY_POINT"),
        (ML_DSA_44_COSIGNATURE, bytes(32), "E_KEY_LENGTH"),
        (0x02, bytes(91), "E_VKEY_TYPE"),
        (0x05, bytes(32), "E_VKEY_TYPE"),
        (0x00, bytes(32), "E_VKEY_TYPE"),
        (0xFF, bytes(40), "E_VKEY_TYPE"),
    ],
)
def test_vkeys_of_other_lengths_points_and_types_are_refused(kind: int, public: bytes, code: str) -> None:
    """A right id does not make a wrong key right."""
    with pytest.raises((PublicKeyError, UnsupportedError)) as caught:
        parse_vkey(format_vkey(VerifierKey("a", kind, public)))
    assert caught.value.code == code


@pytest.mark.parametrize(
    "vkey", ["", "a", "a+00000000", "a+00000000+", "a b+00000000+AQ==", "+00000000+AQ==", "x" * 5_000]
)
def test_malformed_vkeys_are_refused(vkey: str) -> None:
    """A vkey has three parts."""
    with pytest.raises(PublicKeyError, match="E_VKEY_FORMAT"):
        parse_vkey(vkey)


def test_key_id_depends_on_name_type_and_key() -> None:
    """Each of the three makes another id."""
    ids = {key_id(name, kind, public) for name in "ab" for kind in (1, 4) for public in (KEY.public, FLIPPED)}
    assert len(ids) == 8


# notes


@pytest.mark.parametrize("case", SUMDB["cases"], ids=lambda case: case["desc"])
def test_published_note(case: dict[str, Any]) -> None:
    """Each published note opens or is refused as published, with the published names."""
    keys = [parse_vkey(vkey) for vkey in case["known"]]
    if not case["ok"]:
        with pytest.raises(NoteError):
            open_note(parse_note(case["note"].encode()), keys)
        return
    note = open_note(parse_note(case["note"].encode()), keys)
    assert [one.key.name for one in note.verified] == case["verified"]
    assert note.ignored == len(case["unverified"])


def test_published_signer_makes_the_published_signature() -> None:
    """Ed25519 is deterministic: the published test key signs the published text to the same line."""
    case = SUMDB["cases"][0]
    seed_ = b64decode(SUMDB["public_test_signer_key"].split("+", 4)[4])[1:]
    note = parse_note(case["note"].encode())
    assert sign("PeterNeumann", seed_, note.text) == note.signatures[0]


def test_specifications_example() -> None:
    """The specification's own note verifies under its vkey."""
    example = C2SP["signed_note"]
    assert opened(example["note"].encode(), parse_vkey(example["vkey"])) == b"This is an example message.\n"


def test_text_may_have_empty_lines() -> None:
    """The last empty line parts text and signatures; earlier ones belong to the text."""
    assert opened(NOTE, KEY) == TEXT


def test_changed_notes_never_open() -> None:
    """Any small change of a note with one signature is refused by parser or signature."""
    for changed in mutations(NOTE):
        with pytest.raises(NoteError):
            opened(changed, KEY)


def test_parsed_notes_format_to_themselves() -> None:
    """Whatever parses has one spelling."""
    note = signed_note(more=[stranger_line()])
    for changed in mutations(note):
        try:
            parsed = parse_note(changed)
        except NoteError:
            continue
        assert format_note(parsed.text, parsed.signatures) == changed


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "E_NOTE_FORMAT"),
        (b"\n", "E_NOTE_FORMAT"),
        (b"text\n", "E_NOTE_FORMAT"),
        (b"text\n\n", "E_NOTE_FORMAT"),
        (b"text\n\n\n", "E_NOTE_FORMAT"),
        (NOTE[:-1], "E_NOTE_FORMAT"),
        (b"\xff" + NOTE, "E_NOTE_TEXT"),
        (b"\r" + NOTE, "E_NOTE_TEXT"),
        (b"\t" + NOTE, "E_NOTE_TEXT"),
        (b"a\n\nb\n", "E_NOTE_LINE"),
        (b"a\n\n- name AAAAAAA=\n", "E_NOTE_LINE"),
        ("a\n\n— name AAAAAA==\n".encode(), "E_NOTE_LINE"),  # a key id and nothing behind it
        ("a\n\n— name AAAAAAB=\n".encode(), "E_NOTE_LINE"),
        ("a\n\n— na+me AAAAAAA=\n".encode(), "E_NOTE_LINE"),
        ("a\n\n—  AAAAAAA=\n".encode(), "E_NOTE_LINE"),
        ("a\n\n— name  AAAAAAA=\n".encode(), "E_NOTE_LINE"),
        ("a\n\n— name\u00a0x AAAAAAA=\n".encode(), "E_NOTE_LINE"),
        ("a\n\n" + "— name AAAAAAA=\n" * (SIGNATURES_MAX + 1), "E_NOTE_LINES"),
        (b"a" * NOTE_BYTES_MAX + NOTE, "E_NOTE_SIZE"),
    ],
)
def test_malformed_notes_are_refused(data: bytes | str, code: str) -> None:
    """Each way of being malformed has its code."""
    with pytest.raises(NoteError) as caught:
        parse_note(data.encode() if isinstance(data, str) else data)
    assert caught.value.code == code


def test_hundred_signatures_are_taken() -> None:
    """The cap is above the 16 that the specification demands; unknown lines may repeat."""
    note = format_note(TEXT, [stranger_line()] * (SIGNATURES_MAX - 1) + [sign(NAME, SEED, TEXT)])
    assert open_note(parse_note(note), [KEY]).ignored == SIGNATURES_MAX - 1


@pytest.mark.parametrize(
    "line",
    [
        stranger_line(),
        Signature(NAME, b"\x00\x00\x00\x00", b"same name, other id"),
        Signature("other", KEY.key_id, b"same id, other name"),
        Signature(NAME, key_id(NAME, ED25519_COSIGNATURE, KEY.public), b"same key, other type"),
    ],
)
def test_lines_of_unknown_keys_are_ignored(line: Signature) -> None:
    """Neither name nor id alone makes a line known."""
    note = open_note(parse_note(format_note(TEXT, [line, sign(NAME, SEED, TEXT)])), [KEY])
    assert (note.text, note.ignored) == (TEXT, 1)
    with pytest.raises(SignatureError, match="E_NOTE_UNSIGNED"):
        opened(format_note(TEXT, [line]), KEY)


@pytest.mark.parametrize("blob", [b"\x00", bytes(64), bytes(72), sign(NAME, SEED, b"another\n").blob])
def test_one_bad_line_of_a_known_key_refuses_the_whole_note(blob: bytes) -> None:
    """Another key's good signature does not help."""
    other = VerifierKey("b", ED25519, ed25519.public_key(seed("note", "b")))
    good = sign("b", seed("note", "b"), TEXT)
    note = format_note(TEXT, [good, Signature(NAME, KEY.key_id, blob)])
    assert opened(note, other) == TEXT
    with pytest.raises(SignatureError, match="E_NOTE_SIGNATURE"):
        opened(note, other, KEY)


def test_two_lines_of_a_known_key_are_refused() -> None:
    """Otherwise the second one could be anything, or a second time of one cosigner."""
    line = sign(NAME, SEED, TEXT)
    with pytest.raises(SignatureError, match="E_NOTE_TWICE"):
        opened(format_note(TEXT, [line, line]), KEY)


def test_key_of_an_unsupported_type_is_unknown() -> None:
    """An ML-DSA-44 key may be configured; its line is ignored and it never signs for a note."""
    key = VerifierKey("pq", ML_DSA_44_COSIGNATURE, bytes(1312))
    line = Signature("pq", key.key_id, bytes(2428))
    note = open_note(parse_note(format_note(TEXT, [line, sign(NAME, SEED, TEXT)])), [KEY, key])
    assert [one.key for one in note.verified] == [KEY]
    with pytest.raises(SignatureError, match="E_NOTE_UNSIGNED"):
        opened(format_note(TEXT, [line]), key)


def test_cosignature_lines_tell_their_time() -> None:
    """Plain signatures have no time, cosignatures do."""
    line = cosign("w", SEED, TEXT, 1_764_000_000)
    witness = VerifierKey("w", ED25519_COSIGNATURE, KEY.public)
    note = open_note(parse_note(format_note(TEXT, [sign(NAME, SEED, TEXT), line])), [witness, KEY])
    assert [(one.key, one.time_s) for one in note.verified] == [(KEY, None), (witness, 1_764_000_000)]
    assert verify(KEY, TEXT, line) is None
    assert verify(witness, b"another\n", line) is None


def test_same_key_configured_twice_is_one_key() -> None:
    """A key may be known from two places; what cannot be told apart otherwise is our own bug."""
    assert opened(NOTE, KEY, KEY) == TEXT
    assert len(open_note(parse_note(NOTE), [KEY, KEY]).verified) == 1


def test_signature_lines_alone() -> None:
    """A witness's answer is signature lines without a text."""
    lines = [stranger_line(), sign(NAME, SEED, TEXT)]
    assert parse_signatures(b"".join(map(format_signature, lines))) == tuple(lines)
    for wrong in (b"", b"\n", format_signature(lines[0])[:-1], format_signature(lines[0]) + b"\n"):
        with pytest.raises(NoteError):
            parse_signatures(wrong)


def test_world_note_opens_with_all_its_keys() -> None:
    """A checkpoint with a log line, cosignatures and a stranger's line."""
    keys = [log_key("BROKER"), *map(cosigner_key, INSTITUTIONS)]
    note = open_note(parse_note(signed_note(more=[stranger_line()])), keys)
    assert len(note.verified) == 4
    assert note.ignored == 1


def test_signature_line_form() -> None:
    """Em dash, space, name, space, base64 of id and blob, newline."""
    line = Signature("n", b"\x01\x02\x03\x04", b"\x05")
    assert format_signature(line) == f"— n {base64_text(bytes([1, 2, 3, 4, 5]))}\n".encode()
