"""How the command line speaks."""

import json

import click
import pytest
from click.testing import CliRunner

from scripts.exit_codes import CommandError, Exit
from scripts.output import command_errors, display_width, emit_json, json_option, table


def test_a_table_counts_chinese_characters_as_two_columns() -> None:
    """Columns stay aligned when names are Chinese."""
    lines = table(["NAME", "N"], [["证券公司", "1"], ["abc", "2"]]).splitlines()
    assert [display_width(line) for line in lines] == [11, 11, 11]


def test_json_is_one_document_with_its_schema_first(capsys: pytest.CaptureFixture[str]) -> None:
    """Scripts find the schema as the first key and Chinese text unescaped."""
    emit_json("tiezheng.x/1", {"name": "铁证"})
    out = capsys.readouterr().out
    assert list(json.loads(out)) == ["schema", "name"]
    assert "铁证" in out


@click.command()
@json_option
@command_errors
def _fails(as_json: bool) -> None:
    raise CommandError(Exit.NOT_FOUND, "no such record", hint="look again", code="E_RECORD_UNKNOWN")


def test_a_failure_is_a_sentence_with_a_way_out_and_an_exit_code() -> None:
    """People read words, the shell reads the number."""
    result = CliRunner().invoke(_fails, [])
    assert result.exit_code == 4
    assert "no such record [E_RECORD_UNKNOWN]" in result.stderr
    assert "way out: look again" in result.stderr
    assert result.stdout == ""


def test_a_failure_with_json_is_one_document() -> None:
    """With --json a failure is data too."""
    result = CliRunner().invoke(_fails, ["--json"])
    document = json.loads(result.stdout)
    assert document["schema"] == "tiezheng.error/1"
    assert (document["exit_code"], document["code"]) == (4, "E_RECORD_UNKNOWN")


def test_interruption_ends_with_130() -> None:
    """Ctrl+C is no failure of the program."""

    @click.command()
    @command_errors
    def interrupted() -> None:
        raise KeyboardInterrupt

    assert CliRunner().invoke(interrupted, []).exit_code == 130


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (FileNotFoundError(2, "No such file or directory", "/none/x"), 4),
        (NotADirectoryError(20, "Not a directory", "/none/x"), 4),
        (PermissionError(13, "Permission denied", "/none/x"), 5),
        (FileExistsError(17, "File exists", "/none/x"), 6),
        (OSError(5, "Input/output error", "/none/x"), 1),
    ],
)
def test_errors_of_the_file_system_are_sentences(error: OSError, exit_code: int) -> None:
    """A path that cannot be used is the caller's to mend: it is named, and no traceback is shown."""

    @click.command()
    @json_option
    @command_errors
    def writes(as_json: bool) -> None:
        raise error

    people = CliRunner().invoke(writes, [])
    assert people.exit_code == exit_code
    assert f"error: /none/x: {error.strerror}" in people.stderr
    script = CliRunner().invoke(writes, ["--json"])
    assert json.loads(script.stdout)["exit_code"] == exit_code


def test_our_own_faults_keep_their_traceback() -> None:
    """What is no error of the caller, the keyboard or the file system must not look like one."""

    @click.command()
    @command_errors
    def broken() -> None:
        raise KeyError("ours")

    assert isinstance(CliRunner().invoke(broken, []).exception, KeyError)
