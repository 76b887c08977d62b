"""From a file to its commitment."""

import hashlib
from pathlib import Path

import pytest

from scripts.exit_codes import CommandError, Exit
from scripts.opening import commitment_of, make_salt, salt_path


def test_a_salted_commitment_is_what_sha256sum_says_of_salt_and_file(tmp_path: Path) -> None:
    """`cat FILE.salt FILE | sha256sum` is all a court expert needs."""
    file = tmp_path / "a.txt"
    file.write_bytes(b"content")
    salt = make_salt(file)
    assert commitment_of(file) == hashlib.sha256(salt + b"content").digest()
    assert commitment_of(file, salted=False) == hashlib.sha256(b"content").digest()


def test_a_salt_is_made_once_and_kept_private(tmp_path: Path) -> None:
    """A second submission of the same file has the same commitment; others cannot read the salt."""
    file = tmp_path / "a.txt"
    file.write_bytes(b"content")
    assert make_salt(file) == make_salt(file)
    assert salt_path(file).stat().st_mode & 0o777 == 0o600


def test_a_broken_salt_is_refused(tmp_path: Path) -> None:
    """Half a salt must not silently give another commitment."""
    file = tmp_path / "a.txt"
    file.write_bytes(b"content")
    salt_path(file).write_bytes(b"short")
    with pytest.raises(CommandError) as caught:
        commitment_of(file)
    assert caught.value.exit_code == Exit.UNREADABLE


def test_missing_files_are_named(tmp_path: Path) -> None:
    """The error says which file and what it was for."""
    with pytest.raises(CommandError) as caught:
        commitment_of(tmp_path / "none.txt")
    assert "none.txt" in caught.value.message
    with pytest.raises(CommandError) as caught:
        commitment_of(tmp_path / "none.txt", salted=True)
    assert "none.txt.salt" in caught.value.message
