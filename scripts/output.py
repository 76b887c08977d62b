"""How the command line speaks: data on standard output, notes on standard error, one JSON document on request.

Why: people read tables, scripts read JSON, and neither should have to guess. Every command takes `--json` and then
prints exactly one document whose first key is `schema`, with all keys always present; a failure prints one
document too, with schema `tiezheng.error/1`, so that a script never has to parse words.

Refuses: secrets. Nothing here reads a key file's content.
"""

import functools
import json
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ParamSpec, TypeVar

import click

from scripts.exit_codes import CommandError, Exit, exit_for

P = ParamSpec("P")
R = TypeVar("R")

_FILE_HINTS = {
    Exit.NOT_FOUND: "look at the path: every folder in it must exist, and be a folder",
    Exit.NOT_ALLOWED: "run it as the user to whom the files belong, or name another place",
    Exit.CONFLICT: "nothing is written over; name another place",
}


def json_option(function: Callable[P, R]) -> Callable[P, R]:
    """Give a click command the `--json` flag, passed on as the argument `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(function)


def emit_json(schema: str, document: dict[str, Any]) -> None:
    """Print one JSON document to standard output; `schema` looks like ``tiezheng.status/1``."""
    assert "schema" not in document, "the schema key is set here"
    sys.stdout.write(json.dumps({"schema": schema, **document}, ensure_ascii=False, indent=2) + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """Print a line of data to standard output."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """Print a line for the person watching (progress, hints) to standard error."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def display_width(text: str) -> int:
    """Return how many terminal columns `text` takes: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out rows under a header in columns; cells are strings already."""
    grid = [list(header), *[list(row) for row in rows]]
    widths = [max(display_width(row[i]) for row in grid) for i in range(len(header))]
    lines = []
    for row in grid:
        cells = [cell + " " * (widths[i] - display_width(cell)) for i, cell in enumerate(row)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def report_error(error: CommandError, *, as_json: bool) -> None:
    """Print a failure: the sentence, its code, the way out."""
    if as_json:
        emit_json(
            "tiezheng.error/1",
            {
                "exit_code": int(error.exit_code),
                "exit_name": error.exit_code.name,
                "code": error.code,
                "message": error.message,
                "hint": error.hint,
            },
        )
        return
    note(f"error: {error.message}" + (f" [{error.code}]" if error.code else ""))
    if error.hint:
        note(f"  way out: {error.hint}")


def file_error(error: OSError) -> CommandError:
    """Return what an error of the file system means to the person at the command line."""
    exit_code = exit_for(error)
    words = error.strerror or str(error)
    message = f"{error.filename}: {words}" if error.filename else words
    return CommandError(exit_code, message, hint=_FILE_HINTS.get(exit_code, ""))


def command_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Turn `CommandError`, errors of the file system and interruption into messages and exit codes.

    Wraps a click command's body. Every other exception is a fault of ours and keeps its traceback.
    """

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except CommandError as error:
            report_error(error, as_json=bool(kwargs.get("as_json")))
            sys.exit(int(error.exit_code))
        except KeyboardInterrupt:
            note("interrupted")
            sys.exit(int(Exit.INTERRUPTED))
        except BrokenPipeError:
            sys.stderr.close()
            sys.exit(int(Exit.FAILURE))
        except OSError as error:
            told = file_error(error)
            report_error(told, as_json=bool(kwargs.get("as_json")))
            sys.exit(int(told.exit_code))

    return wrapped
