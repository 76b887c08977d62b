"""Both verifiers as programs with files, in this process: each one's exit code for a receipt, a trust file and a digest.

The second verifier's Ed25519 is plain Python; its answers are pure, so they are remembered by (key, message, signature),
which lets a test ask ten thousand times.
"""

import contextlib
import functools
import io
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from scripts import second_verify
from scripts.cmd_verify import verify


class Verifiers:
    """Both programs over one folder."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Use `folder` for the files; `monkeypatch` puts the memory in and takes it out again."""
        self.receipt = folder / "receipt.tlog-proof"
        self.trust = folder / "policy.txt"
        self._monkeypatch = monkeypatch
        self._runner = CliRunner()
        for name in ("ed25519_verifies", "is_public_key"):
            monkeypatch.setattr(second_verify, name, functools.cache(getattr(second_verify, name)))

    def codes(self, receipt: bytes, trust: bytes, digest: str) -> tuple[int, int]:
        """The exit codes of the first and of the second verifier."""
        self.receipt.write_bytes(receipt)
        self.trust.write_bytes(trust)
        arguments = [str(self.receipt), "--policy", str(self.trust), f"--digest={digest}"]
        return self.first(arguments), self.second(arguments)

    def first(self, arguments: Sequence[str]) -> int:
        """The exit code of `tiezheng verify`; an exception that is not an exit is the test's."""
        result = self._runner.invoke(verify, list(arguments))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        verdicts = result.stdout.count("VALID")
        assert verdicts == (1 if result.exit_code in (0, 10, 11, 13) else 0), result.output
        return result.exit_code

    def second(self, arguments: Sequence[str]) -> int:
        """The exit code of second_verify.py."""
        self._monkeypatch.setattr(sys, "argv", ["second_verify.py", *arguments])
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
            try:
                code = second_verify.main()
            except SystemExit as usage:  # argparse ends the program itself
                return int(usage.code or 0)
        assert out.getvalue().count("VERDICT") == 1, out.getvalue()
        return code
