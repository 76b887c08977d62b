"""The configuration of a node: one TOML file, one frozen type, every setting with its unit and its
consequence.

Why: who runs a node must be able to read what it will do before it does it. What the institutions agreed on
(members, keys, quorum, block limits) is not here but on the chain, so that nobody can run by other rules.

Rules kept here
- Unknown keys are fatal (`settings`). Relative paths are relative to the file they stand in.
- Secrets are never values, only paths; `keys` demands mode 0600.
- Addresses are ``host:port`` with a numeric port; an empty address closes a door.

Refuses: chain rules, secrets, environment variables.
"""

# ruff: noqa: RUF009 - setting() and section() return dataclass fields
import re
from dataclasses import dataclass
from pathlib import Path

from node.errors import ConfigError
from node.settings import build, read_document, section, setting

NODE_ID = re.compile(r"[a-z0-9-]{1,32}")
_ADDRESS = re.compile(r"(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):[0-9]{1,5}")
_LEVELS = ("debug", "info", "warning", "error")
_STYLES = ("json", "text")


@dataclass(frozen=True, slots=True)
class Doors:
    """Where the node listens. An empty address closes the door."""

    peer: str = setting(
        "host:port of the peer door (mutual TLS); voters need it, an observer may close it.", ""
    )
    submit: str = setting("host:port of the submission door (mutual TLS). An observer has none.", "")
    read: str = setting("host:port of the read door (gRPC, TLS on the server's side).", "")
    read_http: str = setting("host:port of the read door over HTTP: tiles, checkpoint, explorer.", "")
    ops: str = setting("host:port of health and metrics; keep it away from other institutions.", "")
    admin: str = setting(
        "Path of the operator's unix socket (mode 0600). Above 100 bytes the door stays closed, with a "
        "warning.",
        "admin.sock",
    )


@dataclass(frozen=True, slots=True)
class KeyPaths:
    """The node's own keys. Files must belong to the node's user and have mode 0600."""

    files: tuple[str, ...] = setting(
        "Ed25519 key files (node, log, cosigner); each names its purpose and key id. During a rotation both "
        "the old "
        "and the new one are listed: the old one signs until its last height is final.",
        ("keys/node.key", "keys/log.key", "keys/cosigner.key"),
    )
    tls_key: str = setting("PEM file of the P-256 key of the doors' TLS.", "keys/tls.key")
    tls_cert: str = setting("PEM file of the certificate pinned in governance.", "keys/tls.crt")


@dataclass(frozen=True, slots=True)
class Peer:
    """Where another node of the chain can be reached. Who it is, governance says."""

    peer: str = setting("host:port of its peer door.", "")
    read: str = setting("host:port of its read door: observers follow the chain there.", "")


@dataclass(frozen=True, slots=True)
class RaftTimes:
    """Pace of consensus. All voters should use the same numbers."""

    heartbeat_ms: int = setting(
        "Milliseconds between a leader's heartbeats. Longer: slower notice of a dead leader.",
        100,
        low=10,
        high=10_000,
    )
    election_timeout_ms: int = setting(
        "Milliseconds without a leader before an election; each wait is drawn between this and twice this. "
        "Shorter than the longest pause of a disk or a scheduler: needless elections.",
        750,
        low=50,
        high=60_000,
    )


@dataclass(frozen=True, slots=True)
class Blocks:
    """How a leader gathers envelopes into blocks; the hard limits are on the chain."""

    full_records: int = setting(
        "A block is built as soon as so many records wait. More: fewer, longer stalls.",
        2_000,
        low=1,
        high=5_000,
    )
    gather_ms: int = setting(
        "Longest wait for more records while another block is in flight. A lone envelope never waits.",
        3,
        low=0,
        high=1_000,
    )
    in_flight_max: int = setting(
        "Blocks proposed but not applied. More: no gain on two cores.", 2, low=1, high=16
    )
    waiting_max_records: int = setting(
        "Records that may wait for a block; beyond it submitters are told to slow down.",
        100_000,
        low=1,
        high=2_000_000,
    )
    slow_down_ms: int = setting("The delay that a refused submitter is asked for.", 200, low=1, high=60_000)


@dataclass(frozen=True, slots=True)
class Limits:
    """What the doors and queues accept; beyond it: refused or dropped, never grown."""

    message_max_bytes: int = setting(
        "Largest gRPC message on the peer and submission doors. Below the largest body the chain cannot go "
        "on.",
        6_291_456,
        low=65_536,
        high=67_108_864,
    )
    peer_queue_max_bytes: int = setting(
        "Bytes that may wait for one peer before data messages are dropped (consensus repeats them).",
        33_554_432,
        low=1_048_576,
        high=1_073_741_824,
    )
    peer_queue_max_messages: int = setting(
        "Messages that may wait for one peer; beyond it the oldest data message is dropped.",
        512,
        low=16,
        high=65_536,
    )
    inbox_max_messages: int = setting(
        "Messages of one peer's stream that wait for the loop; beyond it the stream is not read.",
        1_024,
        low=16,
        high=65_536,
    )
    inbox_max_bytes: int = setting(
        "Bytes of one peer's stream that wait for the loop.", 67_108_864, low=1_048_576, high=1_073_741_824
    )
    submit_streams_max: int = setting("Open submission streams of one submitter.", 8, low=1, high=1_024)
    submit_waiting_max: int = setting(
        "Envelopes of one stream that may be unanswered; beyond it: slow down.", 256, low=1, high=65_536
    )
    tickets_max: int = setting(
        "Envelopes of all streams that may be unanswered; beyond it: slow down.",
        4_096,
        low=16,
        high=1_048_576,
    )
    disk_reserve_mib: int = setting(
        "Free disk space, in MiB, below which a leader takes no envelopes: a full disk ends the process.",
        512,
        low=16,
        high=1_048_576,
    )


@dataclass(frozen=True, slots=True)
class Attest:
    """Pace of cosigning; which sizes are signed is on the chain."""

    quiet_ms: int = setting("Silence after which the newest block is signed as well.", 50, low=1, high=10_000)
    resign_s: int = setting(
        "Seconds after which an idle chain's newest size is signed again, so that freshness shows.",
        30,
        low=1,
        high=86_400,
    )
    jump_heights: int = setting(
        "Further behind than this, only the newest height due is signed.", 1_000, low=1, high=1_000_000
    )


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What the node writes to standard output about itself; never record content."""

    level: str = setting("debug, info, warning or error.", "info")
    style: str = setting("json (one object per line) or text (for people).", "json")


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """Everything a node is told by its operator. Paths are absolute once loaded."""

    node_id: str = setting("This node's id in governance.")
    genesis: str = setting(
        "Path of genesis.bin, the body of block 0: `run` refuses a store of another chain."
    )
    data: str = setting("Folder of this node's chain, derived store, head file and evidence.", ".")
    stop_max_s: int = setting("Longest clean stop; after it the process ends anyway.", 10, low=1, high=600)
    doors: Doors = section(Doors, "Where the node listens.")
    keys: KeyPaths = section(KeyPaths, "The node's own keys.")
    peers: dict[str, Peer] = setting("Other nodes by node id.", {})
    raft: RaftTimes = section(RaftTimes, "Pace of consensus.")
    blocks: Blocks = section(Blocks, "How blocks are gathered.")
    limits: Limits = section(Limits, "Limits of doors and queues.")
    attest: Attest = section(Attest, "Pace of cosigning.")
    telemetry: Telemetry = section(Telemetry, "What the node says about itself.")
    folder: Path = Path()  # where the file stood; set by `load_config`, not a setting

    def path(self, name: str) -> Path:
        """The absolute path of a configured one."""
        return (self.folder / name).absolute()

    @property
    def data_path(self) -> Path:
        """The data folder, absolute."""
        return self.path(self.data)


def load_config(path: Path) -> NodeConfig:
    """Return the configuration in `path`.

    Raises ConfigError: E_CONFIG_UNREADABLE, E_CONFIG_UNKNOWN_KEY, E_CONFIG_MISSING, E_CONFIG_TYPE,
    E_CONFIG_RANGE, E_CONFIG_VALUE.
    """
    return parse_config(read_document(path), path.absolute().parent)


def parse_config(document: dict[str, object], folder: Path) -> NodeConfig:
    """Return the configuration of a TOML document that stood in `folder`. Raises like `load_config`."""
    config = build(NodeConfig, {**document}, folder=folder)
    _check(config)
    return config


def _check(config: NodeConfig) -> None:
    """What types and ranges cannot say. Raises ConfigError E_CONFIG_VALUE."""
    doors = config.doors
    for name in ("peer", "submit", "read", "read_http", "ops"):
        _check_address(getattr(doors, name), f"doors.{name}")
    for node_id in (config.node_id, *config.peers):
        if not NODE_ID.fullmatch(node_id):
            raise ConfigError("E_CONFIG_VALUE", f"{node_id!r} is no node id ([a-z0-9-], 1 to 32 characters)")
    for node_id, peer in config.peers.items():
        _check_address(peer.peer, f"peers.{node_id}.peer")
        _check_address(peer.read, f"peers.{node_id}.read")
    if config.node_id in config.peers:
        raise ConfigError("E_CONFIG_VALUE", "the node itself stands among its peers")
    if config.raft.election_timeout_ms < 3 * config.raft.heartbeat_ms:
        raise ConfigError(
            "E_CONFIG_VALUE", "raft.election_timeout_ms must be at least 3 times raft.heartbeat_ms"
        )
    if config.telemetry.level not in _LEVELS:
        raise ConfigError("E_CONFIG_VALUE", f"telemetry.level is none of {', '.join(_LEVELS)}")
    if config.telemetry.style not in _STYLES:
        raise ConfigError("E_CONFIG_VALUE", f"telemetry.style is none of {', '.join(_STYLES)}")


def _check_address(address: str, path: str) -> None:
    if address and not (_ADDRESS.fullmatch(address) and 0 < int(address.rsplit(":", 1)[1]) < 65_536):
        raise ConfigError("E_CONFIG_VALUE", f"{path} is not host:port")
