"""The gate: one command that says whether the tree may go on (`make test`; `make check` for the quick part).

Everything else (continuous integration, hooks, habits) only calls this, so that there is one answer. The
steps run in order of speed, all of them even after a failure, and each failed step shows its own output; at
the end stands a list with durations. The exit code is 0 only if every step passed.

It refuses nothing and repairs nothing: `ruff format .` and `ruff check --fix .` are yours to run.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
Runner = Callable[[Sequence[str]], int]
"""Runs a command in the root and gives its exit code."""

WORKERS_MAX = 2
"""Test workers; more would make the tests with real processes compete for the machine they measure."""


@dataclass(frozen=True, slots=True)
class Step:
    """One part of the gate: a name to call it by, what it shows, and the command (run in the root)."""

    name: str
    shows: str
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a step went: its exit code and its duration in seconds."""

    step: Step
    code: int
    seconds: float


def steps(*, fast: bool, python: str = sys.executable) -> tuple[Step, ...]:
    """The steps in order; `fast` leaves out what is marked slow and the tests of whole networks."""
    module = (python, "-m")
    tests = [*module, "pytest", "-q", "-n", str(min(WORKERS_MAX, os.cpu_count() or 1)), "--dist", "loadgroup"]
    if fast:
        tests += ["-m", "not slow", "--ignore=tests/e2e"]
    return (
        Step(
            "format",
            "every file as the formatter writes it",
            (*module, "ruff", "format", "--check", "."),
        ),
        Step("lint", "no finding of the linter", (*module, "ruff", "check", "-q", ".")),
        Step(
            "protos",
            "committed stubs are what the .proto files give",
            (*module, "scripts.gen_protos", "--check"),
        ),
        Step("types", "mypy strict, no error", (*module, "mypy", "--strict")),
        Step("tests", "the tests" + (", quick ones" if fast else ""), tuple(tests)),
    )


def run_step(step: Step, command_runner: Runner) -> Outcome:
    """Run one step and time it."""
    print(f"-- {step.name}: {' '.join(step.command[1:])}", flush=True)
    started = time.monotonic()
    code = command_runner(step.command)
    return Outcome(step, code, time.monotonic() - started)


def summary(outcomes: Sequence[Outcome]) -> str:
    """The closing list, one line per step, and a last line that says it all."""
    lines = [
        f"{'ok  ' if outcome.code == 0 else 'FAIL'}  {outcome.step.name:<7} {outcome.seconds:7.1f} s  "
        f"{outcome.step.shows}"
        for outcome in outcomes
    ]
    failed = [outcome.step.name for outcome in outcomes if outcome.code != 0]
    total = sum(outcome.seconds for outcome in outcomes)
    verdict = f"failed: {', '.join(failed)}" if failed else "all passed"
    return "\n".join([*lines, f"gate: {verdict} ({len(outcomes)} steps, {total:.0f} s)"])


def _run_in_root(command: Sequence[str]) -> int:
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def main(arguments: list[str] | None = None, command_runner: Runner = _run_in_root) -> int:
    """Run the gate or the named steps; returns 0 if all passed, 1 if one failed."""
    names = [step.name for step in steps(fast=False)]
    parser = argparse.ArgumentParser(
        prog="check", description="The gate: format, lint, protos, types, tests."
    )
    parser.add_argument("--only", action="append", choices=names, metavar="STEP", help=", ".join(names))
    parser.add_argument("--fast", action="store_true", help="leave out slow tests and whole networks")
    options = parser.parse_args(arguments)
    chosen = [step for step in steps(fast=options.fast) if not options.only or step.name in options.only]
    outcomes = [run_step(step, command_runner) for step in chosen]
    print(summary(outcomes), flush=True)
    return 1 if any(outcome.code for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
