"""`tiezheng chain fsck`: derive a whole chain anew from its bodies and compare everything that is stored.

Why: nobody has to believe a node's store, its owner included. The same fold that running nodes use recomputes every
header, tile and root; what differs is named with its height.

Works on a stopped node's data folder, or a copy of it, and changes nothing. Exit codes: 0 everything follows, 12 a
contradiction, 13 no readable store.

Refuses: repair.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from ledger.audit import Finding, Progress, Verdict, audit
from ledger.errors import LedgerError
from ledger.store_chain import ChainStore
from ledger.store_derived import DerivedStore
from node.config import NodeConfig, load_config
from node.errors import ConfigError, NodeError
from node.start import CHAIN, DERIVED
from scripts.exit_codes import CommandError, Exit, exit_for
from scripts.output import command_errors, emit_json, json_option, note, say


@click.group()
def chain() -> None:
    """Look at the ledger itself."""


@chain.command()
@click.option(
    "--config", required=True, type=click.Path(path_type=Path), help="The stopped node's TOML file."
)
@click.option("--no-derived", is_flag=True, help="Only the chain of bodies, not what is derived from it.")
@json_option
@command_errors
def fsck(config: Path, no_derived: bool, as_json: bool) -> None:
    """Derive the chain of a stopped node anew and compare everything.

    Example: tiezheng chain fsck --config node.toml
    """
    result = run_fsck(config, derived=not no_derived)
    if as_json:
        emit_json("tiezheng.fsck/1", result)
    else:
        for finding in result["findings"]:
            say(f"! height {finding['height']}: {finding['message']} [{finding['code']}]")
        say(
            f"{result['chain_id']}: {result['blocks']:,} blocks, {result['records']:,} records, "
            f"tree {result['tree_size']:,}, {result['finding_count']} contradictions"
        )
        say(
            "everything follows from the bodies" if result["sound"] else "NOT SOUND: keep the folder as it is"
        )
    if not result["sound"]:
        sys.exit(int(Exit.LOG_CONTRADICTS))


def run_fsck(config_path: Path, *, derived: bool) -> dict[str, Any]:
    """Audit a node's stores; return the document that `--json` prints. Raises CommandError (UNREADABLE, CONFLICT, …)."""
    try:
        config = load_config(config_path)
        store = ChainStore.open(config.data_path / CHAIN, node_id=config.node_id)
    except (LedgerError, NodeError) as error:
        exit_code = Exit.CONFLICT if "LOCK" in error.code else exit_for(error, Exit.UNREADABLE)
        hint = "the way back is a new node id by governance"
        if exit_code is Exit.CONFLICT:
            hint = "stop the node first"
        elif isinstance(error, ConfigError):
            hint = "name the node's TOML file, as `tiezheng node run --config` takes it"
        raise CommandError(exit_code, error.message, code=error.code, hint=hint) from error
    try:
        tree = _open_derived(config, store) if derived else None
        try:
            return _run(store, tree)
        finally:
            if tree is not None:
                tree.close()
    finally:
        store.close()


def _open_derived(config: NodeConfig, store: ChainStore) -> DerivedStore | None:
    try:
        return DerivedStore.open(config.data_path / DERIVED, store)
    except LedgerError as error:
        note(f"what is derived cannot be opened ({error.message}); it is made anew at the next start")
        return None


def _run(store: ChainStore, tree: DerivedStore | None) -> dict[str, Any]:
    last = store.hard_state().commit
    notes: list[bytes] = list(tree.notes().values()) if tree is not None else []
    if tree is not None:
        last = max(last, tree.applied())
    findings: list[dict[str, Any]] = []
    verdict: Verdict | None = None
    for event in _shown(audit(store, last, chain_id=store.chain_id, derived=tree, notes=notes), last):
        if isinstance(event, Finding):
            findings.append({"code": event.code, "height": event.height, "message": event.message})
        elif isinstance(event, Verdict):
            verdict = event
    assert verdict is not None, "an audit ends with a verdict"
    return {
        "chain_id": store.chain_id,
        "blocks": verdict.block.height + 1 if verdict.block else 0,
        "records": verdict.records,
        "tree_size": verdict.block.tree_size if verdict.block else 0,
        "root": verdict.block.root.hex() if verdict.block else "",
        "checkpoints": verdict.notes,
        "derived_checked": tree is not None,
        "finding_count": verdict.findings,
        "findings": findings,
        "sound": verdict.complete and not verdict.findings,
    }


def _shown(events: Iterator[Any], last: int) -> Iterator[Any]:
    """Pass events on, and show progress where somebody is watching."""
    for event in events:
        if isinstance(event, Progress) and sys.stderr.isatty():
            share = 100 * event.height // max(1, last)
            sys.stderr.write(
                f"\r{share:3d} %  height {event.height:,} of {last:,}, {event.records:,} records "
            )
            sys.stderr.flush()
        yield event
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
