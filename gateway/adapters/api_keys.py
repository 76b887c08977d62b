"""The API keys file: who may call, known by the SHA-256 of a key, never by the key.

Format (TOML), one table per caller::

    [keys.app]
    sha256 = "64 hex digits"
    sources = ["APP.SIGN", "APP.MSGLOG"]  # or ["*"]: all sources of the institution
    records_per_s = 500  # optional; the gateway's default otherwise
    burst = 2000  # optional

Why plain SHA-256: a key is 32 random bytes; there is nothing to guess, so there is nothing to slow down.

Rules kept here:
- The file has mode 0600; unknown fields are fatal; there is no default key, and a file without keys is refused.
- Looking a key up compares with every digest in constant time.
- The file is read again when it changes, so a key is withdrawn without a restart; a file that became unreadable or wrong
  keeps the old keys and says so (`problem`), since locking everybody out for a typing error helps nobody.

Refuses: storing keys, making sources exist.
"""

import hmac
import tomllib
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from gateway.adapters.secret_files import read_secret
from gateway.domain.access import ApiKey
from gateway.errors import ConfigError
from ledger import names

KEYS_MAX: Final = 256
_FIELDS: Final = {"sha256", "sources", "records_per_s", "burst"}


def parse_keys(text: str, where: str) -> tuple[ApiKey, ...]:
    """Return the keys of a file's text. Raises ConfigError E_API_KEYS naming the file and the caller."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError("E_API_KEYS", f"{where} is not TOML: {error}") from error
    tables = document.pop("keys", None)
    if document or not isinstance(tables, dict) or not 1 <= len(tables) <= KEYS_MAX:
        raise ConfigError("E_API_KEYS", f"{where} holds 1 to {KEYS_MAX} tables [keys.NAME] and nothing else")
    keys = tuple(_parse_key(name, table, where) for name, table in tables.items())
    if len({key.digest for key in keys}) != len(keys):
        raise ConfigError("E_API_KEYS", f"{where}: two callers have the same key")
    return keys


def _parse_key(name: str, table: Any, where: str) -> ApiKey:
    if not isinstance(table, dict) or set(table) - _FIELDS:
        raise ConfigError(
            "E_API_KEYS", f"{where}: [keys.{name}] has a field that is none of {sorted(_FIELDS)}"
        )
    digest = table.get("sha256")
    if not isinstance(digest, str) or len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        raise ConfigError("E_API_KEYS", f"{where}: keys.{name}.sha256 must be 64 lower-case hex digits")
    sources = table.get("sources")
    if not isinstance(sources, list) or not sources:
        raise ConfigError("E_API_KEYS", f'{where}: keys.{name}.sources must be a list, or ["*"] for all')
    everything = sources == ["*"]
    if not everything and not all(isinstance(s, str) and names.SOURCE.fullmatch(s) for s in sources):
        raise ConfigError(
            "E_API_KEYS", f"{where}: a source in keys.{name}.sources matches {names.SOURCE.pattern}"
        )
    rate, burst = table.get("records_per_s", 0), table.get("burst", 0)
    if not all(
        isinstance(n, int) and not isinstance(n, bool) and 0 <= n <= 10_000_000 for n in (rate, burst)
    ):
        raise ConfigError("E_API_KEYS", f"{where}: records_per_s and burst of keys.{name} are whole numbers")
    return ApiKey(name, bytes.fromhex(digest), None if everything else frozenset(sources), float(rate), burst)


class ApiKeyFile:
    """The keys in force. Owner: the event loop; `refresh` is called every few seconds."""

    def __init__(self, path: Path) -> None:
        """Read the file. Raises ConfigError."""
        self._path = path
        self._stamp = self._read_stamp()
        try:
            data = read_secret(path)
        except ConfigError as error:
            hint = "; `tiezheng gateway key-new` makes the first key" if not path.exists() else ""
            raise ConfigError(error.code, error.message + hint) from error
        self._keys = parse_keys(data.decode("utf-8", errors="replace"), str(path))
        self.problem = ""

    def find(self, secret: str) -> ApiKey | None:
        """Return the key with this secret, None when there is none; takes the same time for every secret."""
        digest = sha256(secret.encode("utf-8", errors="surrogatepass")).digest()
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found

    def refresh(self) -> bool:
        """Read the file again if it changed; return whether other keys are in force now."""
        stamp = self._read_stamp()
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            keys = parse_keys(read_secret(self._path).decode("utf-8", errors="replace"), str(self._path))
        except ConfigError as error:
            self.problem = str(error)
            return False
        self.problem = ""
        changed = keys != self._keys
        self._keys = keys
        return changed

    def _read_stamp(self) -> tuple[int, int, int]:
        try:
            facts = self._path.stat()
        except OSError:
            return (0, 0, 0)
        return (facts.st_mtime_ns, facts.st_size, facts.st_ino)
