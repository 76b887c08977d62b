"""The exit codes: one meaning each, and the documentation says the same."""

from pathlib import Path

from scripts.exit_codes import MEANING, CommandError, Exit, exit_code_table, exit_for

PAGE = Path(__file__).parents[3] / "docs" / "exit-codes.md"


def test_every_code_has_a_meaning_in_both_languages() -> None:
    """No number is without words."""
    assert set(MEANING) == set(Exit)
    assert all(english and chinese for english, chinese in MEANING.values())


def test_the_page_holds_the_generated_table() -> None:
    """docs/exit-codes.md is the table of the code, not a memory of it."""
    assert exit_code_table() in PAGE.read_text(encoding="utf-8")


def test_verifier_codes_never_move() -> None:
    """Court tooling acts on these numbers."""
    fixed = {Exit.CONTENT_DIFFERS: 10, Exit.TRUST_NOT_MET: 11, Exit.LOG_CONTRADICTS: 12, Exit.UNREADABLE: 13}
    assert {code: int(code) for code in fixed} == fixed


def test_a_command_error_carries_its_parts() -> None:
    """The entry point needs the code, the sentence and the way out."""
    error = CommandError(Exit.CONFLICT, "exists", hint="another name", code="E_X")
    assert (error.exit_code, error.message, error.hint, error.code) == (
        Exit.CONFLICT,
        "exists",
        "another name",
        "E_X",
    )


def test_errors_of_the_file_system_have_codes_of_their_own() -> None:
    """Also when another room's error was raised from them; everything else gets the caller's default."""
    assert exit_for(FileNotFoundError()) is Exit.NOT_FOUND
    assert exit_for(PermissionError()) is Exit.NOT_ALLOWED
    assert exit_for(FileExistsError()) is Exit.CONFLICT
    assert exit_for(OSError(), Exit.UNREADABLE) is Exit.UNREADABLE
    wrapped = ValueError("a room's own error")
    wrapped.__cause__ = PermissionError()
    assert exit_for(wrapped, Exit.UNREADABLE) is Exit.NOT_ALLOWED
