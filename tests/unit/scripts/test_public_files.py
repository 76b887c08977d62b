"""Public files: readable, compared by fingerprint, never written over."""

import hashlib
from pathlib import Path

import pytest

from node.keys import Purpose, new_signing_key
from scripts.exit_codes import CommandError, Exit
from scripts.public_files import key_document, write_public


def test_the_fingerprint_is_that_of_the_file(tmp_path: Path) -> None:
    """`sha256sum FILE` says what the command said."""
    key = new_signing_key(Purpose.GOVERNANCE, "x-gov")
    said = write_public(tmp_path / "x.json", "tiezheng.key/1", key_document(key))
    data = (tmp_path / "x.json").read_bytes()
    assert said == hashlib.sha256(data).hexdigest()
    assert key.seed.hex() not in data.decode()


def test_a_second_write_is_refused(tmp_path: Path) -> None:
    """What somebody has compared stays as it was."""
    write_public(tmp_path / "x.json", "tiezheng.key/1", {})
    with pytest.raises(CommandError) as caught:
        write_public(tmp_path / "x.json", "tiezheng.key/1", {"other": 1})
    assert caught.value.exit_code == Exit.CONFLICT
