"""Starting and stopping a node: what is refused before anything opens, and the exit codes."""

import asyncio
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from node_cluster import Cluster, free_port_base

from ledger.errors import DerivedDamagedError, StoreDamagedError, StoreFatalError
from node import service
from node.config import load_config
from node.errors import ConfigError, ExitCode, KeyFileError, StartError
from node.keys import Purpose, new_signing_key, save_key
from node.service import NodeService, load
from node.start import open_node
from scripts.network import INSTITUTIONS, NODES, build_network, with_voters


def _one(folder: Path) -> Path:
    """The configuration of a network of one voter."""
    network = build_network(
        folder,
        free_port_base(1),
        institutions=INSTITUTIONS[:1],
        nodes=with_voters(NODES, 1),
        quorum=1,
        f=0,
    )
    return network.nodes[0].config_path


def test_keys_that_governance_does_not_name_are_refused_at_the_start(tmp_path: Path) -> None:
    """Not later, in somebody's proof."""
    path = _one(tmp_path)
    key = path.parent / "keys/cosigner.key"
    key.unlink()
    save_key(key, new_signing_key(Purpose.COSIGNER, "broker-1-cosigner"))
    with pytest.raises(KeyFileError) as caught:
        load(load_config(path))
    assert caught.value.code == "E_KEY_FILE_UNKNOWN"
    open_node(load_config(path)).close()  # the refusal has released the stores


async def test_a_taken_port_is_a_start_error(tmp_path: Path) -> None:
    """With its address in words."""
    async with Cluster(tmp_path, with_voters(NODES, 1), quorum=1, f=0) as cluster:
        await cluster.start()
        other = tmp_path / "other"
        build_path = _one(other)
        text = build_path.read_text("utf-8")
        taken = cluster.network.nodes[0].submit_address
        build_path.write_text(text.replace('submit = "', f'submit = "{taken}" #', 1), "utf-8")
        config = load_config(build_path)
        keys, opened = load(config)
        with pytest.raises(StartError) as caught:
            await NodeService(config, keys, opened, cluster.deaths.append).run()
        assert caught.value.code == "E_START_PORT"
        assert taken in caught.value.message


async def test_a_task_that_dies_ends_the_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loudly, and everything that was opened is closed."""

    async def dies(_: object) -> None:
        await asyncio.sleep(0.05)
        raise ZeroDivisionError

    monkeypatch.setattr(service, "_watch_lag", dies)
    config = load_config(_one(tmp_path))
    keys, opened = load(config)
    with pytest.raises(BaseExceptionGroup):
        async with asyncio.timeout(10):
            await NodeService(config, keys, opened, _never).run()
    keys, opened = load(config)
    opened.close()


async def test_a_nearly_full_disk_stops_the_intake(tmp_path: Path) -> None:
    """Free space is looked at all the time; with more of it the intake goes on."""
    path = _one(tmp_path)
    text = path.read_text("utf-8")
    path.write_text(text + "\n[limits]\ndisk_reserve_mib = 1048576\n", "utf-8")
    config = load_config(path)
    ordering = SimpleNamespace(disk_is_low=False)
    watching = asyncio.create_task(service._watch_disk(config, SimpleNamespace(ordering=ordering)))  # type: ignore[arg-type]
    await asyncio.sleep(0.05)
    assert ordering.disk_is_low
    watching.cancel()
    path.write_text(text, "utf-8")
    watching = asyncio.create_task(service._watch_disk(load_config(path), SimpleNamespace(ordering=ordering)))  # type: ignore[arg-type]
    await asyncio.sleep(0.05)
    watching.cancel()
    assert not ordering.disk_is_low


def _never(error: BaseException) -> None:
    raise AssertionError from error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("E_CONFIG_VALUE", ""), ExitCode.USAGE),
        (KeyFileError("E_KEY_FILE_MODE", ""), ExitCode.USAGE),
        (StoreFatalError("E_STORE_WRITE", ""), ExitCode.DISK_FAILED),
        (StoreDamagedError("E_STORE_DAMAGED", ""), ExitCode.HALTED),
        (DerivedDamagedError("E_DERIVED_DAMAGED", ""), ExitCode.FAILURE),
        (StartError("E_START_PORT", ""), ExitCode.FAILURE),
        (ZeroDivisionError(), ExitCode.FAILURE),
    ],
)
def test_every_end_has_its_exit_code(error: BaseException, code: ExitCode) -> None:
    """Also inside the groups that tasks end in."""
    assert service._code_of(error) == code
    if isinstance(error, Exception):
        assert service._tell_end(BaseExceptionGroup("x", [ExceptionGroup("y", [error])])) == code


def test_run_and_stop_as_a_process(tmp_path: Path) -> None:
    """A signal stops it with 0; without a head file it serves halted and ends with 14; bad configuration is
    2.
    """
    path = _one(tmp_path)
    assert _run(path, stop_at="started") == ExitCode.OK
    (path.parent / "head").unlink()
    assert _run(path, stop_at="started") == ExitCode.HALTED
    path.write_text("nothing = 1\n", "utf-8")
    assert _run(path) == ExitCode.USAGE


def _run(path: Path, stop_at: str | None = None) -> int:
    """Run a node as a process until a line of telemetry, then stop it; returns its exit code."""
    code = (
        "import sys; from pathlib import Path; from node.service import run; "
        f"sys.exit(run(Path({str(path)!r})))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if stop_at is not None and f'"{stop_at}"' in line:
                process.terminate()
        return process.wait(20)


def test_assertions_are_part_of_the_product(tmp_path: Path) -> None:
    """`python -O` is refused before anything is opened."""
    code = f"import sys; from pathlib import Path; from node.service import run; sys.exit(run(Path({str(tmp_path)!r})))"
    done = subprocess.run([sys.executable, "-O", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == ExitCode.USAGE
    assert "python -O" in done.stderr
