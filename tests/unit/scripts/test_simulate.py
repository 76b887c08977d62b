"""The simulator's command line: a seed in full, a range, and the exit code."""

import pytest

from scripts import simulate


def test_one_seed_is_told_event_by_event(capsys: pytest.CaptureFixture[str]) -> None:
    """Options first, then one line per event, then the digest."""
    assert simulate.main(["3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Options(")
    assert "LEADER" in " ".join(lines)
    assert "no violation" in lines[-1]
    assert "digest" in lines[-1]


@pytest.mark.parametrize("argv", [[], ["--seeds", "5"], ["--seeds", "5-5"], ["1", "--seeds", "0-1"]])
def test_wrong_arguments_are_refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With the usual exit code of a usage error."""
    with pytest.raises(SystemExit) as caught:
        simulate.main(argv)
    assert caught.value.code == 2
    assert "usage" in capsys.readouterr().err
