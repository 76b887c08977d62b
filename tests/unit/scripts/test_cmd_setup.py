"""From nothing to a chain's first block, with the commands that institutions use."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from e2e_network import free_port_base

from ledger.body import parse_body
from ledger.governance import genesis_state, policy_text
from ledger.names import uscc_check_character
from scripts import devnet
from scripts.cli import tiezheng


def _run(*argv: object) -> dict[str, object]:
    result = CliRunner().invoke(tiezheng, [*map(str, argv), "--json"])
    document: dict[str, object] = json.loads(result.stdout)
    document["exit"] = result.exit_code
    return document


def _plan(folder: Path, *, quorum: int = 3, extra: str = "") -> Path:
    rows = []
    for name in ("BROKER", "MARKET", "AUDITOR"):
        low = name.lower()
        _run("key", "new", "governance", "--id", f"{low}-gov", "--out", folder / f"{low}.key")
        _run("init", "identity", f"{low}-1", "--institution", name, "--out", folder / low)
        stem = f"91000000TY{name[:4].translate(str.maketrans('IOSVZ', 'XXXXX'))}0001"[:17].ljust(17, "0")
        rows.append(
            f'[[institutions]]\nid = "{name}"\nname = "{name} 有限公司"\nuscc = "{stem + uscc_check_character(stem)}"\n'
            f'role = "{low}"\ngovernance_key = "{low}.pub.json"\n'
        )
    gateway = folder / "gateway"
    _run("init", "identity", "gateway-1", "--institution", "BROKER", "--role", "submitter", "--out", gateway)
    nodes = ", ".join(f'"{n}/{n}-1.json"' for n in ("broker", "market", "auditor"))
    plan = folder / "plan.toml"
    plan.write_text(
        f'chain_name = "tz-test"\nquorum = {quorum}\nnodes = [{nodes}]\nsubmitters = ["gateway/gateway-1.json"]\n'
        f"{extra}\n" + "\n".join(rows),
        encoding="utf-8",
    )
    return plan


def test_a_chain_is_made_from_public_files_only(tmp_path: Path) -> None:
    """Keys stay where they were made; genesis and trust file follow from the public halves and the plan."""
    plan = _plan(tmp_path)
    made = _run("genesis", "create", plan, "--out", tmp_path / "g.bin", "--policy", tmp_path / "p.txt")
    assert made["exit"] == 0, made
    state = genesis_state(parse_body((tmp_path / "g.bin").read_bytes()))
    assert (tmp_path / "p.txt").read_bytes() == policy_text(state)
    assert made["voters"] == ["auditor-1", "broker-1", "market-1"]
    shown = _run("genesis", "show", tmp_path / "g.bin")
    assert {k: shown[k] for k in shown if k != "schema"} == {k: made[k] for k in made if k != "schema"}
    for secret in tmp_path.rglob("*.key"):
        assert secret.stat().st_mode & 0o777 == 0o600


def test_a_data_folder_is_made_once(tmp_path: Path) -> None:
    """`init node` makes chain and head file; a second call refuses and harms nothing."""
    plan = _plan(tmp_path)
    _run("genesis", "create", plan, "--out", tmp_path / "g.bin", "--policy", tmp_path / "p.txt")
    config = tmp_path / "broker" / "node.toml"
    config.write_text('node_id = "broker-1"\ngenesis = "../g.bin"\ndata = "data"\n', encoding="utf-8")
    first = _run("init", "node", "--config", config)
    assert first["exit"] == 0, first
    assert _run("init", "node", "--config", config)["exit"] == 6


def test_nothing_is_written_over(tmp_path: Path) -> None:
    """Keys, public files and genesis exist once."""
    plan = _plan(tmp_path)
    again = _run("key", "new", "governance", "--id", "broker-gov", "--out", tmp_path / "broker.key")
    assert again["exit"] == 6
    assert (
        _run("init", "identity", "broker-1", "--institution", "BROKER", "--out", tmp_path / "broker")["exit"]
        == 6
    )
    arguments = ("genesis", "create", plan, "--out", tmp_path / "g.bin", "--policy", tmp_path / "p.txt")
    assert _run(*arguments)["exit"] == 0
    assert _run(*arguments)["exit"] == 6


def test_showing_a_key_shows_no_secret(tmp_path: Path) -> None:
    """The seed stays in the file."""
    _run("key", "new", "governance", "--id", "x-gov", "--out", tmp_path / "x.key")
    seed = next(
        line.split()[1] for line in (tmp_path / "x.key").read_text().splitlines() if line.startswith("seed")
    )
    result = CliRunner().invoke(tiezheng, ["key", "show", str(tmp_path / "x.key")])
    assert result.exit_code == 0
    assert "x-gov" in result.stdout
    assert seed not in result.stdout


@pytest.mark.parametrize(
    ("quorum", "extra", "words"),
    [(1, "", "E_GOVERNANCE"), (3, "colour = 1", "colour"), (9, "", "E_GOVERNANCE")],
)
def test_a_plan_that_may_not_be_is_refused(tmp_path: Path, quorum: int, extra: str, words: str) -> None:
    """A quorum that lets two histories become final, and keys that nobody knows, end before anything is written."""
    plan = _plan(tmp_path, quorum=quorum, extra=extra)
    refused = _run("genesis", "create", plan, "--out", tmp_path / "g.bin", "--policy", tmp_path / "p.txt")
    assert refused["exit"] == 13
    assert words in f"{refused['code']} {refused['message']}"
    assert not (tmp_path / "g.bin").exists()


def test_a_gateways_database_is_made_once(tmp_path: Path) -> None:
    """`init gateway` on a made network: the database is there already, and a second one is refused."""
    network = devnet.create(tmp_path / "net", free_port_base())
    assert (network.gateway_config.parent / "gateway.db").exists()
    assert _run("init", "gateway", "--config", network.gateway_config)["exit"] == 6
    (network.gateway_config.parent / "gateway.db").unlink()
    assert _run("init", "gateway", "--config", network.gateway_config)["exit"] == 0


def test_names_that_governance_would_refuse_end_before_keys_are_made(tmp_path: Path) -> None:
    """Exit code 2 and the rule; nothing is left behind."""
    for argv in (
        ("key", "new", "governance", "--id", "X_gov", "--out", tmp_path / "x.key"),
        ("init", "identity", "Broker_1", "--institution", "BROKER", "--out", tmp_path / "x"),
        ("init", "identity", "broker-1", "--institution", "broker", "--out", tmp_path / "x"),
        ("init", "identity", "a" * 24, "--institution", "BROKER", "--out", tmp_path / "x"),
    ):
        refused = _run(*argv)
        assert (refused["exit"], "does not match" in str(refused["message"])) == (2, True), argv
    assert not list(tmp_path.iterdir())
    assert _run("init", "identity", "a" * 23, "--institution", "BROKER", "--out", tmp_path / "x")["exit"] == 0


def test_files_that_are_not_there_are_exit_code_4(tmp_path: Path) -> None:
    """A wrong path is not a wrong file."""
    missing = tmp_path / "none"
    for argv in (
        ("key", "show", missing),
        ("genesis", "show", missing),
        ("genesis", "create", missing, "--out", tmp_path / "g", "--policy", tmp_path / "p"),
        ("init", "node", "--config", missing),
        ("init", "gateway", "--config", missing),
    ):
        assert _run(*argv)["exit"] == 4, argv
    open_key = tmp_path / "open.key"
    open_key.write_text("tiezheng-key 1\n", encoding="ascii")
    open_key.chmod(0o644)
    assert _run("key", "show", open_key)["exit"] == 5
