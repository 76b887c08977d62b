"""The gateway's configuration."""

from pathlib import Path

import pytest

from gateway.config import load_config, split_address
from gateway.errors import ConfigError

GOOD = """
institution = "BROKER"
trust_file = "policy.txt"
[listen]
http = "127.0.0.1:7680"
[nodes.broker-1]
submit = "127.0.0.1:7601"
read = "127.0.0.1:7602"
tls_cert = "broker-1.crt"
"""


def load(tmp_path: Path, text: str) -> object:
    """Return the configuration of a text."""
    path = tmp_path / "gateway.toml"
    path.write_text(text, encoding="utf-8")
    return load_config(path)


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    """Wherever the gateway is started from."""
    path = tmp_path / "gateway.toml"
    path.write_text(GOOD)
    config = load_config(path)
    assert config.path(config.database) == tmp_path / "gateway.db"
    assert config.limits.batch_max_items == 1_000
    assert config.nodes["broker-1"].submit == "127.0.0.1:7601"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"BROKER"', '"broker"', "institution"),
        ("127.0.0.1:7680", "127.0.0.1", "listen.http"),
        ("127.0.0.1:7680", "127.0.0.1:99999", "listen.http"),
        ("127.0.0.1:7680", "0.0.0.0:7680", "without TLS"),
        ("127.0.0.1:7680", "gateway.example:7680", "without TLS"),
        ('http = "127.0.0.1:7680"', 'http = "127.0.0.1:7680"\ntls_cert = "x"', "go together"),
        ("[nodes.broker-1]", '[nodes."Broker 1"]', "no node id"),
        ("127.0.0.1:7601", "nonsense", "nodes.broker-1.submit"),
        ('submit = "127.0.0.1:7601"', "", "submission door"),
        ('read = "127.0.0.1:7602"', "", "submission door"),
        ("[listen]", '[telemetry]\nlevel = "loud"\n[listen]', "telemetry.level"),
        ("[listen]", '[telemetry]\nstyle = "xml"\n[listen]', "telemetry.style"),
    ],
)
def test_values_that_do_not_fit_are_fatal(tmp_path: Path, old: str, new: str, words: str) -> None:
    """Each with its name."""
    with pytest.raises(ConfigError, match=words):
        load(tmp_path, GOOD.replace(old, new))


@pytest.mark.parametrize("more", ['tls_cert = "c"\ntls_key = "k"', "behind_proxy = true"])
def test_other_addresses_need_tls_or_a_proxy(tmp_path: Path, more: str) -> None:
    """API keys never travel in the open by mistake."""
    load(tmp_path, GOOD.replace('http = "127.0.0.1:7680"', f'http = "0.0.0.0:7680"\n{more}'))


def test_addresses_are_split() -> None:
    """IPv6 loses its brackets."""
    assert split_address("127.0.0.1:80") == ("127.0.0.1", 80)
    assert split_address("[::1]:8080") == ("::1", 8080)
