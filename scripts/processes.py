"""Starting, finding and stopping the development network's processes, and only those.

Why: `dev up` leaves processes behind on purpose (`--detach`) and `dev stop` must end exactly these, days later and
after reboots. A pid file therefore records the process's start time beside its number: a number that the kernel
gave to somebody else since is never signalled.

Refuses: stopping by name or by port; anything that has no pid file of ours.
"""

import contextlib
import json
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from scripts.exit_codes import CommandError, Exit

_POLL_S = 0.05

# Block-sized buffers otherwise return to the kernel after each block and are faulted in again.
MALLOC_ENVIRONMENT = {
    "MALLOC_TRIM_THRESHOLD_": "1000000000",
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TOP_PAD_": "67108864",
}


@dataclass(frozen=True, slots=True)
class Managed:
    """One process of the network: its name, the files that speak of it, and its command line."""

    name: str
    argv: tuple[str, ...]
    pid_file: Path
    log_file: Path


def _start_ticks(pid: int) -> int | None:
    """Return the process's start time in clock ticks since boot, None when there is no such live process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The command name is in parentheses and may hold anything; fields are counted behind the last one.
    fields = stat.rsplit(")", 1)[1].split()
    return None if fields[0] == "Z" else int(fields[19])


def running_pid(pid_file: Path) -> int | None:
    """Return the pid when the process that `pid_file` speaks of is alive, else None."""
    try:
        recorded = json.loads(pid_file.read_text(encoding="utf-8"))
        pid, ticks = int(recorded["pid"]), int(recorded["start_ticks"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return pid if _start_ticks(pid) == ticks else None


def start(process: Managed) -> int:
    """Start the process in a session of its own, its output appended to its log file; return its pid.

    Raises CommandError when it is running already or cannot be started.
    """
    pid = running_pid(process.pid_file)
    if pid is not None:
        raise CommandError(Exit.CONFLICT, f"{process.name} is running already (process {pid})")
    process.log_file.parent.mkdir(parents=True, exist_ok=True)
    process.pid_file.parent.mkdir(parents=True, exist_ok=True)
    with process.log_file.open("ab") as log:
        pid = os.posix_spawn(
            process.argv[0],
            process.argv,
            {**os.environ, **MALLOC_ENVIRONMENT},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, log.fileno(), 1),
                (os.POSIX_SPAWN_DUP2, log.fileno(), 2),
            ],
            setsid=True,
        )
    ticks = _start_ticks(pid)
    process.pid_file.write_text(json.dumps({"pid": pid, "start_ticks": ticks or 0}), encoding="utf-8")
    return pid


def send(pid_file: Path, number: signal.Signals) -> bool:
    """Send a signal to the recorded process; False when it is not running."""
    pid = running_pid(pid_file)
    if pid is None:
        return False
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def stop(pid_file: Path, *, grace_s: float = 15.0) -> str:
    """Stop the recorded process: a polite signal, then after `grace_s` seconds an impolite one.

    Returns "stopped", "killed" or "not running".
    """
    if not send(pid_file, signal.SIGTERM):
        pid_file.unlink(missing_ok=True)
        return "not running"
    if wait_gone(pid_file, grace_s):
        pid_file.unlink(missing_ok=True)
        return "stopped"
    send(pid_file, signal.SIGKILL)
    wait_gone(pid_file, 5.0)
    pid_file.unlink(missing_ok=True)
    return "killed"


def wait_gone(pid_file: Path, timeout_s: float) -> bool:
    """Wait until the recorded process has ended; False when it has not after `timeout_s` seconds."""
    deadline = time.monotonic() + timeout_s
    while running_pid(pid_file) is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    _reap(pid_file)
    return True


def _reap(pid_file: Path) -> None:
    """Collect the exit status when the process is our own child, so that it does not stay a zombie."""
    try:
        os.waitpid(int(json.loads(pid_file.read_text(encoding="utf-8"))["pid"]), os.WNOHANG)
    except (OSError, ValueError, KeyError):
        return


def tail(path: Path, lines: int = 8) -> str:
    """Return the last lines of a log file, "" when there is none."""
    try:
        with path.open("rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - 16_384))
            text = log.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def port_owner(port: int) -> int | None:
    """Return the pid that listens on a local TCP port, 0 when somebody does whom we may not see, None when nobody."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            if fields[3] == "0A" and int(fields[1].rsplit(":", 1)[1], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    if not inodes:
        return None
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        if inodes.intersection(_open_files(entry)):
            return int(entry.name)
    return 0


def _open_files(process: Path) -> list[str]:
    """Return what the descriptors of a process point to; those that vanish meanwhile are left out."""
    links = []
    try:
        for descriptor in os.listdir(process / "fd"):  # noqa: PTH208 - names are enough
            with contextlib.suppress(OSError):
                links.append(os.readlink(process / "fd" / descriptor))  # noqa: PTH115 - not a path, a socket's name
    except OSError:
        return links
    return links
