"""The API keys file."""

import hashlib
import os
from pathlib import Path

import pytest
from gateway_world import write_private

from gateway.adapters.api_keys import ApiKeyFile, parse_keys
from gateway.errors import ConfigError

DIGEST = hashlib.sha256(b"secret-1").hexdigest()
GOOD = f'[keys.app]\nsha256 = "{DIGEST}"\nsources = ["PUSH.SMS", "CRM"]\nrecords_per_s = 5\nburst = 9\n'


def test_a_key_is_found_by_its_secret_only(tmp_path: Path) -> None:
    """The digest stands in the file; the secret opens, nothing else does."""
    write_private(tmp_path / "keys.toml", GOOD)
    keys = ApiKeyFile(tmp_path / "keys.toml")
    found = keys.find("secret-1")
    assert found is not None
    assert (found.name, set(found.sources or ()), found.records_per_s, found.burst) == (
        "app",
        {"PUSH.SMS", "CRM"},
        5.0,
        9,
    )
    for wrong in ("", "secret-2", DIGEST, "secret-1 ", "\ud800"):
        assert keys.find(wrong) is None


def test_a_star_means_all_sources() -> None:
    """And only a star alone does."""
    (key,) = parse_keys(GOOD.replace('["PUSH.SMS", "CRM"]', '["*"]'), "f")
    assert key.sources is None
    with pytest.raises(ConfigError, match="E_API_KEYS"):
        parse_keys(GOOD.replace('["PUSH.SMS", "CRM"]', '["*", "CRM"]'), "f")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "keys = 1\n",
        "not toml",
        GOOD + "[other]\n",
        GOOD + 'extra = "x"\n',
        GOOD.replace(DIGEST, DIGEST.upper()),
        GOOD.replace(DIGEST, DIGEST[:-1]),
        GOOD.replace('["PUSH.SMS", "CRM"]', "[]"),
        GOOD.replace('["PUSH.SMS", "CRM"]', '"PUSH.SMS"'),
        GOOD.replace('"CRM"', '"crm"'),
        GOOD.replace("records_per_s = 5", "records_per_s = true"),
        GOOD.replace("records_per_s = 5", "records_per_s = 1.5"),
        GOOD.replace("burst = 9", "burst = -1"),
        GOOD + GOOD.replace("keys.app", "keys.second"),
        "".join(f'[keys.k{n}]\nsha256 = "{n:064x}"\nsources = ["*"]\n' for n in range(257)),
    ],
)
def test_a_wrong_file_is_refused(text: str) -> None:
    """Unknown fields, digests that are none, no sources, two callers with one key, no key at all, too many."""
    with pytest.raises(ConfigError, match="E_API_KEYS"):
        parse_keys(text, "keys.toml")


def test_the_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    """A withdrawn key ends without a restart; a wrong file keeps the old keys and says so."""
    path = tmp_path / "keys.toml"
    write_private(path, GOOD)
    keys = ApiKeyFile(path)
    assert not keys.refresh()
    other = hashlib.sha256(b"secret-2").hexdigest()
    write_private(path, GOOD.replace(DIGEST, other))
    os.utime(path, ns=(1, 1))
    assert keys.refresh()
    assert keys.find("secret-1") is None
    assert keys.find("secret-2") is not None
    write_private(path, "broken")
    assert not keys.refresh()
    assert "E_API_KEYS" in keys.problem
    assert keys.find("secret-2") is not None
    path.chmod(0o644)
    os.utime(path, ns=(2, 2))
    assert not keys.refresh()
    assert "E_SECRET_MODE" in keys.problem
    path.unlink()
    assert not keys.refresh()
    assert "E_SECRET_MISSING" in keys.problem
    write_private(path, GOOD)
    assert keys.refresh()
    assert keys.problem == ""


def test_a_gateway_without_callers_says_how_to_make_the_first(tmp_path: Path) -> None:
    """It refuses to start, and the sentence names the command; another fault of the file keeps its own words."""
    with pytest.raises(ConfigError, match=r"E_SECRET_MISSING.*key-new"):
        ApiKeyFile(tmp_path / "api-keys.toml")
    write_private(tmp_path / "api-keys.toml", GOOD)
    (tmp_path / "api-keys.toml").chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600") as caught:
        ApiKeyFile(tmp_path / "api-keys.toml")
    assert "key-new" not in caught.value.message
