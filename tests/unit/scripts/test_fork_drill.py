"""The fork drill claims nothing that it did not see; the drill itself runs in the end-to-end tests."""

from pathlib import Path

import pytest

from scripts import fork_drill
from scripts.exit_codes import CommandError


def test_no_evidence_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that swallows a double signature fails the drill."""
    monkeypatch.setattr(fork_drill, "_NOTICE_TIMEOUT_S", 0.2)
    with pytest.raises(CommandError, match="no evidence appeared"):
        fork_drill._wait_for_evidence(tmp_path / "evidence")


def test_evidence_is_found(tmp_path: Path) -> None:
    """The file's name is what the drill shows."""
    (tmp_path / "a.txt").write_text("both signatures", encoding="utf-8")
    assert fork_drill._wait_for_evidence(tmp_path).name == "a.txt"
