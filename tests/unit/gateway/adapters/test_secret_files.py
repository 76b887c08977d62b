"""Secrets on disk."""

from pathlib import Path

import ledger_world as world
import pytest
from gateway_nodes import identity
from gateway_world import key_file, write_private

from gateway.adapters.secret_files import load_submitter, load_tls, read_cert, read_secret
from gateway.errors import ConfigError
from ledger.envelope import parse_envelope, verify_envelope

CHAIN = "test-00c0ffee"


def test_the_submitters_key_makes_envelopes_that_verify(tmp_path: Path) -> None:
    """The seed in the file signs for the chain, the institution and the key id of the file."""
    path = tmp_path / "submitter.key"
    write_private(path, key_file("submitter", "gateway-1", world.seed("gw")))
    key = load_submitter(path, CHAIN, "BROKER")
    envelope = parse_envelope(key.seal(world.leaves(0, 3)))
    assert (envelope.institution, envelope.key_id, envelope.count) == ("BROKER", "gateway-1", 3)
    verify_envelope(envelope, CHAIN, world.public("gw"))
    assert world.seed("gw").hex() not in repr(key)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nonsense", "not a tiezheng key file"),
        (key_file("cosigner", "gateway-1", world.seed("gw")), "holds a cosigner key"),
        (key_file("submitter", "gateway-1", world.seed("gw")).replace("alg 1", "alg 2"), "submitter key"),
        (
            key_file("submitter", "gateway-1", world.seed("gw")).replace("\nid ", "\n id "),
            "not a tiezheng key file",
        ),
        (
            key_file("submitter", "gateway-1", world.seed("gw")).replace(
                world.seed("gw").hex(), world.seed("other").hex()
            ),
            "not the seed's",
        ),
    ],
)
def test_a_wrong_key_file_is_refused(tmp_path: Path, text: str, words: str) -> None:
    """Another purpose, algorithm, spelling, or a file pieced together from two."""
    write_private(tmp_path / "k", text)
    with pytest.raises(ConfigError, match=words) as caught:
        load_submitter(tmp_path / "k", CHAIN, "BROKER")
    assert world.seed("gw").hex() not in str(caught.value)


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """Mode 0640 is one bit too many; the words say what to do."""
    path = tmp_path / "k"
    write_private(path, b"secret")
    assert read_secret(path) == b"secret"
    path.chmod(0o640)
    with pytest.raises(ConfigError, match=r"E_SECRET_MODE.*chmod 600"):
        read_secret(path)


def test_missing_and_strange_files_are_told_apart(tmp_path: Path) -> None:
    """A missing file, a folder, a huge file."""
    with pytest.raises(ConfigError, match="E_SECRET_MISSING"):
        read_secret(tmp_path / "none")
    with pytest.raises(ConfigError, match="E_SECRET_"):
        read_secret(tmp_path)
    write_private(tmp_path / "huge", b"x" * 70_000)
    with pytest.raises(ConfigError, match="E_SECRET_FORMAT"):
        read_secret(tmp_path / "huge")


def test_tls_identity_and_certificates(tmp_path: Path) -> None:
    """PEM of both; anything else is refused, and the key never shows."""
    tls = identity("gateway-1")
    write_private(tmp_path / "tls.key", tls.key_pem)
    (tmp_path / "tls.crt").write_bytes(tls.cert_pem)
    loaded = load_tls(tmp_path / "tls.crt", tmp_path / "tls.key")
    assert (loaded.cert_pem, loaded.key_pem) == (tls.cert_pem, tls.key_pem)
    assert "PRIVATE" not in repr(loaded)
    with pytest.raises(ConfigError, match="E_TLS_CERT"):
        read_cert(tmp_path / "tls.key")
    with pytest.raises(ConfigError, match="E_TLS_CERT"):
        read_cert(tmp_path / "none")
    write_private(tmp_path / "bad.key", b"not a key")
    with pytest.raises(ConfigError, match="E_SECRET_FORMAT"):
        load_tls(tmp_path / "tls.crt", tmp_path / "bad.key")
