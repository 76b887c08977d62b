"""A node's configuration: defaults that fit each other, and refusals of what cannot be meant."""

import os
from pathlib import Path
from typing import Any

import pytest

from node.config import NodeConfig, load_config, parse_config
from node.errors import ConfigError
from node.settings import reference, reference_table

PAGE = Path(__file__).parents[3] / "docs/operating/node-settings.md"
MINIMAL: dict[str, Any] = {"node_id": "broker-1", "genesis": "../genesis.bin"}


def test_the_smallest_configuration_stands_on_defaults(tmp_path: Path) -> None:
    """Who it is and which chain: nothing else has to be said. All doors are closed then."""
    config = parse_config(MINIMAL, tmp_path)
    assert config.data_path == tmp_path
    assert config.path("a/b") == tmp_path / "a/b"
    assert config.doors.peer == config.doors.submit == config.doors.read == ""
    assert config.raft.election_timeout_ms >= 3 * config.raft.heartbeat_ms
    assert config.limits.message_max_bytes > 4 * 1024 * 1024, "the largest body fits into a message"


def test_a_file_is_read_and_its_folder_remembered(tmp_path: Path) -> None:
    """Relative paths are relative to the file."""
    path = tmp_path / "node.toml"
    path.write_text('node_id = "a"\ngenesis = "g"\n[peers.b]\npeer = "[::1]:7600"\n', "utf-8")
    config = load_config(path)
    assert config.folder == tmp_path
    assert config.peers["b"].peer == "[::1]:7600"


@pytest.mark.parametrize(
    "change",
    [
        {"node_id": "Broker"},
        {"node_id": "x" * 33},
        {"doors": {"peer": "localhost"}},
        {"doors": {"submit": "localhost:0"}},
        {"doors": {"read": "localhost:65536"}},
        {"doors": {"ops": "http://x:1"}},
        {"peers": {"B": {}}},
        {"peers": {"broker-1": {"peer": "h:1"}}},
        {"peers": {"b": {"peer": "nowhere"}}},
        {"peers": {"b": {"read": "nowhere"}}},
        {"raft": {"heartbeat_ms": 100, "election_timeout_ms": 299}},
        {"telemetry": {"level": "loud"}},
        {"telemetry": {"style": "xml"}},
    ],
)
def test_values_that_cannot_be_meant_are_refused(change: dict[str, Any], tmp_path: Path) -> None:
    """All by E_CONFIG_VALUE, before anything is opened."""
    with pytest.raises(ConfigError) as caught:
        parse_config({**MINIMAL, **change}, tmp_path)
    assert caught.value.code == "E_CONFIG_VALUE"


def test_unknown_keys_are_fatal(tmp_path: Path) -> None:
    """A mistyped key is not a default."""
    with pytest.raises(ConfigError) as caught:
        parse_config({**MINIMAL, "doors": {"peers": "h:1"}}, tmp_path)
    assert caught.value.code == "E_CONFIG_UNKNOWN_KEY"


def test_every_setting_is_documented() -> None:
    """Words are sentences; numbers carry their unit in the name or the words."""
    for row in reference(NodeConfig):
        assert row.words.endswith("."), row.path


def test_the_page_holds_every_setting() -> None:
    """docs/operating/node-settings.md is the table of the code; REWRITE=1 renews it."""
    table = reference_table(NodeConfig)
    text = PAGE.read_text("utf-8")
    if os.environ.get("REWRITE") == "1":
        begin, end = text.index("| setting |"), text.rindex("|\n") + 2
        text = text[:begin] + table + text[end:]
        PAGE.write_text(text, "utf-8")
    assert table in text
