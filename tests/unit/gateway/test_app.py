"""The composer: what it refuses, how it ends."""

import asyncio
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from gateway_fakes import FakeClock
from gateway_world import ROOT, make_world, stop_nodes, write_private

from gateway.adapters.database import open_database
from gateway.adapters.store import SqlStore
from gateway.app import EXIT_CONFIG, EXIT_FAILED, init_gateway, resume_anchoring, run_gateway
from gateway.config import load_config
from gateway.errors import ConfigError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A complete gateway.toml whose nodes are gone."""

    async def make() -> Path:
        made = await make_world(tmp_path)
        await stop_nodes(made)
        return made.config_path

    return asyncio.run(make())


def test_creation_is_deliberate_and_once(path: Path, tmp_path: Path) -> None:
    """`init_gateway` made the database; a second call refuses to touch it."""
    assert (tmp_path / "gateway.db").exists()
    with pytest.raises(ConfigError, match="E_DATABASE_EXISTS"):
        init_gateway(path)


def run(path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Run a gateway that will not start; return its exit code and the code of the one line it wrote."""
    status = run_gateway(path)
    line = capsys.readouterr().err.strip()
    assert "\n" not in line
    return status, line.split(":")[0]


def test_a_run_refuses_what_is_missing_or_open(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line says what and how to mend it; the exit code is 2; nothing is created."""
    key, policy, text = tmp_path / "keys" / "submitter.key", tmp_path / "policy.txt", path.read_text()
    key.chmod(0o644)
    assert run(path, capsys) == (EXIT_CONFIG, "E_SECRET_MODE")
    write_private(key, "nonsense")
    assert run(path, capsys) == (EXIT_CONFIG, "E_SECRET_FORMAT")
    policy.write_bytes(b"nonsense")
    assert run(path, capsys) == (EXIT_CONFIG, "E_TRUST_FILE")
    policy.unlink()
    assert run(path, capsys) == (EXIT_CONFIG, "E_TRUST_FILE")
    path.write_text("nonsense = 1\n" + text)
    assert run(path, capsys) == (EXIT_CONFIG, "E_CONFIG_UNKNOWN_KEY")
    path.unlink()
    assert run(path, capsys) == (EXIT_CONFIG, "E_CONFIG_UNREADABLE")


def test_a_run_never_starts_an_empty_outbox(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing database is an error with a way out, not a new one."""
    (tmp_path / "gateway.db").unlink()
    assert run(path, capsys) == (EXIT_CONFIG, "E_DATABASE_MISSING")
    assert not (tmp_path / "gateway.db").exists()


def test_assertions_are_part_of_the_program(tmp_path: Path) -> None:
    """`python -O` is refused."""
    words = "from pathlib import Path; from gateway.app import run_gateway; raise SystemExit(run_gateway(Path('x')))"
    done = subprocess.run(
        [sys.executable, "-O", "-c", words],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == EXIT_CONFIG
    assert b"python -O" in done.stderr


def test_anchoring_goes_on_only_when_a_person_says_so(path: Path, tmp_path: Path) -> None:
    """Without a halt there is nothing to resume; with one the reason is shown once and gone."""

    async def halt() -> None:
        database = open_database(tmp_path / "gateway.db", now_ms=1, create=False)
        store = SqlStore(database, "BROKER", FakeClock(), tmp_path / "evidence")
        await store.halt("two roots", {"a.note": b"A"})
        await store.close()
        database.close()

    assert resume_anchoring(path) == ""
    asyncio.run(halt())
    assert resume_anchoring(path) == "two roots"
    assert resume_anchoring(path) == ""


def test_a_taken_port_is_said(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The gateway ends with 1 and one line, and lets go of its database."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        path.write_text(path.read_text().replace(load_config(path).listen.http, address))
        assert run(path, capsys) == (EXIT_FAILED, "E_LISTEN")
    assert resume_anchoring(path) == ""
