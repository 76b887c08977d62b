"""Tests written as text: a command, a separator, the exact output.

    # A sentence of intent opens the file.
    command and its arguments
    ----
    the output, up to the next blank line

`run_file` runs every command and compares; with REWRITE=1 in the environment it writes the outputs that the code
gives now. Commit such a change only if you can explain every line of it.

Refuses: files that do not open with a comment, and commands without a separator: a scenario that says nothing, or
checks nothing, is a mistake.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Case:
    """One command with its comment lines, expected output, and the line it stands on."""

    comments: tuple[str, ...]
    command: str
    expected: str
    line: int


def parse(path: Path) -> tuple[list[Case], tuple[str, ...]]:
    """The cases of a file, and the comment lines that may follow the last one."""
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines, f"{path.name} is empty"
    assert lines[0].startswith("# "), f"{path.name} opens with a sentence of intent"
    cases: list[Case] = []
    comments: list[str] = []
    at = 0
    while at < len(lines):
        text = lines[at]
        if not text or text.startswith("#"):
            comments.append(text)
            at += 1
            continue
        assert at + 1 < len(lines), f"{path.name}:{at + 1}: the last command has no separator"
        assert lines[at + 1] == "----", f"{path.name}:{at + 1}: a command is followed by ----"
        end = at + 2
        while end < len(lines) and lines[end]:
            end += 1
        cases.append(Case(tuple(comments), text, "\n".join(lines[at + 2 : end]), at + 1))
        comments = []
        at = end
    return cases, tuple(comments)


def run_file(path: Path, run: Callable[[str], str]) -> None:
    """Run the commands of `path` in order through `run`, which answers each one's output."""
    cases, rest = parse(path)
    rewrite = os.environ.get("REWRITE") == "1"
    written: list[str] = []
    for case in cases:
        output = run(case.command).strip("\n") or "ok"
        assert "\n\n" not in output, f"{path.name}:{case.line}: output has a blank line, which would end it"
        if not rewrite:
            place = f"{path.name}:{case.line}: {case.command}"
            assert output == case.expected, f"{place}\n--- expected\n{case.expected}\n--- got\n{output}"
        written.extend((*case.comments, case.command, "----", output))
    if rewrite:
        path.write_text("\n".join((*written, *rest)).rstrip("\n") + "\n", encoding="utf-8")
