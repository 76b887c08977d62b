"""Makes a whole network's keys, genesis, trust file and configuration files: for development, demos and
tests.

Why: `tiezheng dev up`, the demos and the integration tests must stand on the same files that production has,
made by the same code. Only the ceremony is missing: here one process makes everybody's keys, and says so.

The folder (docs/operating/dev.md): ``genesis.bin``, ``policy.txt``, ``ca/``, ``governance-keys/``,
``nodes/<id>/{node.toml,keys/,chain/,head}``, ``gateway/{gateway.toml,keys/}`` (the submitter's keys and
``api-keys.toml``), ``keys/demo-api.key``.

Refuses: a folder that holds a network already; more than nodes of one machine (every door is on loopback).
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ledger.algorithms import SIG_ED25519
from ledger.body import encode_genesis_body, parse_body
from ledger.governance import (
    Institution,
    Key,
    Limits,
    Node,
    NodeRole,
    Submitter,
    TlsPin,
    genesis_state,
    new_genesis_content,
    policy_text,
)
from ledger.names import uscc_check_character
from node.config import load_config
from node.keys import Purpose, SigningKey, TlsIdentity, new_signing_key, save_key, write_secret
from node.start import init_node
from node.tls_certs import TlsAuthority, new_authority, new_identity, pem_to_der
from scripts.network_gateway import GatewayPlace, write_gateway

_CERT_DAYS = 3650  # a development network must not stop over a date
_HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class InstitutionSpec:
    """An institution of a network to be made. `stem` are 17 characters of a made-up registration code."""

    institution: str
    name: str
    stem: str
    role: str


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """A node of a network to be made."""

    node_id: str
    institution: str
    voter: bool = True


@dataclass(frozen=True, slots=True)
class BuiltNode:
    """Where a node of a made network is. Ports follow the order of the nodes: base + 10 times its place."""

    node_id: str
    institution: str
    role: str  # voter or observer
    data_dir: Path
    config_path: Path
    peer_address: str
    submit_address: str
    read_address: str
    read_url: str
    ops_url: str


@dataclass(frozen=True, slots=True)
class BuiltNetwork:
    """A network that was made; nothing of it runs yet."""

    folder: Path
    chain_id: str
    genesis_path: Path
    policy_file: Path
    nodes: tuple[BuiltNode, ...]
    gateway: GatewayPlace


INSTITUTIONS = (
    InstitutionSpec("BROKER", "示例证券股份有限公司", "91000000TYBRKR001", "broker"),
    InstitutionSpec("MARKET", "示例市场信息有限公司", "91000000TYMRKT001", "market"),
    InstitutionSpec("AUDITOR", "示例会计师事务所", "91000000TYADTR001", "auditor"),
    InstitutionSpec("REGULATOR", "示例监管机构", "11000000TYREGT001", "regulator"),
)
NODES = (
    NodeSpec("broker-1", "BROKER"),
    NodeSpec("market-1", "MARKET"),
    NodeSpec("auditor-1", "AUDITOR"),
    NodeSpec("regulator-1", "REGULATOR", voter=False),
)


def build_network(
    folder: Path,
    port_base: int = 7600,
    *,
    institutions: Sequence[InstitutionSpec] = INSTITUTIONS,
    nodes: Sequence[NodeSpec] = NODES,
    quorum: int = 3,
    f: int = 1,
    limits: Limits | None = None,
    chain_name: str = "tiezheng-dev",
) -> BuiltNetwork:
    """Make all files of a network below `folder` (which exists or is made) and the data folder of every node.

    The gateway belongs to the first institution. Raises the ledger's errors when the network may not exist
    (2q - n <= f, ids that are none), KeyFileError E_KEY_FILE_EXISTS or StoreError E_STORE_EXISTS when there
    is one already.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    now_s = int(time.time())
    authority = _new_ca(folder, now_s, chain_name)
    rows = tuple(_institution(folder, spec) for spec in institutions)
    built = tuple(_place(folder, spec, port_base + 10 * at) for at, spec in enumerate(nodes))
    node_rows = tuple(
        _node_keys(place.data_dir, spec, authority, now_s) for place, spec in zip(built, nodes, strict=True)
    )
    owner = institutions[0].institution
    submitter = _submitter(folder, owner, authority, now_s)
    content = new_genesis_content(
        chain_name,
        f=f,
        quorum=quorum,
        institutions=rows,
        nodes=node_rows,
        submitters=(submitter,),
        limits=limits or Limits(),
    )
    genesis = encode_genesis_body(1000 * now_s, content)
    genesis_path, policy_path = folder / "genesis.bin", folder / "policy.txt"
    genesis_path.write_bytes(genesis)
    state = genesis_state(parse_body(genesis))
    policy_path.write_bytes(policy_text(state))
    for place in built:
        place.config_path.write_text(node_toml(place, built), "utf-8")
        init_node(load_config(place.config_path))
    gateway = write_gateway(folder, port_base, owner, built)
    return BuiltNetwork(folder, state.chain_id, genesis_path, policy_path, built, gateway)


def node_toml(place: BuiltNode, others: Sequence[BuiltNode]) -> str:
    """The configuration file of a node: what differs from the defaults."""
    doors = [
        f'read = "{place.read_address}"',
        f'read_http = "{place.read_url.removeprefix("http://")}"',
        f'ops = "{place.ops_url.removeprefix("http://")}"',
    ]
    if place.role == "voter":
        doors = [f'peer = "{place.peer_address}"', f'submit = "{place.submit_address}"', *doors]
    lines = [
        "# Every setting, with its unit and its consequence: docs/operating/node-settings.md",
        f'node_id = "{place.node_id}"',
        'genesis = "../../genesis.bin"',
        'data = "."',
        "",
        "[doors]",
        *doors,
        "",
    ]
    for other in others:
        if other.node_id != place.node_id:
            peer = [f'peer = "{other.peer_address}"'] if other.role == "voter" else []
            lines += [f"[peers.{other.node_id}]", *peer, f'read = "{other.read_address}"', ""]
    return "\n".join(lines)


def _new_ca(folder: Path, now_s: int, chain_name: str) -> TlsAuthority:
    authority = new_authority(f"{chain_name} CA", now_s, _CERT_DAYS)
    write_secret(folder / "ca/ca.key", authority.key_pem)
    (folder / "ca/ca.crt").write_bytes(authority.cert_pem)
    return authority


def _institution(folder: Path, spec: InstitutionSpec) -> Institution:
    key = new_signing_key(Purpose.GOVERNANCE, f"{spec.institution.lower()}-gov")
    save_key(folder / "governance-keys" / f"{spec.institution}.key", key)
    code = spec.stem + uscc_check_character(spec.stem)
    return Institution(spec.institution, spec.name, code, spec.role, (_public(key),))


def _place(folder: Path, spec: NodeSpec, base: int) -> BuiltNode:
    data = folder / "nodes" / spec.node_id
    return BuiltNode(
        node_id=spec.node_id,
        institution=spec.institution,
        role="voter" if spec.voter else "observer",
        data_dir=data,
        config_path=data / "node.toml",
        peer_address=f"{_HOST}:{base}",
        submit_address=f"{_HOST}:{base + 1}",
        read_address=f"{_HOST}:{base + 2}",
        read_url=f"http://{_HOST}:{base + 3}",
        ops_url=f"http://{_HOST}:{base + 4}",
    )


def _node_keys(data: Path, spec: NodeSpec, authority: TlsAuthority, now_s: int) -> Node:
    """Make and write all keys of a node; returns its row of genesis."""
    rows = {}
    for purpose in (Purpose.NODE, Purpose.LOG, Purpose.COSIGNER):
        key = new_signing_key(purpose, f"{spec.node_id}-{purpose}")
        save_key(data / "keys" / f"{purpose}.key", key)
        rows[purpose] = (_public(key),)
    identity = new_identity(authority, spec.node_id, now_s, _CERT_DAYS)
    _write_tls(data / "keys", identity)
    pin = TlsPin(f"{spec.node_id}-tls", pem_to_der(identity.cert_pem), 0, 0)
    role = NodeRole.VOTER if spec.voter else NodeRole.OBSERVER
    return Node(
        spec.node_id,
        spec.institution,
        role,
        rows[Purpose.NODE],
        rows[Purpose.LOG],
        rows[Purpose.COSIGNER],
        (pin,),
    )


def _submitter(folder: Path, institution: str, authority: TlsAuthority, now_s: int) -> Submitter:
    key = new_signing_key(Purpose.SUBMITTER, "gateway-1")
    save_key(folder / "gateway/keys/submitter.key", key)
    identity = new_identity(authority, "gateway-1", now_s, _CERT_DAYS)
    _write_tls(folder / "gateway/keys", identity)
    der = pem_to_der(identity.cert_pem)
    return Submitter(institution, key.key_id, SIG_ED25519, key.public, der, 0, 0)


def _write_tls(folder: Path, identity: TlsIdentity) -> None:
    write_secret(folder / "tls.key", identity.key_pem)
    (folder / "tls.crt").write_bytes(identity.cert_pem)


def _public(key: SigningKey) -> Key:
    return Key(key.key_id, SIG_ED25519, key.public, 0, 0)


def with_voters(nodes: Sequence[NodeSpec], count: int) -> tuple[NodeSpec, ...]:
    """The first `count` nodes, all as voters: small networks for tests."""
    return tuple(replace(spec, voter=True) for spec in nodes[:count])
