"""The program's entry point."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from scripts import cli
from scripts.cli import _COMMANDS, tiezheng


def test_the_overview_names_every_command_without_importing_it() -> None:
    """`tiezheng --help` works on a machine that has neither gRPC nor a database."""
    code = (
        "import sys; from click.testing import CliRunner; from scripts.cli import tiezheng;"
        "r = CliRunner().invoke(tiezheng, ['--help']); print(r.output);"
        "sys.exit(r.exit_code or ('grpc' in sys.modules) or ('sqlalchemy' in sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert all(name in run.stdout for name in _COMMANDS)


def test_every_command_can_be_imported_and_explains_itself() -> None:
    """No name in the table leads nowhere."""
    for name in _COMMANDS:
        result = CliRunner().invoke(tiezheng, [name, "--help"])
        assert result.exit_code == 0, (name, result.output)


def test_optimised_python_is_refused() -> None:
    """Assertions are part of the product."""
    run = subprocess.run(
        [sys.executable, "-O", "-m", "scripts.cli", "version"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 2
    assert "-O" in run.stderr


def _main(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["tiezheng", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_a_wrong_command_line_is_one_document_where_one_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script that asked for JSON reads JSON, also about its own mistake."""
    assert _main(monkeypatch, "verify", "--json") == 2
    document = json.loads(capsys.readouterr().out)
    assert (document["schema"], document["exit_name"]) == ("tiezheng.error/1", "USAGE")
    assert "FILE" in document["message"]
    assert _main(monkeypatch, "verify") == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Usage: tiezheng verify" in shown.err


def test_exit_codes_pass_through(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """0 for an answer, a command's own code for its refusal, 2 for no command at all."""
    assert _main(monkeypatch, "--version") == 0
    assert capsys.readouterr().out.startswith("tiezheng ")
    assert _main(monkeypatch, "status", "--data", "/nowhere") == 4
    assert _main(monkeypatch) == 2


def test_ctrl_c_before_a_command_runs_ends_with_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Importing takes a second; who is quicker than that has interrupted all the same."""

    def impatient(_name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("scripts.cli.importlib.import_module", impatient)
    assert _main(monkeypatch, "status") == 130
    assert "interrupted" in capsys.readouterr().err
