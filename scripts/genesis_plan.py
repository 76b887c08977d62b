"""From a plan that people signed off to the first block of a chain: reading `plan.toml` and the identity files.

Why: genesis decides for ever who the institutions are, whose keys count and how many must agree. Its inputs are
therefore files that people can read and compare: each node's public `identity.json`, each institution's public
governance key, and a plan that names them.

plan.toml::

    chain_name = "tiezheng-prod"
    quorum = 3
    f = 1  # optional, default 1; 0 for a single institution
    nodes = ["broker-1.json", "market-1.json"]
    submitters = ["gateway-1.json"]

    [[institutions]]
    id = "BROKER"
    name = "某证券股份有限公司"
    uscc = "91…"  # 统一社会信用代码, 18 characters
    role = "broker"  # broker, market, auditor, regulator, partner
    governance_key = "broker-gov.pub.json"

Rules kept here: unknown keys are refused; only public halves are read.
Refuses: to make or to read any secret.
"""

import base64
import json
import tomllib
from pathlib import Path
from typing import Any

from ledger.algorithms import SIG_ED25519
from ledger.body import encode_genesis_body, parse_body
from ledger.errors import LedgerError
from ledger.governance import (
    Institution,
    Key,
    Limits,
    Node,
    NodeRole,
    State,
    Submitter,
    TlsPin,
    genesis_state,
    new_genesis_content,
)
from scripts.exit_codes import CommandError, Exit, exit_for

_PLAN_KEYS = {"chain_name", "quorum", "f", "nodes", "submitters", "institutions"}
_INSTITUTION_KEYS = {"id", "name", "uscc", "role", "governance_key"}


def make_genesis(plan_path: Path, time_ms: int) -> tuple[bytes, State]:
    """Return (genesis body, the state it leads to) for a plan; paths in it are relative to it.

    Raises CommandError naming the file and the field, or with the ledger's own code when the network may not exist.
    """
    try:
        plan = tomllib.loads(plan_path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CommandError(
            exit_for(error, Exit.UNREADABLE), f"{plan_path} cannot be read: {error}"
        ) from error
    _only(plan, _PLAN_KEYS, str(plan_path))
    folder = plan_path.parent
    try:
        rows = tuple(_institution(folder, row) for row in plan["institutions"])
        nodes = tuple(_node(_public(folder / name, "node")) for name in plan["nodes"])
        submitters = tuple(
            _submitter(_public(folder / name, "submitter")) for name in plan.get("submitters", [])
        )
        content = new_genesis_content(
            plan["chain_name"],
            f=plan.get("f", 1),
            quorum=plan["quorum"],
            institutions=rows,
            nodes=nodes,
            submitters=submitters,
            limits=Limits(),
        )
        body = encode_genesis_body(time_ms, content)
        return body, genesis_state(parse_body(body))
    except KeyError as error:
        raise CommandError(Exit.UNREADABLE, f"{plan_path}: {error.args[0]} is missing") from error
    except (TypeError, ValueError) as error:
        raise CommandError(Exit.UNREADABLE, f"{plan_path}: a value has the wrong type ({error})") from error
    except LedgerError as error:
        raise CommandError(Exit.UNREADABLE, f"{plan_path}: {error.message}", code=error.code) from error


def _only(table: dict[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(table) - known)
    if unknown:
        raise CommandError(Exit.UNREADABLE, f"{where}: nothing is called {unknown[0]!r} here")


def _public(path: Path, kind: str) -> dict[str, Any]:
    """Return a public file of the given kind."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CommandError(exit_for(error, Exit.UNREADABLE), f"{path} cannot be read: {error}") from error
    if not isinstance(document, dict) or document.get("schema") != f"tiezheng.{kind}/1":
        raise CommandError(
            Exit.UNREADABLE,
            f"{path} is no public {kind} file",
            hint="`tiezheng init` and `tiezheng key new` write them",
        )
    return document


def _key(row: dict[str, Any]) -> Key:
    return Key(row["id"], SIG_ED25519, bytes.fromhex(row["public"]), 0, 0)


def _institution(folder: Path, row: dict[str, Any]) -> Institution:
    _only(row, _INSTITUTION_KEYS, "institutions")
    key = _public(folder / row["governance_key"], "key")
    if key["purpose"] != "governance":
        raise CommandError(
            Exit.UNREADABLE, f"{row['governance_key']} is a {key['purpose']} key, not a governance key"
        )
    return Institution(row["id"], row["name"], row["uscc"], row["role"], (_key(key),))


def _node(row: dict[str, Any]) -> Node:
    return Node(
        row["node_id"],
        row["institution"],
        NodeRole[row["role"].upper()],
        (_key(row["node_key"]),),
        (_key(row["log_key"]),),
        (_key(row["cosigner_key"]),),
        (TlsPin(row["tls"]["id"], base64.b64decode(row["tls"]["certificate"], validate=True), 0, 0),),
    )


def _submitter(row: dict[str, Any]) -> Submitter:
    key = row["key"]
    der = base64.b64decode(row["tls"]["certificate"], validate=True)
    return Submitter(row["institution"], key["id"], SIG_ED25519, bytes.fromhex(key["public"]), der, 0, 0)
