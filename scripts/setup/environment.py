"""The virtual environment `.venv`: installed from the lock with every hash checked, the project editable.

Why a stamp and not file times: a clone, a copy or a checkout changes times, and a copied environment still
points at the folder it came from. The stamp holds digests of what the environment was made from; it is
written last, so that an interrupted setup is never mistaken for a finished one.

- Another lock, interpreter or folder: the environment is made anew, so nothing stays behind from before.
- Only pyproject.toml changed: the project is installed again, in a second or two.
- Nothing changed: nothing is done, and no network is needed.
"""

import hashlib
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

LOCK = "requirements-dev.lock"
PROJECT = "pyproject.toml"
STAMP = ".venv/setup.stamp"


@dataclass(frozen=True, slots=True)
class Stamp:
    """What an environment was made from: two hex digests."""

    base: str  # the lock, the interpreter and the folder
    project: str  # pyproject.toml

    def text(self) -> str:
        """The stamp as a file's content."""
        return f"base {self.base}\nproject {self.project}\n"


def wanted_stamp(root: Path, interpreter: str = sys.version + sys.base_prefix) -> Stamp:
    """The stamp of an environment that fits the tree at `root`. Raises OSError when a file is missing."""
    base = hashlib.sha256()
    for part in ((root / LOCK).read_bytes(), interpreter.encode(), str(root.resolve()).encode()):
        base.update(len(part).to_bytes(8, "big") + part)
    return Stamp(base.hexdigest(), hashlib.sha256((root / PROJECT).read_bytes()).hexdigest())


def present_stamp(root: Path) -> Stamp | None:
    """The stamp of the environment that is there; None if there is none, or an unfinished or broken one."""
    try:
        lines = dict(line.split(" ", 1) for line in (root / STAMP).read_text("ascii").splitlines())
        stamp = Stamp(lines["base"], lines["project"])
    except (OSError, ValueError, KeyError):
        return None
    return stamp if (root / ".venv/bin/python").exists() else None


def prepare(root: Path, run: Callable[[list[str]], None] | None = None) -> None:
    """Bring `.venv` under `root` up to date.

    Raises CalledProcessError when a step fails; the stamp is then absent, and the next call begins anew.
    """
    wanted, present = wanted_stamp(root), present_stamp(root)
    if wanted == present:
        return
    run = run or _run
    started = time.monotonic()
    python = str(root / ".venv/bin/python")
    (root / STAMP).unlink(missing_ok=True)
    if present is None or present.base != wanted.base:
        print(f"setup: new environment .venv, Python {sys.version.split()[0]}", flush=True)
        shutil.rmtree(root / ".venv", ignore_errors=True)
        venv.create(root / ".venv", with_pip=True, symlinks=True)
        print(f"setup: installing {LOCK}, hashes checked", flush=True)
        # --no-deps: the lock is complete, so pip has nothing to resolve and nothing unlisted can come in.
        run([*_pip(python), "install", "--require-hashes", "--no-deps", "-r", str(root / LOCK)])
    print("setup: installing tiezheng itself, editable", flush=True)
    run([*_pip(python), "install", "--no-deps", "--no-build-isolation", "-e", str(root)])
    run([*_pip(python), "check"])
    (root / STAMP).write_text(wanted.text(), "ascii")
    print(f"setup: ready in {time.monotonic() - started:.0f} s", flush=True)


def _pip(python: str) -> list[str]:
    return [python, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True)
