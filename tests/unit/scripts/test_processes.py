"""Processes are started, found and stopped, and only our own."""

import json
import os
import socket
import sys
from pathlib import Path

import pytest

from scripts import processes
from scripts.exit_codes import CommandError


def _sleeper(folder: Path, code: str = "import time; time.sleep(60)") -> processes.Managed:
    argv = (sys.executable, "-c", code)
    return processes.Managed("sleeper", argv, folder / "run" / "s.pid", folder / "log" / "s.log")


def test_a_process_is_started_found_and_stopped(tmp_path: Path) -> None:
    """The pid file leads to the process and vanishes with it."""
    process = _sleeper(tmp_path)
    pid = processes.start(process)
    try:
        assert processes.running_pid(process.pid_file) == pid
        with pytest.raises(CommandError, match="running already"):
            processes.start(process)
    finally:
        assert processes.stop(process.pid_file, grace_s=5) == "stopped"
    assert processes.running_pid(process.pid_file) is None
    assert processes.stop(process.pid_file) == "not running"


def test_a_pid_that_now_belongs_to_another_process_is_left_alone(tmp_path: Path) -> None:
    """A pid file whose start time does not match speaks of nobody."""
    stale = tmp_path / "stale.pid"
    stale.write_text(json.dumps({"pid": os.getpid(), "start_ticks": 1}), encoding="utf-8")
    assert processes.running_pid(stale) is None
    assert processes.stop(stale) == "not running"


def test_a_process_that_ignores_the_polite_signal_is_killed(tmp_path: Path) -> None:
    """Stopping has an end."""
    code = "import signal,time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    process = _sleeper(tmp_path, code)
    processes.start(process)
    while "up" not in processes.tail(process.log_file):
        pass
    assert processes.stop(process.pid_file, grace_s=0.2) == "killed"


def test_output_lands_in_the_log(tmp_path: Path) -> None:
    """What a process says before it dies can be read afterwards."""
    process = _sleeper(tmp_path, "print('last words')")
    processes.start(process)
    assert processes.wait_gone(process.pid_file, 10)
    assert processes.tail(process.log_file) == "last words"


def test_the_owner_of_a_port_is_named() -> None:
    """A taken port leads to the process that holds it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert processes.port_owner(port) == os.getpid()
    assert processes.port_owner(port) is None
