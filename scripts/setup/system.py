"""What the operating system must bring, and how to get it on Debian.

Two things can be missing on a fresh machine: Debian splits `venv` off its Python, and plyvel (LevelDB)
ships wheels for CPython 3.11 and 3.12 on x86-64 with glibc only, so elsewhere it is compiled against the
system's LevelDB. Rules: look first, change only what is missing, and never ask for a password: not being
root is said in words, with the command to type. Refuses to guess on systems without apt-get; it names what
is needed instead.
"""

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

WHEEL_VERSIONS = ((3, 11), (3, 12))
"""CPython versions for which plyvel 1.5.1 has a wheel (x86-64, glibc)."""

LEVELDB_HEADERS = ("/usr/include/leveldb/db.h", "/usr/local/include/leveldb/db.h")


class SystemLacksError(Exception):
    """The machine lacks something that this program may not or cannot install; the text says what to type."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What was found here; a value, so that the decision can be tested without a machine."""

    python: tuple[int, int]
    debian_python: bool  # the interpreter is the distribution's own, so its parts come by apt
    venv: bool
    plyvel_wheel: bool
    leveldb: bool
    compiler: bool
    python_headers: bool


def look() -> Machine:
    """Look at this machine; reads only."""
    return Machine(
        python=sys.version_info[:2],
        debian_python=sys.base_prefix == "/usr",
        venv=all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")),
        plyvel_wheel=(
            sys.implementation.name == "cpython"
            and sys.version_info[:2] in WHEEL_VERSIONS
            and platform.machine() == "x86_64"
            and platform.libc_ver()[0] == "glibc"
        ),
        leveldb=any(Path(header).exists() for header in LEVELDB_HEADERS),
        compiler=shutil.which("g++") is not None or shutil.which("c++") is not None,
        python_headers=(Path(sysconfig.get_paths()["include"]) / "Python.h").exists(),
    )


def missing_packages(machine: Machine) -> tuple[str, ...]:
    """The Debian packages that this machine still needs; empty when it is ready."""
    major, minor = machine.python
    wanted: list[str] = []
    if not machine.venv:
        wanted.append(f"python{major}.{minor}-venv")
    if not machine.plyvel_wheel:
        if not machine.leveldb:
            wanted.append("libleveldb-dev")
        if not machine.compiler:
            wanted.append("g++")
        if not machine.python_headers and machine.debian_python:
            wanted.append(f"python{major}.{minor}-dev")
    return tuple(wanted)


def prepare(
    machine: Machine | None = None,
    *,
    root: bool | None = None,
    apt: str | None = None,
    run: Callable[[list[str]], None] | None = None,
) -> None:
    """Install what is missing, if we may.

    The arguments are for tests; by default the machine is looked at and apt-get is run. Raises
    SystemLacksError when packages are missing and we are not root or there is no apt-get,
    CalledProcessError when apt-get fails.
    """
    packages = missing_packages(machine or look())
    if not packages:
        return
    names = " ".join(packages)
    apt = shutil.which("apt-get") if apt is None else apt
    if not apt:
        raise SystemLacksError(f"this machine lacks what Debian calls {names}; install that first")
    if not (os.geteuid() == 0 if root is None else root):
        raise SystemLacksError(f"these system packages are missing; type: sudo apt-get install {names}")
    print(f"setup: installing system packages: {names}", flush=True)
    run = run or _run_quietly
    run([apt, "-q", "update"])
    run([apt, "-q", "install", "--yes", "--no-install-recommends", *packages])


def _run_quietly(command: list[str]) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
