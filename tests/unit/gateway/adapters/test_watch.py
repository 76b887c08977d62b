"""Once a second: disk, keys, lag, oldest record."""

import asyncio
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from gateway_fakes import FakeClock, FakeTelemetry
from gateway_world import api_keys_text, write_private

from gateway.adapters import watch as module
from gateway.adapters.api_keys import ApiKeyFile
from gateway.adapters.store import SqlStore
from gateway.adapters.watch import Watch
from gateway.metrics import Metrics
from gateway.usecases.collect import Collect


class Made(SimpleNamespace):
    """A watch and what it looks at."""


@pytest.fixture
def made(tmp_path: Path, store: SqlStore, clock: FakeClock) -> Made:
    """A watch over a folder with a reserve of 100 MiB."""
    write_private(tmp_path / "keys.toml", api_keys_text())
    keys = ApiKeyFile(tmp_path / "keys.toml")
    collect, metrics, telemetry = Collect(store, "BROKER", 100), Metrics("1"), FakeTelemetry()

    async def oldest() -> int:
        return 1_500

    watch = Watch(
        collect=collect, keys=keys, metrics=metrics, telemetry=telemetry, clock=clock, oldest_ms=oldest,
        folder=tmp_path, reserve_mib=100,
    )  # fmt: skip
    return Made(
        watch=watch, collect=collect, metrics=metrics, telemetry=telemetry, keys=keys, folder=tmp_path
    )


def free(monkeypatch: pytest.MonkeyPatch, mib: int) -> None:
    """Pretend that so much is free."""
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=mib, f_frsize=1 << 20))


async def test_a_low_disk_closes_the_intake_and_needs_twice_the_reserve_to_open(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below the reserve: closed. Above it: still closed. Above twice: open. Each change is said once."""
    for mib, low in ((500, False), (99, True), (150, True), (200, False), (150, False)):
        free(monkeypatch, mib)
        await made.watch.look()
        assert made.collect.disk_low is low
    assert made.telemetry.events() == ["disk_low", "disk_recovered"]


async def test_figures_are_kept(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """Free space and the oldest record's moment are shown."""
    free(monkeypatch, 500)
    await made.watch.look()
    text = made.metrics.exposition().decode()
    assert "tiezheng_disk_free_bytes 5.24288e+08" in text
    assert "tiezheng_outbox_oldest_timestamp_seconds 1.5" in text


async def test_changed_keys_are_noticed(made: Made) -> None:
    """A new file is read; a wrong one is said once and keeps the old keys."""
    path = made.folder / "keys.toml"
    write_private(path, api_keys_text().replace("[keys.sms]", "[keys.push]"))
    await made.watch.look()
    write_private(path, "broken")
    await made.watch.look()
    await made.watch.look()
    assert made.telemetry.events() == ["api_keys_read_again", "api_keys_unusable"]


async def test_it_runs_until_cancelled(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """One look per period."""
    monkeypatch.setattr(module, "PERIOD_S", 0.01)
    task = asyncio.create_task(made.watch.run())
    await asyncio.sleep(0.1)
    assert not task.done()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
