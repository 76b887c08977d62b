"""The environment is made anew when its ground changed, and left alone when nothing did."""

import subprocess
from pathlib import Path

import pytest

from scripts.setup import environment


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A tree with the two files that an environment is made from."""
    (tmp_path / environment.LOCK).write_text("a==1\n")
    (tmp_path / environment.PROJECT).write_text("[project]\n")
    return tmp_path


@pytest.fixture(autouse=True)
def _no_real_venv(monkeypatch: pytest.MonkeyPatch) -> None:
    """Making a real environment is seen in the setup itself; here a folder with a file stands for it."""

    def create(folder: Path, **_: object) -> None:
        (folder / "bin").mkdir(parents=True)
        (folder / "bin/python").touch()

    monkeypatch.setattr("scripts.setup.environment.venv.create", create)


def prepared(root: Path) -> list[str]:
    """Run setup; give the last argument of every command that it ran."""
    commands: list[list[str]] = []
    environment.prepare(root, commands.append)
    return [command[-1] for command in commands]


def test_first_run_installs_lock_then_project(root: Path) -> None:
    """A fresh tree gets the locked packages with hashes and without resolving, then itself, then a check."""
    commands: list[list[str]] = []
    environment.prepare(root, commands.append)
    lock, project, check = commands
    assert {"--require-hashes", "--no-deps"} <= set(lock)
    assert lock[-1] == str(root / environment.LOCK)
    assert {"--no-deps", "--no-build-isolation", "-e"} <= set(project)
    assert check[-1] == "check"


def test_second_run_does_nothing(root: Path) -> None:
    """With nothing changed no command is run, so no network is needed."""
    prepared(root)
    assert prepared(root) == []


def test_changed_project_is_installed_again_alone(root: Path) -> None:
    """A changed pyproject.toml keeps the installed packages."""
    prepared(root)
    marker = root / ".venv/installed-before"
    marker.touch()
    (root / environment.PROJECT).write_text("[project]\nname='x'\n")
    assert prepared(root) == [str(root), "check"]
    assert marker.exists()


def test_changed_lock_starts_from_nothing(root: Path) -> None:
    """A changed lock leaves nothing of the old environment behind."""
    prepared(root)
    marker = root / ".venv/installed-before"
    marker.touch()
    (root / environment.LOCK).write_text("a==2\n")
    assert prepared(root) == [str(root / environment.LOCK), str(root), "check"]
    assert not marker.exists()


def test_copied_tree_gets_an_environment_of_its_own(root: Path, tmp_path: Path) -> None:
    """An environment copied along with its tree still points at the old folder, so it is made anew."""
    prepared(root)
    copy = tmp_path / "copy"
    for name in (environment.LOCK, environment.PROJECT, environment.STAMP, ".venv/bin/python"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes((root / name).read_bytes())
    assert str(copy / environment.LOCK) in prepared(copy)


def test_interrupted_setup_is_not_taken_for_a_finished_one(root: Path) -> None:
    """When a step fails no stamp stays, and the next run begins anew."""

    def fail(command: list[str]) -> None:
        raise subprocess.CalledProcessError(1, command)

    with pytest.raises(subprocess.CalledProcessError):
        environment.prepare(root, fail)
    assert environment.present_stamp(root) is None
    assert len(prepared(root)) == 3


@pytest.mark.parametrize("text", ["", "base\n", "base x\n", "nonsense"])
def test_damaged_stamp_counts_as_none(root: Path, text: str) -> None:
    """A stamp that cannot be read leads to a new environment, not to an error."""
    prepared(root)
    (root / environment.STAMP).write_text(text)
    assert environment.present_stamp(root) is None
