"""Figures."""

from gateway.metrics import Metrics


def test_two_gateways_in_one_process_do_not_mix() -> None:
    """Each has its registry."""
    one, two = Metrics("1"), Metrics("2")
    one.submitted("committed", 5)
    assert b'submitted_records_total{outcome="committed"} 5.0' in one.exposition()
    assert b"outcome=" not in two.exposition()


def test_names_keep_the_rules() -> None:
    """One prefix, base units, counters end in _total."""
    for family in Metrics("1").registry.collect():
        assert family.name.startswith(("tiezheng_", "http_server_"))
        assert not family.name.endswith(("_ms", "_milliseconds", "_kb"))
        assert family.documentation.endswith(".")


def test_the_backlog_is_read_when_asked() -> None:
    """No copy that could be stale."""
    metrics, backlog = Metrics("1"), [3]
    metrics.watch_backlog(lambda: backlog[0])
    assert b'tiezheng_outbox_records{state="pending"} 3.0' in metrics.exposition()
    backlog[0] = 4
    assert b'tiezheng_outbox_records{state="pending"} 4.0' in metrics.exposition()


def test_the_meter_moves_its_figures() -> None:
    """Each event of the use cases is seen."""
    metrics = Metrics("1")
    metrics.placed([0.01, 0.02])
    metrics.proved([0.03], 77)
    metrics.mistrusted("E_PROOF_ROOT")
    assert b"tiezheng_fork_detected 0.0" in metrics.exposition()
    metrics.halted()
    text = metrics.exposition().decode()
    assert 'latency_seconds_count{stage="accepted_to_committed"} 2.0' in text
    assert 'latency_seconds_count{stage="accepted_to_final"} 1.0' in text
    assert "tiezheng_gateway_final_size_leaves 77.0" in text
    assert 'tiezheng_verify_failures_total{reason="E_PROOF_ROOT"} 1.0' in text
    assert "tiezheng_fork_detected 1.0" in text
