"""The node's errors carry stable codes, and its exit codes are those of the command line."""

import pytest

from node import errors
from node.errors import ExitCode, NodeError
from scripts.exit_codes import Exit


def test_an_error_shows_code_and_words() -> None:
    """Machines read the code, people the message."""
    error = errors.ConfigError("E_CONFIG_VALUE", "too small")
    assert (error.code, error.message, str(error)) == (
        "E_CONFIG_VALUE",
        "too small",
        "E_CONFIG_VALUE: too small",
    )


@pytest.mark.parametrize("code", ["", "CONFIG", "e_config", "E_", "E_A-B", "E_A_"])
def test_a_code_of_another_shape_is_our_bug(code: str) -> None:
    """Codes are grepped for, so their shape is fixed."""
    with pytest.raises(AssertionError):
        NodeError(code, "words")


def test_exit_codes_agree_with_the_command_line() -> None:
    """One table of numbers for the whole program."""
    same = {
        "OK": "OK",
        "FAILURE": "FAILURE",
        "USAGE": "USAGE",
        "HALTED": "NODE_HALTED",
        "DISK_FAILED": "DISK_FAILED",
    }
    assert {name: int(Exit[other]) for name, other in same.items()} == {
        code.name: int(code) for code in ExitCode
    }
