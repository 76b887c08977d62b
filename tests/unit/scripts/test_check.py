"""The gate runs every step, tells which failed, and fails if one did."""

from collections.abc import Sequence

import pytest

from scripts import check


def runner(codes: dict[str, int], seen: list[str]) -> check.Runner:
    """A runner that starts nothing; `codes` gives the exit code of the tools named in it."""

    def run(command: Sequence[str]) -> int:
        tool = command[2]
        seen.append(tool)
        return codes.get(tool, 0)

    return run


def test_all_steps_run_and_pass(capsys: pytest.CaptureFixture[str]) -> None:
    """With every tool content the gate returns 0 and lists each step with its duration."""
    seen: list[str] = []
    assert check.main([], runner({}, seen)) == 0
    assert seen == ["ruff", "ruff", "scripts.gen_protos", "mypy", "pytest"]
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("gate: all passed (5 steps")


def test_one_failure_fails_the_gate_and_the_rest_still_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """A failed step is named at the end, and the steps behind it have run."""
    seen: list[str] = []
    assert check.main([], runner({"mypy": 2}, seen)) == 1
    assert seen[-1] == "pytest"
    out = capsys.readouterr().out
    assert "FAIL  types" in out
    assert "gate: failed: types" in out


def test_only_runs_the_named_steps() -> None:
    """--only may be given several times; the order stays the gate's."""
    seen: list[str] = []
    assert check.main(["--only", "types", "--only", "lint"], runner({}, seen)) == 0
    assert seen == ["ruff", "mypy"]


def test_unknown_step_is_refused() -> None:
    """A misspelt step is an error, not an empty run that passes."""
    with pytest.raises(SystemExit) as stopped:
        check.main(["--only", "typos"], runner({}, []))
    assert stopped.value.code == 2


def test_fast_leaves_out_slow_tests_only() -> None:
    """--fast changes the test step and no other."""
    quick, whole = check.steps(fast=True), check.steps(fast=False)
    assert [step.name for step in quick] == [step.name for step in whole]
    assert [step.command for step in quick[:-1]] == [step.command for step in whole[:-1]]
    assert quick[-1].command[-3:] == ("-m", "not slow", "--ignore=tests/e2e")
    assert whole[-1].command == quick[-1].command[:-3]
