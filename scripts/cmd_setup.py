"""`tiezheng init`, `tiezheng key` and `tiezheng genesis`: how a real network comes into being, step by step.

Why: creating is deliberate and separate from running. `init identity` makes the keys where they will be used, and a
public file to hand over; `genesis create` makes the first block from everybody's public files; `init node` makes the
data folder once, from the configuration. Running never creates any of these.

Secrets are written with mode 0600 and never printed, never taken from the command line.

Refuses: writing over a file that exists.
"""

import base64
import hashlib
import re
import time
from pathlib import Path
from typing import Any

import click

from gateway.errors import GatewayError
from ledger.body import parse_body
from ledger.errors import LedgerError
from ledger.governance import State, genesis_state, policy_text
from ledger.names import INSTITUTION, KEY_ID
from node.config import load_config
from node.errors import NodeError
from node.keys import Purpose, SigningKey, load_key, new_signing_key, save_key, write_secret
from node.start import init_node
from node.tls_certs import new_identity, pem_to_der
from scripts.exit_codes import CommandError, Exit, exit_for
from scripts.genesis_plan import make_genesis
from scripts.output import command_errors, emit_json, json_option, note, say
from scripts.public_files import key_document, write_public

_TLS_DAYS = 825
_NODE_NAME = re.compile(r"[a-z0-9-]{1,23}")  # its longest key id, NAME-cosigner, has at most 32 characters
_EXITS = {
    "E_KEY_FILE_MODE": Exit.NOT_ALLOWED,
    "E_KEY_FILE_FORMAT": Exit.UNREADABLE,
    "E_CONFIG_UNREADABLE": Exit.UNREADABLE,
}
_HINTS = {
    "E_KEY_FILE_EXISTS": "keys are never written over; name another file, or another folder",
    "E_STORE_EXISTS": "a node's folder is made once; `tiezheng node run` starts what is there",
    "E_DATABASE_EXISTS": "a gateway's database is made once; `tiezheng gateway run` starts what is there",
}


def _guard(error: NodeError | LedgerError | GatewayError) -> CommandError:
    exit_code = exit_for(error, _EXITS.get(error.code, Exit.FAILURE))
    if error.code.endswith("_EXISTS"):
        exit_code = Exit.CONFLICT
    return CommandError(exit_code, error.message, code=error.code, hint=_HINTS.get(error.code, ""))


def _check_name(what: str, name: str, rule: re.Pattern[str]) -> None:
    if not rule.fullmatch(name):
        raise CommandError(Exit.USAGE, f"{what} {name!r} does not match {rule.pattern}")


@click.group()
def init() -> None:
    """Make a node's or a gateway's keys, and the data folder of a node."""


@init.command("identity")
@click.argument("name")
@click.option("--institution", required=True, help="[A-Z0-9-], such as BROKER.")
@click.option(
    "--role", type=click.Choice(["voter", "observer", "submitter"]), default="voter", show_default=True
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Folder for the keys and the public file."
)
@json_option
@command_errors
def init_identity(name: str, institution: str, role: str, out: Path, as_json: bool) -> None:
    """Make the keys of the node or gateway NAME below --out, and NAME.json to hand over.

    Example: tiezheng init identity market-1 --institution MARKET --out ./market-1
    """
    _check_name("NAME", name, _NODE_NAME)
    _check_name("--institution", institution, INSTITUTION)
    public = out / f"{name}.json"
    if public.exists():
        raise CommandError(
            Exit.CONFLICT, f"{public} exists already", hint="keys are never written over; choose a folder"
        )
    document: dict[str, Any] = {"institution": institution}
    try:
        tls = new_identity(None, name, int(time.time()), _TLS_DAYS)
        certificate = base64.b64encode(pem_to_der(tls.cert_pem)).decode("ascii")
        document["tls"] = {"id": f"{name}-tls", "certificate": certificate}
        if role == "submitter":
            document["key"] = key_document(_new_key(out / "keys/submitter.key", Purpose.SUBMITTER, name))
        else:
            document |= {"node_id": name, "role": role}
            for purpose in (Purpose.NODE, Purpose.LOG, Purpose.COSIGNER):
                key = _new_key(out / f"keys/{purpose}.key", purpose, f"{name}-{purpose}")
                document[f"{purpose}_key"] = key_document(key)
        write_secret(out / "keys/tls.key", tls.key_pem)
        (out / "keys/tls.crt").write_bytes(tls.cert_pem)
    except (NodeError, LedgerError) as error:
        raise _guard(error) from error
    kind = "submitter" if role == "submitter" else "node"
    fingerprint = write_public(public, f"tiezheng.{kind}/1", document)
    _report(as_json, "tiezheng.identity/1", {"public_file": str(public), "sha256": fingerprint})


def _new_key(path: Path, purpose: Purpose, key_id: str) -> SigningKey:
    key = new_signing_key(purpose, key_id)
    save_key(path, key)
    return key


@init.command("node")
@click.option(
    "--config", "config_path", required=True, type=click.Path(path_type=Path), help="The node's TOML file."
)
@json_option
@command_errors
def init_node_command(config_path: Path, as_json: bool) -> None:
    """Make the data folder that the configuration names: chain store with genesis, then the head file. Once."""
    try:
        chain_id = init_node(load_config(config_path))
    except (NodeError, LedgerError) as error:
        raise _guard(error) from error
    _report(
        as_json,
        "tiezheng.init/1",
        {"chain_id": chain_id, "next": f"tiezheng node run --config {config_path}"},
    )


@init.command("gateway")
@click.option(
    "--config", "config_path", required=True, type=click.Path(path_type=Path), help="The gateway's TOML file."
)
@json_option
@command_errors
def init_gateway_command(config_path: Path, as_json: bool) -> None:
    """Make the database of the gateway that the configuration describes. Once."""
    from gateway.app import init_gateway

    try:
        database = init_gateway(config_path)
    except GatewayError as error:
        raise _guard(error) from error
    first_key = f"tiezheng gateway key-new NAME --config {config_path} --source SOURCE --out NAME.key"
    document = {"database": str(database), "next": first_key}
    _report(as_json, "tiezheng.init-gateway/1", document)


@click.group()
def key() -> None:
    """Make and show keys."""


@key.command("new")
@click.argument("purpose", type=click.Choice([p.value for p in Purpose]))
@click.option("--id", "key_id", required=True, help="[a-z0-9-], never used for another key.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="File for the secret key.")
@json_option
@command_errors
def key_new(purpose: str, key_id: str, out: Path, as_json: bool) -> None:
    """Make one Ed25519 key: the secret to --out (mode 0600), the public half to OUT with .pub.json.

    Example: tiezheng key new governance --id broker-gov --out broker-gov.key
    """
    _check_name("--id", key_id, KEY_ID)
    try:
        made = _new_key(out, Purpose(purpose), key_id)
    except (NodeError, LedgerError) as error:
        raise _guard(error) from error
    public = out.with_suffix(".pub.json")
    fingerprint = write_public(public, "tiezheng.key/1", {"purpose": purpose, **key_document(made)})
    _report(as_json, "tiezheng.key-new/1", {"public_file": str(public), "sha256": fingerprint})


@key.command("show")
@click.argument("file", type=click.Path(path_type=Path))
@json_option
@command_errors
def key_show(file: Path, as_json: bool) -> None:
    """Show the public half of a key file."""
    try:
        shown = load_key(file)
    except (NodeError, LedgerError) as error:
        raise _guard(error) from error
    fingerprint = hashlib.sha256(shown.public).hexdigest()
    document = {"purpose": shown.purpose.value, **key_document(shown), "sha256": fingerprint}
    _report(as_json, "tiezheng.key-show/1", document)


@click.group()
def genesis() -> None:
    """Make and show the first block of a chain."""


@genesis.command("create")
@click.argument("plan", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="File for the genesis body.")
@click.option("--policy", required=True, type=click.Path(path_type=Path), help="File for the trust file.")
@json_option
@command_errors
def genesis_create(plan: Path, out: Path, policy: Path, as_json: bool) -> None:
    """Make the genesis body and the trust file from a plan (docs/operating/setup.md shows one).

    Example: tiezheng genesis create plan.toml --out genesis.bin --policy policy.txt
    """
    for path in (out, policy):
        if path.exists():
            raise CommandError(
                Exit.CONFLICT, f"{path} exists already", hint="a chain begins once; choose another name"
            )
    body, state = make_genesis(plan, int(time.time() * 1000))
    out.write_bytes(body)
    policy.write_bytes(policy_text(state))
    note("Compare the two fingerprints with every institution before anybody runs `tiezheng init node`.")
    _report(as_json, "tiezheng.genesis/1", _facts(body, state))


@genesis.command("show")
@click.argument("file", type=click.Path(path_type=Path))
@json_option
@command_errors
def genesis_show(file: Path, as_json: bool) -> None:
    """Show what a genesis body says."""
    body = file.read_bytes()
    try:
        state = genesis_state(parse_body(body))
    except LedgerError as error:
        raise CommandError(
            Exit.UNREADABLE, f"{file} is no genesis body: {error.message}", code=error.code
        ) from error
    _report(as_json, "tiezheng.genesis/1", _facts(body, state))


def _facts(body: bytes, state: State) -> dict[str, Any]:
    return {
        "chain_id": state.chain_id,
        "genesis_sha256": hashlib.sha256(body).hexdigest(),
        "policy_sha256": hashlib.sha256(policy_text(state)).hexdigest(),
        "f": state.f,
        "quorum": state.quorum,
        "institutions": [f"{row.institution} {row.name} {row.uscc} {row.role}" for row in state.institutions],
        "voters": list(state.voters()),
        "observers": list(state.observers()),
        "submitters": [f"{row.institution} {row.key_id}" for row in state.submitters],
    }


def _report(as_json: bool, schema: str, document: dict[str, Any]) -> None:
    if as_json:
        emit_json(schema, document)
        return
    width = max(len(name) for name in document)
    for name, value in document.items():
        for line in value if isinstance(value, list) else [value]:
            say(f"{name:<{width}}  {line}")
