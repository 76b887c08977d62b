"""The simulator's command line: a seed in full, a range, failures with their reproduction, and the exit code."""

import sys

import pytest

from scripts import simulate
from tests.simulation.oracles import ViolationError
from tests.simulation.world import World


@pytest.fixture(autouse=True)
def _leave_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command prepares the path for itself and its workers; other tests keep theirs."""
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.setattr(sys, "path", list(sys.path))


def test_one_seed_is_told_event_by_event(capsys: pytest.CaptureFixture[str]) -> None:
    """Options first, then one line per event, then the digest."""
    assert simulate.main(["3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Options(")
    assert "LEADER" in " ".join(lines)
    assert "no violation" in lines[-1]
    assert "digest" in lines[-1]


def test_a_range_tells_its_progress_and_what_was_met(capsys: pytest.CaptureFixture[str]) -> None:
    """In one process, and in workers."""
    assert simulate.main(["--seeds", "0-3"]) == 0
    alone = capsys.readouterr().out
    assert "3/3 seeds" in alone
    assert "0 failures" in alone
    assert "leaders" in alone
    assert simulate.main(["--seeds", "0-3", "--jobs", "2"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == alone.splitlines()[-1]


def test_a_failure_is_told_with_its_reproduction(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line per failing seed, and exit code 1."""

    def broken(self: World) -> None:
        raise ViolationError(f"I1: seed {self.seed} has two leaders")

    monkeypatch.setattr(World, "run", broken)
    assert simulate.main(["--seeds", "5-7"]) == 1
    told = capsys.readouterr().out
    assert "FAILED python -m scripts.simulate 5    # I1: seed 5 has two leaders" in told
    assert "2 failures" in told
    assert simulate.main(["6"]) == 1


@pytest.mark.parametrize("argv", [[], ["--seeds", "5"], ["--seeds", "5-5"], ["1", "--seeds", "0-1"]])
def test_wrong_arguments_are_refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With the usual exit code of a usage error."""
    with pytest.raises(SystemExit) as caught:
        simulate.main(argv)
    assert caught.value.code == 2
    assert "usage" in capsys.readouterr().err
