"""Key files: one spelling, mode 0600, never overwritten, and the public half belongs to the secret."""

import os
from pathlib import Path

import pytest
from mutations import mutations

from ledger import ed25519
from node.errors import KeyFileError
from node.keys import (
    NodeKeys,
    Purpose,
    SigningKey,
    TlsIdentity,
    format_key,
    load_key,
    load_node_keys,
    load_tls,
    new_signing_key,
    parse_key,
    save_key,
    write_secret,
)


def _key(purpose: Purpose = Purpose.LOG, key_id: str = "log-1") -> SigningKey:
    seed = bytes(range(32))
    return SigningKey(purpose, key_id, ed25519.public_key(seed), seed)


def test_a_key_comes_back_from_its_file(tmp_path: Path) -> None:
    """What is written is read, with mode 0600."""
    key = new_signing_key(Purpose.COSIGNER, "c-1")
    save_key(tmp_path / "deep/c.key", key)
    assert load_key(tmp_path / "deep/c.key") == key
    assert (tmp_path / "deep/c.key").stat().st_mode & 0o777 == 0o600
    assert ed25519.verify(key.public, key.sign(b"m"), b"m")


def test_secrets_stay_out_of_representations() -> None:
    """A key in a traceback or in telemetry shows its name and public half only."""
    key = _key()
    assert key.seed.hex() not in repr(key)
    assert repr(key.seed) not in repr(key)
    assert "secret" not in repr(TlsIdentity(b"cert", b"secret"))


def test_every_other_spelling_of_a_key_file_is_refused() -> None:
    """One byte away is no key file, or it is another key whole: never this key under another id or
    purpose.
    """
    text = format_key(_key())
    for changed in mutations(text.encode()):
        try:
            key = parse_key(changed.decode("ascii", errors="replace"), "file")
        except KeyFileError:
            continue
        assert key.seed == _key().seed, "a changed seed no longer has its public key"
        assert (key.purpose, key.key_id) != (Purpose.LOG, "log-1")


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("purpose log", "purpose party", "E_KEY_FILE_PURPOSE"),
        ("alg 1", "alg 2", "E_KEY_FILE_ALGORITHM"),
        ("tiezheng-key 1", "tiezheng-key 2", "E_KEY_FILE_FORMAT"),
        ("public ", "public 0", "E_KEY_FILE_FORMAT"),
        (ed25519.public_key(bytes(range(32))).hex(), "00" * 32, "E_KEY_FILE_PUBLIC"),
    ],
)
def test_refusals_have_their_own_codes(old: str, new: str, code: str) -> None:
    """An operator learns which line is wrong."""
    with pytest.raises(KeyFileError) as caught:
        parse_key(format_key(_key()).replace(old, new), "file")
    assert caught.value.code == code


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    """The words name the command that helps."""
    save_key(tmp_path / "k", _key())
    (tmp_path / "k").chmod(0o640)
    with pytest.raises(KeyFileError, match="chmod 600") as caught:
        load_key(tmp_path / "k")
    assert caught.value.code == "E_KEY_FILE_MODE"


def test_what_is_no_plain_file_is_refused(tmp_path: Path) -> None:
    """Missing, a folder, and something huge."""
    for path, code in ((tmp_path / "none", "E_KEY_FILE_MISSING"), (tmp_path, "E_KEY_FILE_MISSING")):
        with pytest.raises(KeyFileError) as caught:
            load_key(path)
        assert caught.value.code == code
    write_secret(tmp_path / "big", bytes(70_000))
    with pytest.raises(KeyFileError) as caught:
        load_key(tmp_path / "big")
    assert caught.value.code == "E_KEY_FILE_FORMAT"


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    """Losing a key by a typing error must not be possible."""
    save_key(tmp_path / "k", _key())
    with pytest.raises(KeyFileError) as caught:
        save_key(tmp_path / "k", _key())
    assert caught.value.code == "E_KEY_FILE_EXISTS"


def test_a_nodes_keys_are_of_a_nodes_purposes_and_have_different_ids(tmp_path: Path) -> None:
    """A submitter's key among them, or one id twice, is a mix-up."""
    write_secret(tmp_path / "tls.key", b"-----BEGIN PRIVATE KEY-----\n")
    (tmp_path / "tls.crt").write_bytes(b"-----BEGIN CERTIFICATE-----\n")
    tls = (tmp_path / "tls.key", tmp_path / "tls.crt")
    save_key(tmp_path / "a", _key(Purpose.LOG, "log-1"))
    save_key(tmp_path / "b", _key(Purpose.COSIGNER, "log-1"))
    save_key(tmp_path / "c", _key(Purpose.SUBMITTER, "s-1"))
    keys = load_node_keys([tmp_path / "a"], *tls)
    assert isinstance(keys, NodeKeys)
    assert keys.find(Purpose.LOG, "log-1") == _key()
    assert keys.find(Purpose.COSIGNER, "log-1") is None
    for files in (["a", "b"], ["c"]):
        with pytest.raises(KeyFileError) as caught:
            load_node_keys([tmp_path / name for name in files], *tls)
        assert caught.value.code == "E_KEY_FILE_PURPOSE"


def test_a_tls_identity_is_two_pem_files(tmp_path: Path) -> None:
    """The key is a secret file; the certificate is public."""
    write_secret(tmp_path / "k", b"nothing")
    (tmp_path / "c").write_bytes(b"nothing")
    with pytest.raises(KeyFileError) as caught:
        load_tls(tmp_path / "k", tmp_path / "c")
    assert caught.value.code == "E_KEY_FILE_FORMAT"
    with pytest.raises(KeyFileError) as caught:
        load_tls(tmp_path / "k", tmp_path / "none")
    assert caught.value.code == "E_KEY_FILE_MISSING"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_somebody_elses_file_is_refused(tmp_path: Path) -> None:
    """Whoever owns the file can read it, whatever its mode says."""
    save_key(tmp_path / "k", _key())
    os.chown(tmp_path / "k", 12_345, 12_345)
    with pytest.raises(KeyFileError) as caught:
        load_key(tmp_path / "k")
    assert caught.value.code == "E_KEY_FILE_MODE"


def test_the_example_of_the_page_is_a_key() -> None:
    """docs/formats/keys.md shows a file as it is read and written."""
    page = (Path(__file__).parents[3] / "docs/formats/keys.md").read_text("utf-8")
    text = page.split("```text\n")[1].split("```")[0]
    key = parse_key(text, "keys.md")
    assert (key.purpose, key.key_id) == (Purpose.COSIGNER, "broker-1-cosigner")
    assert format_key(key) == text
