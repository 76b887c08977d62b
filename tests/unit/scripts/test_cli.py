"""The program's entry point."""

import subprocess
import sys

from click.testing import CliRunner

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
