"""The gateway's part of a made network: its configuration file and the demonstration API key.

Why apart: the gateway knows nodes only by address, certificate and chain, so this is the one place where a
network's facts are spelled as the gateway's settings.

Refuses: making records, users or a database; the gateway does that when it first runs.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from node.keys import write_secret

_HTTP_OFFSET = 80
_OPS_OFFSET = 84


@dataclass(frozen=True, slots=True)
class GatewayPlace:
    """Where the gateway of a made network is."""

    config_path: Path
    url: str
    ops_url: str
    api_key_file: Path


class NodeFacts(Protocol):
    """What the gateway needs to know of a node."""

    @property
    def node_id(self) -> str:
        """The node's id, also the name in its certificate."""

    @property
    def role(self) -> str:
        """Voter or observer."""

    @property
    def data_dir(self) -> Path:
        """Its folder, which holds its certificate."""

    @property
    def submit_address(self) -> str:
        """host:port of its submission door."""

    @property
    def read_address(self) -> str:
        """host:port of its read door."""


def write_gateway(folder: Path, port_base: int, institution: str, nodes: Sequence[NodeFacts]) -> GatewayPlace:
    """Write gateway.toml and the demonstration API key; the submitter's keys are in place already."""
    place = GatewayPlace(
        config_path=folder / "gateway/gateway.toml",
        url=f"http://127.0.0.1:{port_base + _HTTP_OFFSET}",
        ops_url=f"http://127.0.0.1:{port_base + _OPS_OFFSET}",
        api_key_file=folder / "keys/demo-api.key",
    )
    secret = secrets.token_urlsafe(32)
    write_secret(place.api_key_file, f"{secret}\n".encode("ascii"))
    digest = hashlib.sha256(secret.encode("ascii")).hexdigest()
    keys = f'[keys.demo]\nsha256 = "{digest}"\nsources = ["*"]\n'
    write_secret(folder / "gateway/keys/api-keys.toml", keys.encode("ascii"))
    place.config_path.write_text(_toml(place, institution, nodes), "utf-8")
    return place


def _toml(place: GatewayPlace, institution: str, nodes: Sequence[NodeFacts]) -> str:
    lines = [
        "# Every setting, with its unit and its consequence: docs/operating/gateway.md",
        f'institution = "{institution}"',
        'trust_file = "../policy.txt"',
        "",
        "[listen]",
        f'http = "{place.url.removeprefix("http://")}"',
        f'ops = "{place.ops_url.removeprefix("http://")}"',
        "",
    ]
    for node in nodes:
        lines += [f"[nodes.{node.node_id}]", f'tls_cert = "../nodes/{node.node_id}/keys/tls.crt"']
        lines += [f'submit = "{node.submit_address}"'] if node.role == "voter" else []
        lines += [f'read = "{node.read_address}"', ""]
    return "\n".join(lines)
