"""The lock files hold hashes, name no index and no path, and agree with each other and pyproject.toml."""

import re
import tomllib
from pathlib import Path

import pytest

from scripts.setup import lock

ROOT = Path(__file__).resolve().parents[4]
PIN = re.compile(r"^([a-z0-9-]+)==([^ ;]+)(?: ; [^\\]+)? \\$", re.MULTILINE)


def pins(name: str) -> dict[str, str]:
    """Package -> version of a lock file."""
    return dict(PIN.findall((ROOT / name).read_text()))


def required(names: list[str]) -> set[str]:
    """The bare names of requirement lines."""
    return {re.split(r"[\[<>=~!]", name, maxsplit=1)[0].lower() for name in names}


@pytest.mark.parametrize("name", [lock.DEV_LOCK, lock.RUNTIME_LOCK])
def test_every_pin_has_hashes_and_no_address(name: str) -> None:
    """Each package is followed by at least one SHA-256, and no line holds an address or a path."""
    text = (ROOT / name).read_text()
    blocks = re.split(r"^(?=[a-z0-9-]+==)", text, flags=re.MULTILINE)[1:]
    assert len(blocks) == len(pins(name)) > 20
    assert all("--hash=sha256:" in block for block in blocks)
    assert not re.search(r"https?:|file:|--index|--find-links|^/", text, re.MULTILINE)


def test_the_locks_agree() -> None:
    """What an institution installs is a part of what the gate is run with, version for version."""
    assert pins(lock.RUNTIME_LOCK).items() <= pins(lock.DEV_LOCK).items()


def test_the_locks_hold_what_the_project_asks_for() -> None:
    """Every direct dependency is pinned; tools of the gate are in the larger file only."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    runtime = required(project["project"]["dependencies"])
    for extra in project["project"]["optional-dependencies"].values():
        runtime |= required(extra)
    dev = required(project["dependency-groups"]["dev"])
    assert runtime <= pins(lock.RUNTIME_LOCK).keys()
    assert runtime | dev <= pins(lock.DEV_LOCK).keys()
    assert not dev & pins(lock.RUNTIME_LOCK).keys()


def test_present_pins_stay_unless_asked() -> None:
    """Only --upgrade lets the resolver move versions, and hashes are always written."""
    kept = lock.resolver_commands("uv", upgrade=False)
    moved = lock.resolver_commands("uv", upgrade=True)
    assert not any("--upgrade" in command for command in kept)
    assert all("--upgrade" in command for command in moved)
    assert all(
        "--generate-hashes" in command and "--no-emit-index-url" in command for command in kept + moved
    )
