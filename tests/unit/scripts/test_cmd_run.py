"""Running commands and API keys."""

import hashlib
import resource
from pathlib import Path

import pytest
from click.testing import CliRunner
from e2e_network import free_port_base

from gateway.adapters.api_keys import parse_keys
from scripts import cmd_run, devnet
from scripts.cli import tiezheng
from scripts.web import read_key_file


def test_a_process_may_open_as_many_files_as_its_doors_need(monkeypatch: pytest.MonkeyPatch) -> None:
    """The soft limit is raised as far as the system allows, and never lowered."""
    limits = {"now": (1_024, 20_000)}
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits["now"])
    monkeypatch.setattr(resource, "setrlimit", lambda _, wanted: limits.update(now=wanted))
    cmd_run._allow_descriptors()
    assert limits["now"] == (8_192, 20_000)
    limits["now"] = (15_000, 20_000)
    cmd_run._allow_descriptors()
    assert limits["now"] == (15_000, 20_000)
    limits["now"] = (1_024, resource.RLIM_INFINITY)
    cmd_run._allow_descriptors()
    assert limits["now"] == (8_192, resource.RLIM_INFINITY)


def test_a_system_that_allows_too_few_files_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What can be had is taken, and a line says what is missing."""
    limits = {"now": (256, 1_024)}
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits["now"])
    monkeypatch.setattr(resource, "setrlimit", lambda _, wanted: limits.update(now=wanted))
    cmd_run._allow_descriptors()
    assert limits["now"] == (1_024, 1_024)
    assert "1024" in capsys.readouterr().err


def test_a_key_is_made_private_and_the_gateway_knows_its_digest(tmp_path: Path) -> None:
    """The key itself is in one file only; the gateway's file has the digest and the sources."""
    network = devnet.create(tmp_path / "net", free_port_base())
    out = tmp_path / "app.key"
    arguments = [
        "gateway",
        "key-new",
        "app",
        "--config",
        str(network.gateway_config),
        "--source",
        "QTDJ-APP",
        "--out",
        str(out),
    ]
    result = CliRunner().invoke(tiezheng, arguments)
    assert result.exit_code == 0, result.output
    key = read_key_file(out)
    assert key not in result.output
    listed = network.gateway_config.parent / "keys" / "api-keys.toml"
    keys = {k.name: k for k in parse_keys(listed.read_text(encoding="utf-8"), str(listed))}
    assert keys["app"].digest == hashlib.sha256(key.encode("ascii")).digest()
    assert len(keys) == 2
    assert listed.stat().st_mode & 0o777 == 0o600
    assert CliRunner().invoke(tiezheng, arguments).exit_code == 6


def test_a_node_without_a_configuration_ends_with_a_sentence(tmp_path: Path) -> None:
    """Exit code 2, no traceback."""
    result = CliRunner().invoke(tiezheng, ["node", "run", "--config", str(tmp_path / "none.toml")])
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_a_gateway_without_a_configuration_ends_with_a_sentence(tmp_path: Path) -> None:
    """Exit code 2, no traceback."""
    result = CliRunner().invoke(tiezheng, ["gateway", "run", "--config", str(tmp_path / "none.toml")])
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_callers_and_sources_are_checked(tmp_path: Path) -> None:
    """A name that the gateway would refuse later is refused now."""
    network = devnet.create(tmp_path / "net", free_port_base())
    for caller, source in (("App", "X"), ("app", "lower")):
        arguments = [
            "gateway",
            "key-new",
            caller,
            "--config",
            str(network.gateway_config),
            "--source",
            source,
        ]
        result = CliRunner().invoke(tiezheng, [*arguments, "--out", str(tmp_path / "k")])
        assert result.exit_code == 2
        assert not (tmp_path / "k").exists()
