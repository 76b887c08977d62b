"""Setup asks the machine for what is missing and for nothing else, and never more than it may."""

from dataclasses import replace

import pytest

from scripts.setup import system

READY = system.Machine(
    python=(3, 11),
    debian_python=True,
    venv=True,
    plyvel_wheel=True,
    leveldb=False,
    compiler=False,
    python_headers=False,
)


@pytest.mark.parametrize(
    ("machine", "packages"),
    [
        (READY, ()),
        (replace(READY, venv=False), ("python3.11-venv",)),
        (
            replace(READY, python=(3, 13), plyvel_wheel=False),
            ("libleveldb-dev", "g++", "python3.13-dev"),
        ),
        (
            replace(READY, python=(3, 13), plyvel_wheel=False, debian_python=False, compiler=True),
            ("libleveldb-dev",),
        ),
        (replace(READY, plyvel_wheel=False, leveldb=True, compiler=True, python_headers=True), ()),
    ],
)
def test_missing_packages(machine: system.Machine, packages: tuple[str, ...]) -> None:
    """A Python with plyvel's wheel needs no compiler; another needs LevelDB, a compiler and headers."""
    assert system.missing_packages(machine) == packages


def test_a_ready_machine_is_left_alone() -> None:
    """With nothing missing, nothing is run, whoever we are."""
    commands: list[list[str]] = []
    system.prepare(READY, root=True, apt="apt-get", run=commands.append)
    assert commands == []


def test_root_installs_only_what_is_missing() -> None:
    """As root, apt-get is asked for the missing packages without recommendations and without questions."""
    commands: list[list[str]] = []
    system.prepare(replace(READY, venv=False), root=True, apt="apt-get", run=commands.append)
    assert commands[0][-1] == "update"
    assert commands[1][-3:] == ["--yes", "--no-install-recommends", "python3.11-venv"]


def test_others_are_told_what_to_type() -> None:
    """Without root nothing is run; the message holds the command."""
    commands: list[list[str]] = []
    with pytest.raises(system.SystemLacksError, match=r"sudo apt-get install python3\.11-venv"):
        system.prepare(replace(READY, venv=False), root=False, apt="apt-get", run=commands.append)
    assert commands == []


def test_without_apt_the_need_is_named() -> None:
    """On a system without apt-get the message names what Debian would install."""
    with pytest.raises(system.SystemLacksError, match=r"lacks what Debian calls python3\.11-venv"):
        system.prepare(replace(READY, venv=False), root=True, apt="")


def test_this_machine_can_be_looked_at() -> None:
    """Looking works here and finds what these tests run on: an environment made by venv."""
    machine = system.look()
    assert machine.venv
    assert machine.python >= (3, 11)
