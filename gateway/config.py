"""The configuration of a gateway: one TOML file, one frozen type, every setting with its unit and its consequence.

Why: who runs a gateway must be able to read what it will do before it does it. What the institutions agreed on (members,
keys, quorum, the chain's limits) is on the chain and in the trust file, not here.

Rules kept here:
- Unknown keys are fatal (`settings`). Relative paths are relative to the folder of the file.
- Secrets are never values, only paths of files with mode 0600.
- Plain HTTP is for loopback; any other address needs TLS, or the explicit word that a proxy in front provides it.

Refuses: environment variables, command-line overrides.
"""

# ruff: noqa: RUF009 - setting() and section() return dataclass fields
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.errors import ConfigError
from gateway.settings import build, read_document, section, setting
from ledger import names

_ADDRESS: Final = re.compile(r"(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):[0-9]{1,5}")
_LOOPBACK: Final = re.compile(r"(?:127\.[0-9.]+|localhost|\[::1\]):[0-9]+")
_LEVELS: Final = ("debug", "info", "warning", "error")
_STYLES: Final = ("json", "text")


@dataclass(frozen=True, slots=True)
class Listen:
    """Where the gateway listens."""

    http: str = setting("host:port of the API. Anything but loopback needs TLS (below).")
    ops: str = setting("host:port of health and metrics; keep it inside. Empty: no such door.", "")
    tls_cert: str = setting(
        "PEM file of the API's certificate chain. Empty: plain HTTP, on loopback only.", ""
    )
    tls_key: str = setting("PEM file of its key, mode 0600.", "")
    behind_proxy: bool = setting(
        "true: plain HTTP on any address, since a proxy in front of it provides TLS.", False
    )


@dataclass(frozen=True, slots=True)
class Submitter:
    """Who signs and submits: the key that governance registered for this gateway."""

    key: str = setting("Key file (purpose submitter), mode 0600.", "keys/submitter.key")
    tls_cert: str = setting(
        "PEM file of the certificate that governance pins for this submitter.", "keys/tls.crt"
    )
    tls_key: str = setting("PEM file of its P-256 key, mode 0600.", "keys/tls.key")


@dataclass(frozen=True, slots=True)
class NodePlace:
    """One node of the chain, as this gateway reaches it."""

    tls_cert: str = setting(
        "PEM file of the certificate that governance pins for the node; nothing else is accepted."
    )
    submit: str = setting("host:port of its submission door. Empty for an observer.", "")
    read: str = setting("host:port of its read door (gRPC). Empty: it is not asked.", "")


@dataclass(frozen=True, slots=True)
class Limits:
    """What is accepted; beyond it a request is refused with a stable code, never queued without bound."""

    body_max_bytes: int = setting("Largest request body.", 1_048_576, low=4_096, high=16_777_216)
    batch_max_items: int = setting("Most items of one request.", 1_000, low=1, high=10_000)
    bodies_max_bytes: int = setting(
        "Bytes of all request bodies in memory at once; beyond it: 503 with a delay.",
        67_108_864,
        low=1_048_576,
        high=1_073_741_824,
    )
    connections_max: int = setting(
        "Open connections of the API; beyond it a caller gets 503 at once. Each costs a file descriptor.",
        1_024,
        low=16,
        high=65_536,
    )
    body_timeout_s: int = setting("Longest time that a caller may take to send a body.", 30, low=1, high=600)
    wait_max_s: int = setting(
        "Longest wait that a caller may ask for with Prefer: wait=N.", 60, low=0, high=600
    )
    records_per_s: int = setting(
        "Records that one API key may hand in per second, unless its own entry says otherwise. 0: no limit.",
        0,
        low=0,
        high=10_000_000,
    )
    burst: int = setting(
        "Records that an API key may hand in at once under such a limit.", 5_000, low=1, high=10_000_000
    )
    outbox_max_records: int = setting(
        "Records that may wait for the chain; beyond it new ones are refused with 503. Each takes about 300 bytes of disk.",
        5_000_000,
        low=1_000,
        high=1_000_000_000,
    )
    disk_reserve_mib: int = setting(
        "Free disk space below which nothing is taken in any more, in MiB.", 256, low=1, high=1_048_576
    )


@dataclass(frozen=True, slots=True)
class Anchoring:
    """Pace of submissions."""

    in_flight_max: int = setting(
        "Envelopes on their way at once. More: no gain, more memory.", 2, low=1, high=16
    )
    envelope_max_records: int = setting(
        "Most records of one envelope. Above the chain's own limit every envelope would be refused.",
        5_000,
        low=1,
        high=5_000,
    )
    reply_timeout_s: int = setting(
        "Longest wait for a node's answer before another node is tried. Too short: work is repeated under load.",
        5,
        low=1,
        high=120,
    )


@dataclass(frozen=True, slots=True)
class TelemetrySettings:
    """What the gateway writes to standard output about itself; never references, commitments or keys."""

    level: str = setting("debug, info, warning or error.", "info")
    style: str = setting("json (one object per line) or text (for people).", "json")


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """Everything a gateway is told by its operator."""

    institution: str = setting("The institution that this gateway belongs to, as in governance.")
    listen: Listen = setting("Where the gateway listens.")
    nodes: dict[str, NodePlace] = setting(
        "Nodes of the chain by node id, at least one of them with a submission door."
    )
    trust_file: str = setting(
        "The trust file: which signatures make a record final. Compare its fingerprint on paper."
    )
    database: str = setting(
        "SQLite file of records and outbox. Back it up; it is the only copy of references.", "gateway.db"
    )
    evidence: str = setting("Folder for evidence of contradicting signatures.", "evidence")
    api_keys: str = setting(
        "File of API keys (digests only), mode 0600; read again when it changes.", "keys/api-keys.toml"
    )
    stop_max_s: int = setting("Longest time that running requests get at a stop.", 10, low=1, high=600)
    submitter: Submitter = section(Submitter, "Who signs and submits.")
    limits: Limits = section(Limits, "What is accepted.")
    anchoring: Anchoring = section(Anchoring, "Pace of submissions.")
    telemetry: TelemetrySettings = section(TelemetrySettings, "What the gateway says about itself.")
    folder: Path = Path()  # where the file stood; set by `load_config`, not a setting

    def path(self, name: str) -> Path:
        """Return the absolute path of a configured one."""
        return (self.folder / name).absolute()


def load_config(path: Path) -> GatewayConfig:
    """Return the configuration in `path`.

    Raises ConfigError: what `settings` raises, and E_CONFIG_VALUE for values that do not fit each other.
    """
    config = build(GatewayConfig, read_document(path), folder=path.absolute().parent)
    _check(config)
    return config


def _check(config: GatewayConfig) -> None:
    if not names.INSTITUTION.fullmatch(config.institution):
        raise ConfigError("E_CONFIG_VALUE", f"institution matches {names.INSTITUTION.pattern}")
    _check_address(config.listen.http, "listen.http", required=True)
    _check_address(config.listen.ops, "listen.ops")
    if bool(config.listen.tls_cert) != bool(config.listen.tls_key):
        raise ConfigError("E_CONFIG_VALUE", "listen.tls_cert and listen.tls_key go together")
    plain = not config.listen.tls_cert and not config.listen.behind_proxy
    if plain and not _LOOPBACK.fullmatch(config.listen.http):
        raise ConfigError(
            "E_CONFIG_VALUE", "listen.http is not loopback: API keys must not travel without TLS"
        )
    for node_id, node in config.nodes.items():
        if not names.NODE_ID.fullmatch(node_id):
            raise ConfigError("E_CONFIG_VALUE", f"{node_id!r} is no node id")
        _check_address(node.submit, f"nodes.{node_id}.submit")
        _check_address(node.read, f"nodes.{node_id}.read")
    if not any(node.submit for node in config.nodes.values()) or not any(
        node.read for node in config.nodes.values()
    ):
        raise ConfigError("E_CONFIG_VALUE", "at least one node needs a submission door and one a read door")
    if config.telemetry.level not in _LEVELS:
        raise ConfigError("E_CONFIG_VALUE", f"telemetry.level is none of {', '.join(_LEVELS)}")
    if config.telemetry.style not in _STYLES:
        raise ConfigError("E_CONFIG_VALUE", f"telemetry.style is none of {', '.join(_STYLES)}")


def _check_address(address: str, path: str, *, required: bool = False) -> None:
    if not address and not required:
        return
    if not _ADDRESS.fullmatch(address) or not 0 < int(address.rsplit(":", 1)[1]) < 65_536:
        raise ConfigError("E_CONFIG_VALUE", f"{path} is not host:port")


def split_address(address: str) -> tuple[str, int]:
    """Return host and port of a checked address; brackets of IPv6 are taken off."""
    host, port = address.rsplit(":", 1)
    return host.strip("[]"), int(port)
