"""The gateway's figures for Prometheus: one registry, every name in one table, no label without a bound.

Why a registry of our own: the process-wide default would mix two gateways in one test process, and hide a name that is
registered twice.

Rules kept here: names begin with ``tiezheng_`` (HTTP durations follow OpenTelemetry's name); base units; counters end in
``_total``; moments are timestamps, not ages; labels come from fixed sets, so no caller can grow the output. A test
compares this table with docs/operating/gateway.md.

Refuses: per-caller or per-source figures (they would tell outsiders who submits what).
"""

from collections.abc import Callable, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_REQUEST_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_FINAL_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600, 3600)


class Metrics:
    """All figures of one gateway (`ports.Meter`). Owner: the event loop."""

    def __init__(self, version: str) -> None:
        """Register every figure."""
        self.registry = CollectorRegistry()
        kind = {"registry": self.registry}
        build = Gauge("tiezheng_build_info", "Always 1.", ("version", "role"), **kind)  # type: ignore[arg-type]
        build.labels(version, "gateway").set(1)
        self.requests = Counter(
            "tiezheng_gateway_requests_total",
            "Answered requests.",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "http_server_request_duration_seconds",
            "Time from a request's head to its answer.",
            ("route",),
            buckets=_REQUEST_S,
            registry=self.registry,
        )
        self.records = Counter(
            "tiezheng_gateway_records_total",
            "Records handed in, by result: accepted, replayed, conflict, forbidden, refused.",
            ("result",),
            registry=self.registry,
        )
        self.latency = Histogram(
            "tiezheng_gateway_commit_latency_seconds",
            "Time from acceptance to the stage, per run of records.",
            ("stage",),
            buckets=_FINAL_S,
            registry=self.registry,
        )
        self.submissions = Counter(
            "tiezheng_gateway_submissions_total",
            "Envelopes by outcome.",
            ("outcome",),
            registry=self.registry,
        )
        self.submitted_records = Counter(
            "tiezheng_gateway_submitted_records_total",
            "Records in those envelopes.",
            ("outcome",),
            registry=self.registry,
        )
        self.mistrusted_total = Counter(
            "tiezheng_verify_failures_total",
            "Answers of nodes that did not verify.",
            ("reason",),
            registry=self.registry,
        )
        self.final_size = Gauge(
            "tiezheng_gateway_final_size_leaves", "Size of the believed checkpoint.", registry=self.registry
        )
        self.outbox = Gauge(
            "tiezheng_outbox_records", "Records by state.", ("state",), registry=self.registry
        )
        self.oldest = Gauge(
            "tiezheng_outbox_oldest_timestamp_seconds",
            "When the oldest record that waits for the chain was accepted; 0 when none waits.",
            registry=self.registry,
        )
        self.fork = Gauge(
            "tiezheng_fork_detected",
            "1 when contradicting signatures were found; page somebody.",
            registry=self.registry,
        )
        self.disk_free = Gauge(
            "tiezheng_disk_free_bytes", "Free space for the database.", registry=self.registry
        )
        self.loop_lag = Gauge(
            "tiezheng_eventloop_lag_seconds",
            "How late the event loop was, last second.",
            registry=self.registry,
        )
        self.fork.set(0)

    def watch_backlog(self, read: Callable[[], int]) -> None:
        """Let the outbox figure be read when it is asked for."""
        self.outbox.labels("pending").set_function(lambda: float(read()))

    def exposition(self) -> bytes:
        """Return the text form."""
        return generate_latest(self.registry)

    # --- ports.Meter --------------------------------------------------------------------------------------------------

    def submitted(self, outcome: str, records: int) -> None:
        """See ports.Meter."""
        self.submissions.labels(outcome).inc()
        self.submitted_records.labels(outcome).inc(records)

    def placed(self, seconds: Sequence[float]) -> None:
        """See ports.Meter."""
        for value in seconds:
            self.latency.labels("accepted_to_committed").observe(value)

    def proved(self, seconds: Sequence[float], size: int) -> None:
        """See ports.Meter."""
        self.final_size.set(size)
        for value in seconds:
            self.latency.labels("accepted_to_final").observe(value)

    def mistrusted(self, reason: str) -> None:
        """See ports.Meter. Reasons are codes of our own rooms, a fixed set."""
        self.mistrusted_total.labels(reason).inc()

    def halted(self) -> None:
        """See ports.Meter."""
        self.fork.set(1)
