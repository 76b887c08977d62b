"""The figures: names that alarms hang on, unknown ones absent, labels from known sets."""

import platform
import re
from pathlib import Path

from fake_node import OBSERVER, VOTER, voter
from prometheus_client.parser import text_string_to_metric_families

from node.metrics import NodeMetrics, folder_bytes
from node.ports import NodeStats, Role
from node.standing import Standing


def figures(standing: Standing, stats: NodeStats | None = None) -> dict[tuple[str, tuple[str, ...]], float]:
    """Every sample by name and label values."""
    kept = stats or NodeStats()
    metrics = NodeMetrics()
    metrics.show(lambda: standing, lambda: kept, lambda: {"chain": 5, "free": 9}, {"tls": 1_900_000_000})
    metrics.note_rejected("E_NOTE_ROOT")
    metrics.verify_failed("E_READ_DAMAGED")
    metrics.block_applied(3)
    metrics.final_after(0.004)
    text = metrics.text().decode()
    return {
        (
            sample.name,
            tuple(value for key, value in sorted(sample.labels.items()) if key != "le"),
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_names_that_alarms_hang_on() -> None:
    """The promised figures are there with their values."""
    stats = NodeStats(disk_batches=4, disk_seconds=0.5, leader_changes=2, envelopes_refused={"E_X": 3})
    found = figures(VOTER, stats)
    assert found["tiezheng_build_info", (platform.python_version(), "voter", "0.1.0")] == 1
    for name, value in {
        "tiezheng_raft_has_leader": 1,
        "tiezheng_raft_is_leader": 1,
        "tiezheng_raft_is_learner": 0,
        "tiezheng_raft_term": 3,
        "tiezheng_raft_commit_index": 120,
        "tiezheng_raft_applied_index": 120,
        "tiezheng_raft_leader_changes_total": 2,
        "tiezheng_ledger_height": 120,
        "tiezheng_ledger_tree_size_leaves": 363,
        "tiezheng_storage_fsync_duration_seconds_count": 4,
        "tiezheng_storage_fsync_duration_seconds_sum": 0.5,
        "tiezheng_disk_free_bytes": 9,
        "tiezheng_final_size_leaves": 360,
        "tiezheng_fork_detected": 0,
    }.items():
        assert found[name, ()] == value, name
    assert found["tiezheng_cosign_latest_timestamp_seconds", ("AUDITOR",)] == 1_700_000_000
    assert found["tiezheng_cosign_latest_size_leaves", ("BROKER",)] == 363
    assert found["tiezheng_raft_proposals_total", ("refused",)] == 3
    assert found["tiezheng_envelopes_refused_total", ("E_X",)] == 3
    assert found["tiezheng_storage_bytes", ("chain",)] == 5
    assert found["tiezheng_tls_certificate_expiry_timestamp_seconds", ("tls",)] == 1_900_000_000
    assert found["tiezheng_cosign_rejected_total", ("E_NOTE_ROOT",)] == 1
    assert found["tiezheng_ledger_block_records_count", ()] == 1
    assert found["tiezheng_cosign_quorum_latency_seconds_count", ()] == 1
    assert found["tiezheng_verify_failures_total", ("E_READ_DAMAGED",)] == 1


def test_what_is_unknown_is_absent() -> None:
    """No final checkpoint yet: no figure, instead of a zero that an alarm would take for real."""
    found = figures(voter(final_height=None, final_size=None, final_time_s=None, cosigners=()))
    assert ("tiezheng_final_size_leaves", ()) not in found
    assert not any(name.startswith("tiezheng_cosign_latest") for name, _ in found)


def test_a_contradiction_shows() -> None:
    """A convicted key or a halted node raises the fork figure."""
    assert figures(voter(convicted=("MARKET/market-1",)))["tiezheng_fork_detected", ()] == 1
    found = figures(voter(role=Role.HALTED))
    assert found["tiezheng_fork_detected", ()] == found["tiezheng_halted", ()] == 1


def test_an_observer_is_a_learner() -> None:
    """Its role shows in the build figure too."""
    found = figures(OBSERVER)
    assert found["tiezheng_raft_is_learner", ()] == 1
    assert any(labels[1] == "observer" for name, labels in found if name == "tiezheng_build_info")


def test_the_documented_names_are_the_real_ones() -> None:
    """docs/operating/doors.md names every figure of ours, and no other."""
    text = (Path(__file__).parents[3] / "docs/operating/doors.md").read_text("utf-8")
    documented = set(re.findall(r"`(tiezheng_[a-z_]+)", text.split("## Metrics", 1)[1]))
    stats = NodeStats(envelopes_refused={"E_X": 1}, peer_messages_dropped={"x": 1}, peer_refusals={"E_X": 1})
    names = {name for name, _ in figures(VOTER, stats) if name.startswith("tiezheng_")}
    real = {re.sub(r"_(bucket|count|sum)$", "", name) for name in names if not name.endswith("_created")}
    assert documented == real


def test_names_follow_the_rules() -> None:
    """Prefix, plain characters; counters end in _total."""
    for name, _ in figures(VOTER):
        assert re.fullmatch(r"(tiezheng|process)_[a-z0-9_]+", name), name


def test_folder_bytes(tmp_path: Path) -> None:
    """Files of a folder are summed; a folder that is not there has none."""
    (tmp_path / "a").write_bytes(b"12345")
    assert folder_bytes(tmp_path) == 5
    assert folder_bytes(tmp_path / "missing") == 0
