"""`tiezheng status`: the whole network in one table.

Why: one screen must answer who leads, who lags, who has stopped co-signing and since when, and whether a submission
made now would become final. Each node is asked at its own read door; a node that does not answer is a row, not an
error.

Exit codes: 0 healthy, 7 when a node or the gateway is down, halted or behind, or no final checkpoint is known, 3 when
no node answers.

Refuses: to aggregate what nodes claim into proof. This is a view for operators; proofs are checked by `verify`.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click

from scripts.devfolder import DevNetwork, NodePlace, load
from scripts.exit_codes import CommandError, Exit
from scripts.output import command_errors, emit_json, json_option, say, table
from scripts.web import request

_TIMEOUT_S = 2.0
_LAG_MAX = 64
_COSIGNATURE_AGE_MAX_S = 150  # idle chains are signed again every 60 s by default


@click.command()
@click.option("--data", type=click.Path(path_type=Path), help="Development network's folder.")
@click.option(
    "--read-url", multiple=True, help="A node's read address; repeat for several; instead of --data."
)
@click.option("--watch", is_flag=True, help="Again every second until Ctrl+C.")
@json_option
@command_errors
def status(data: Path | None, read_url: tuple[str, ...], watch: bool, as_json: bool) -> None:
    """Show every node's role, height, lag and the age of its cosignature.

    Example: tiezheng status --watch
    """
    if watch and as_json:
        raise CommandError(Exit.USAGE, "--watch and --json do not go together")
    network = None if read_url else load(data)
    targets = [(u, u) for u in read_url] if network is None else [(n.name, n.read_url) for n in network.nodes]
    while True:
        view = gather(targets, network)
        if as_json:
            emit_json("tiezheng.status/1", view)
        else:
            text = render(view)
            say("\x1b[H\x1b[2J" + text if watch else text)
        if not watch:
            break
        time.sleep(1.0)
    if not any(row["reachable"] for row in view["nodes"]):
        raise SystemExit(int(Exit.UNREACHABLE))
    if not view["healthy"]:
        raise SystemExit(int(Exit.DEGRADED))


def gather(targets: list[tuple[str, str]], network: DevNetwork | None = None) -> dict[str, Any]:
    """Ask every target at once and return the document that `--json` prints (without its schema)."""
    with ThreadPoolExecutor(max_workers=max(1, len(targets))) as pool:
        answers = list(pool.map(lambda target: _ask(target[1]), targets))
    now_s = time.time()
    best = max((a["last_height"] for a in answers if a), default=0)
    cosigned = _newest_cosignatures([a for a in answers if a])
    places = {n.name: n for n in network.nodes} if network else {}
    rows = [
        _row(name, answer, best, cosigned, places.get(name), now_s)
        for (name, _), answer in zip(targets, answers, strict=True)
    ]
    alive = [a for a in answers if a]
    final = max(alive, key=lambda a: int(a["final_size"]), default=None)
    leader = _leader(alive)
    gateway = _gateway(network)
    return {
        "chain_id": alive[0]["chain_id"] if alive else "",
        "height": best,
        "tree_size": max((int(a["tree_size"]) for a in alive), default=0),
        "final_height": int(final["final_height"]) if final else 0,
        "final_size": int(final["final_size"]) if final else 0,
        "leader": leader,
        "term": max((int(a["term"]) for a in alive), default=0),
        "healthy": (bool(leader) or all(row["role"] == "observer" for row in rows))
        and all(row["healthy"] for row in rows)
        and bool(final and int(final["final_size"]))
        and (gateway is None or bool(gateway["ready"])),
        "nodes": rows,
        "gateway": gateway,
    }


def _ask(url: str) -> dict[str, Any] | None:
    try:
        answer = request(f"{url}/v1/status", timeout_s=_TIMEOUT_S)
        document = answer.json()
    except CommandError:
        return None
    return document if answer.status == 200 and isinstance(document, dict) else None


def _leader(alive: list[dict[str, Any]]) -> str:
    """Return who says he leads, else whom those asked follow; "" when they disagree or nobody knows one."""
    claims = {str(a["node_id"]) for a in alive if a["role"] == "leader"}
    known = claims or {str(a["leader"]) for a in alive if a["leader"]}
    return known.pop() if len(known) == 1 else ""


def _newest_cosignatures(answers: list[dict[str, Any]]) -> dict[str, tuple[int, int]]:
    """Return node id -> (time in seconds, size) of the newest cosignature that any node has seen of it."""
    newest: dict[str, tuple[int, int]] = {}
    for answer in answers:
        for entry in answer["cosigners"]:
            seen = (int(entry["time_s"]), int(entry["size"]))
            newest[entry["node_id"]] = max(seen, newest.get(entry["node_id"], (0, 0)))
    return newest


def _row(
    name: str,
    answer: dict[str, Any] | None,
    best: int,
    cosigned: dict[str, tuple[int, int]],
    place: NodePlace | None,
    now_s: float,
) -> dict[str, Any]:
    node = answer["node_id"] if answer else name
    time_s, size = cosigned.get(node, (0, 0))
    lag = best - int(answer["applied_height"]) if answer else None
    role = str(answer["role"]) if answer else "down"
    age_s = round(max(0.0, now_s - time_s), 1) if time_s else None
    return {
        "node": node,
        "institution": str(answer["institution"]) if answer else (place.institution if place else ""),
        "reachable": answer is not None,
        "role": role,
        "height": int(answer["applied_height"]) if answer else None,
        "lag": lag,
        "final_height": int(answer["final_height"]) if answer else None,
        "cosigned_size": size or None,
        "cosignature_age_s": age_s,
        "version": str(answer["version"]) if answer else "",
        "reason": str(answer["reason"]) if answer else "nobody answers at its read address",
        "healthy": role in {"leader", "follower", "observer"}
        and lag is not None
        and lag <= _LAG_MAX
        and age_s is not None
        and age_s <= _COSIGNATURE_AGE_MAX_S,
    }


def _gateway(network: DevNetwork | None) -> dict[str, Any] | None:
    if network is None:
        return None
    try:
        ready = request(f"{network.gateway_ops_url}/readyz", timeout_s=_TIMEOUT_S).status == 200
    except CommandError:
        return {"url": network.gateway_url, "reachable": False, "ready": False}
    return {"url": network.gateway_url, "reachable": True, "ready": ready}


def render(view: dict[str, Any]) -> str:
    """Return the human form of the document that `gather` made."""
    head = (
        f"CHAIN {view['chain_id'] or '?'}  height {view['height']:,}  tree {view['tree_size']:,}  "
        f"leader {view['leader'] or 'none'} (term {view['term']})  "
        f"final up to height {view['final_height']:,}, tree {view['final_size']:,}"
    )
    rows = []
    for row in view["nodes"]:
        mark = "" if row["healthy"] else " !"
        age = row["cosignature_age_s"]
        rows.append(
            [
                row["node"],
                row["institution"],
                row["role"] + mark,
                "-" if row["height"] is None else f"{row['height']:,}",
                "-" if row["lag"] is None else f"{row['lag']:,}",
                "-" if row["cosigned_size"] is None else f"{row['cosigned_size']:,}",
                "-" if age is None else f"{age:.1f} s",
                row["version"],
            ]
        )
    text = (
        head
        + "\n"
        + table(["NODE", "INSTITUTION", "ROLE", "HEIGHT", "LAG", "COSIGNED", "AGE", "VERSION"], rows)
    )
    gateway = view["gateway"]
    if gateway is not None:
        state = "ready" if gateway["ready"] else "up, not ready" if gateway["reachable"] else "down"
        text += f"\nGATEWAY {gateway['url']}  {state}"
    for row in view["nodes"]:
        if row["reason"]:
            text += f"\n! {row['node']}: {row['reason']}"
    if gateway is not None and not (gateway["reachable"] and all(row["reachable"] for row in view["nodes"])):
        text += "\n  way out: `tiezheng dev up --detach` starts what does not run"
    return text
