"""The gateway's part of a made network: settings it can read, a key it accepts."""

from hashlib import sha256
from pathlib import Path

from gateway.adapters.api_keys import ApiKeyFile
from gateway.adapters.secret_files import load_submitter, load_tls
from gateway.config import load_config
from scripts.network import build_network
from scripts.web import read_key_file


def test_the_gateway_reads_what_was_written(tmp_path: Path) -> None:
    """Configuration, submitter's key, TLS identity, certificates of the nodes, and the demonstration key."""
    network = build_network(tmp_path, 7_600)
    place = network.gateway
    config = load_config(place.config_path)
    assert (place.url, place.ops_url) == ("http://127.0.0.1:7680", "http://127.0.0.1:7684")
    assert set(config.nodes) == {"broker-1", "market-1", "auditor-1", "regulator-1"}
    assert config.nodes["regulator-1"].submit == ""
    assert all(config.path(node.tls_cert).is_file() for node in config.nodes.values())
    assert config.path(config.trust_file) == tmp_path / "gateway/../policy.txt"
    submitter = config.submitter
    key = load_submitter(config.path(submitter.key), network.chain_id, config.institution)
    assert (key.institution, key.key_id) == ("BROKER", "gateway-1")
    assert load_tls(config.path(submitter.tls_cert), config.path(submitter.tls_key)).cert_pem
    secret = read_key_file(place.api_key_file)
    found = ApiKeyFile(config.path(config.api_keys)).find(secret)
    assert found is not None
    assert found.digest == sha256(secret.encode()).digest()
    assert found.sources is None, "all sources of the institution"


def test_every_network_has_its_own_api_key(tmp_path: Path) -> None:
    """There is no default key."""
    one = build_network(tmp_path / "one", 7_600).gateway.api_key_file.read_text("ascii")
    other = build_network(tmp_path / "other", 7_600).gateway.api_key_file.read_text("ascii")
    assert one != other
