"""`tiezheng node run` and `tiezheng gateway run`: the two programs that stay, and the gateway's keys for callers.

Why: what systemd starts, what the development network starts and what an operator types is one command line.

Refuses: to create anything while running (`init` does that), secrets as arguments.
"""

import hashlib
import os
import re
import resource
import secrets
import sys
from pathlib import Path

import click

from scripts.exit_codes import CommandError, Exit, exit_for
from scripts.output import command_errors, emit_json, json_option, note, say

_CALLER = re.compile(r"[a-z0-9-]{1,32}")
_DESCRIPTORS = 8_192
_SOURCE = re.compile(r"[A-Z0-9.-]{1,24}|\*")


@click.group()
def node() -> None:
    """Run a node."""


@node.command("run")
@click.option("--config", required=True, type=click.Path(path_type=Path), help="The node's TOML file.")
@command_errors
def node_run(config: Path) -> None:
    """Run the node of a configuration until it is told to stop (SIGTERM or Ctrl+C)."""
    os.environ.setdefault(
        "GRPC_VERBOSITY", "INFO"
    )  # gRPC reads it once: refused handshakes are told at this level
    from node.service import run

    _allow_descriptors()
    sys.exit(run(config))


@click.group()
def gateway() -> None:
    """Run the gateway; give keys to its callers."""


@gateway.command("run")
@click.option("--config", required=True, type=click.Path(path_type=Path), help="The gateway's TOML file.")
@command_errors
def gateway_run(config: Path) -> None:
    """Run the gateway of a configuration until it is told to stop (SIGTERM or Ctrl+C)."""
    from gateway.app import run_gateway

    _allow_descriptors()
    sys.exit(run_gateway(config))


@gateway.command("resume")
@click.option("--config", required=True, type=click.Path(path_type=Path), help="The gateway's TOML file.")
@json_option
@command_errors
def gateway_resume(config: Path, as_json: bool) -> None:
    """Let anchoring go on after a halt, once you have understood it; the gateway must be stopped. Evidence stays."""
    from gateway.app import resume_anchoring
    from gateway.errors import GatewayError

    try:
        reason = resume_anchoring(config)
    except GatewayError as error:
        raise CommandError(Exit.FAILURE, error.message, code=error.code) from error
    if as_json:
        emit_json("tiezheng.resume/1", {"reason": reason})
    else:
        say(f"resumed; it had stood still because: {reason}" if reason else "it was not halted")


@gateway.command("key-new")
@click.argument("caller")
@click.option("--config", required=True, type=click.Path(path_type=Path), help="The gateway's TOML file.")
@click.option(
    "--source", "sources", multiple=True, required=True, help="A source the caller may use; * for all."
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="File for the key (mode 0600).")
@json_option
@command_errors
def gateway_key_new(caller: str, config: Path, sources: tuple[str, ...], out: Path, as_json: bool) -> None:
    """Make an API key for CALLER: the key to --out, its digest into the gateway's key file.

    Example: tiezheng gateway key-new app --config gateway.toml --source QTDJ-APP --out app.key
    """
    from gateway.config import load_config
    from gateway.errors import GatewayError

    if not _CALLER.fullmatch(caller):
        raise CommandError(Exit.USAGE, f"CALLER matches {_CALLER.pattern}")
    for source in sources:
        if not _SOURCE.fullmatch(source):
            raise CommandError(Exit.USAGE, f"--source matches {_SOURCE.pattern}")
    try:
        settings = load_config(config)
    except GatewayError as error:
        raise CommandError(exit_for(error, Exit.UNREADABLE), error.message, code=error.code) from error
    keys = settings.path(settings.api_keys)
    present = keys.read_text(encoding="utf-8") if keys.exists() else ""
    if f"[keys.{caller}]" in present.splitlines():
        raise CommandError(Exit.CONFLICT, f"{caller} has a key already", hint=f"withdraw it in {keys} first")
    secret = secrets.token_urlsafe(32)
    _write_private(out, secret + "\n", exclusive=True)
    listed = ", ".join(f'"{source}"' for source in sources)
    digest = hashlib.sha256(secret.encode("ascii")).hexdigest()
    entry = f'[keys.{caller}]\nsha256 = "{digest}"\nsources = [{listed}]\n'
    _write_private(keys, (present + "\n" if present else "") + entry, exclusive=False)
    note("A running gateway takes the key by itself.")
    if as_json:
        emit_json("tiezheng.api-key/1", {"caller": caller, "key_file": str(out), "keys": str(keys)})
    else:
        say(f"{caller}: key in {out}, digest in {keys}")


def _allow_descriptors() -> None:
    """Let this process open as many files as its doors may have connections, as far as the system allows.

    A shell's usual 1,024 are used up by strangers who only connect; then databases and logs cannot be opened either.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < _DESCRIPTORS:
        note(
            f"Only {allowed} files may be open (ulimit -Hn); {_DESCRIPTORS} are needed when all doors are full."
        )


def _write_private(path: Path, text: str, *, exclusive: bool) -> None:
    """Write a file of mode 0600; replaced whole unless `exclusive`, which refuses one that exists."""
    path.parent.mkdir(parents=True, exist_ok=True)
    target = path if exclusive else path.with_name(path.name + ".new")
    try:
        descriptor = os.open(
            target, os.O_WRONLY | os.O_CREAT | (os.O_EXCL if exclusive else os.O_TRUNC), 0o600
        )
    except FileExistsError as error:
        raise CommandError(
            Exit.CONFLICT, f"{path} exists already", hint="keys are never written over"
        ) from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    if not exclusive:
        target.replace(path)
