"""The development network's folder as other commands see it: where things are, what is running.

Why: `status`, `submit`, `proof` and the demos work on a running development network without being told addresses and
keys; this module is the one place that knows the folder's layout (docs/operating/dev.md) and its index file
`network.json`.

Refuses: a folder that `tiezheng dev up` did not make.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.exit_codes import CommandError, Exit
from scripts.web import read_key_file

DEFAULT_FOLDER = Path("tiezheng-dev")
INDEX_NAME = "network.json"


@dataclass(frozen=True, slots=True)
class NodePlace:
    """One node of the development network: its configuration, doors and data."""

    name: str
    institution: str
    role: str
    config: Path
    data: Path
    read_url: str
    ops_url: str


@dataclass(frozen=True, slots=True)
class DevNetwork:
    """What `network.json` says; all paths absolute."""

    folder: Path
    chain_id: str
    port_base: int
    gateway_url: str
    gateway_ops_url: str
    gateway_config: Path
    api_key_file: Path
    policy_file: Path
    nodes: tuple[NodePlace, ...]

    def node(self, name: str) -> NodePlace:
        """Return the node called `name`; CommandError (NOT_FOUND) names the ones there are."""
        for place in self.nodes:
            if place.name == name:
                return place
        known = ", ".join(n.name for n in self.nodes)
        raise CommandError(Exit.NOT_FOUND, f"there is no node {name!r} here", hint=f"nodes: {known}")

    def pid_file(self, name: str) -> Path:
        """Return the pid file of a process (a node's name, or "gateway")."""
        return self.folder / "run" / f"{name}.pid"

    def log_file(self, name: str) -> Path:
        """Return the telemetry file of a process."""
        return self.folder / "log" / f"{name}.log"


def save(network: DevNetwork) -> None:
    """Write `network.json` (paths relative to the folder, so the folder can be moved)."""

    def rel(path: Path) -> str:
        return str(path.relative_to(network.folder))

    document: dict[str, Any] = {
        "schema": "tiezheng.network/1",
        "chain_id": network.chain_id,
        "port_base": network.port_base,
        "gateway_url": network.gateway_url,
        "gateway_ops_url": network.gateway_ops_url,
        "gateway_config": rel(network.gateway_config),
        "api_key_file": rel(network.api_key_file),
        "policy_file": rel(network.policy_file),
        "nodes": [
            {
                "name": n.name,
                "institution": n.institution,
                "role": n.role,
                "config": rel(n.config),
                "data": rel(n.data),
                "read_url": n.read_url,
                "ops_url": n.ops_url,
            }
            for n in network.nodes
        ],
    }
    temporary = network.folder / (INDEX_NAME + ".new")
    temporary.write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    temporary.replace(network.folder / INDEX_NAME)


def load(folder: Path | None) -> DevNetwork:
    """Return the network of a folder (default `./tiezheng-dev`); CommandError (NOT_FOUND, NOT_ALLOWED) when it has none."""
    root = (folder or DEFAULT_FOLDER).absolute()
    try:
        document = json.loads((root / INDEX_NAME).read_text(encoding="utf-8"))
        if document["schema"] != "tiezheng.network/1":
            raise KeyError("schema")
        return DevNetwork(
            folder=root,
            chain_id=document["chain_id"],
            port_base=document["port_base"],
            gateway_url=document["gateway_url"],
            gateway_ops_url=document["gateway_ops_url"],
            gateway_config=root / document["gateway_config"],
            api_key_file=root / document["api_key_file"],
            policy_file=root / document["policy_file"],
            nodes=tuple(
                NodePlace(
                    name=n["name"],
                    institution=n["institution"],
                    role=n["role"],
                    config=root / n["config"],
                    data=root / n["data"],
                    read_url=n["read_url"],
                    ops_url=n["ops_url"],
                )
                for n in document["nodes"]
            ),
        )
    except PermissionError as error:
        raise CommandError(
            Exit.NOT_ALLOWED, f"{root} may not be read", hint="run it as the user who made the network"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CommandError(
            Exit.NOT_FOUND,
            f"there is no development network in {root}",
            hint="start one with `tiezheng dev up`, or name its folder with --data",
        ) from error


def gateway_of(folder: Path | None, url: str | None, key_file: Path | None) -> tuple[str, str]:
    """Return (base address, API key) from explicit options, else from a development folder."""
    if url is not None:
        if key_file is None:
            raise CommandError(Exit.USAGE, "--gateway needs --api-key-file")
        return url.rstrip("/"), read_key_file(key_file)
    network = load(folder)
    return network.gateway_url, read_key_file(key_file or network.api_key_file)
