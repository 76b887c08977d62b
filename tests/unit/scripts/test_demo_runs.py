"""Parts of the drills that need no network; the drills themselves run in the end-to-end tests."""

from pathlib import Path

import pytest
from e2e_network import free_port_base

from scripts import demo_runs, devnet
from scripts.exit_codes import CommandError, Exit


def test_exactly_one_bit_of_the_largest_file_is_flipped(tmp_path: Path) -> None:
    """The damage is as small as damage can be."""
    (tmp_path / "000003.log").write_bytes(bytes(1000))
    (tmp_path / "000005.ldb").write_bytes(bytes(50))
    (tmp_path / "CURRENT").write_bytes(bytes(5000))
    where = demo_runs._flip_one_bit(tmp_path)
    assert where == "000003.log at byte 500"
    changed = (tmp_path / "000003.log").read_bytes()
    assert sum(byte.bit_count() for byte in changed) == 1
    assert (tmp_path / "CURRENT").read_bytes() == bytes(5000)


def test_the_reason_is_picked_from_the_telemetry() -> None:
    """In plain words with its code, not the last line that happens to stand there."""
    telemetry = '{"event": "opened"}\n{"event": "not_started", "code": "E_X", "reason": "damaged"}\n{"event": "bye"}\n'
    assert demo_runs._last_reason(telemetry) == "damaged [E_X]"
    assert demo_runs._last_reason("Traceback\nValueError: x") == "ValueError: x"
    assert demo_runs._last_reason("") == "(nothing was written)"


def test_a_drill_needs_a_whole_network(tmp_path: Path) -> None:
    """It says what is missing and how to start it, and touches nothing."""
    network = devnet.create(tmp_path / "net", free_port_base())
    with pytest.raises(CommandError) as caught:
        demo_runs.demo_tamper(network)
    assert caught.value.exit_code == Exit.DEGRADED
    assert "broker-1" in caught.value.message


def test_leftovers_of_a_fork_drill_are_not_removed_silently(tmp_path: Path) -> None:
    """Somebody may want to look at them."""
    (tmp_path / "net-fork-drill").mkdir()
    with pytest.raises(CommandError) as caught:
        demo_runs.demo_fork(tmp_path / "net")
    assert caught.value.exit_code == Exit.CONFLICT


def test_a_drill_that_was_killed_is_noticed_before_a_voter_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old copy of a store must not be put back, nor written over without a word."""
    network = devnet.create(tmp_path / "net", free_port_base())
    (network.node("auditor-1").data / "chain.before-demo").mkdir()
    monkeypatch.setattr(demo_runs, "_require_running", lambda _network: None)
    monkeypatch.setattr(demo_runs, "_leader", lambda _network: "broker-1")
    with pytest.raises(CommandError, match="left over") as caught:
        demo_runs.demo_tamper(network)
    assert "remove it" in caught.value.hint
