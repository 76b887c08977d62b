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
        self._requests: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        build = self._gauge("tiezheng_build_info", "Always 1.", "version", "role")
        build.labels(version, "gateway").set(1)
        self.requests = self._counter(
            "tiezheng_gateway_requests_total", "Answered requests.", "route", "method", "status"
        )
        self.request_seconds = self._histogram(
            "http_server_request_duration_seconds",
            "From a request's head to its answer.",
            "route",
            _REQUEST_S,
        )
        self.records = self._counter(
            "tiezheng_gateway_records_total",
            "Records handed in, by result: accepted, replayed, conflict, forbidden, refused.",
            "result",
        )
        self.latency = self._histogram(
            "tiezheng_gateway_commit_latency_seconds",
            "From acceptance to the stage, per run of records: accepted_to_committed, accepted_to_final.",
            "stage",
            _FINAL_S,
        )
        self.submissions = self._counter(
            "tiezheng_gateway_submissions_total", "Envelopes by outcome.", "outcome"
        )
        self.submitted_records = self._counter(
            "tiezheng_gateway_submitted_records_total", "Records in those envelopes.", "outcome"
        )
        self.mistrusted_total = self._counter(
            "tiezheng_verify_failures_total", "Answers of nodes that did not verify.", "reason"
        )
        self.final_size = self._gauge(
            "tiezheng_gateway_final_size_leaves", "Size of the believed checkpoint."
        )
        self.outbox = self._gauge("tiezheng_outbox_records", "Records by state.", "state")
        self.oldest = self._gauge(
            "tiezheng_outbox_oldest_timestamp_seconds",
            "When the oldest record that waits for the chain was accepted; 0 when none waits.",
        )
        self.fork = self._gauge(
            "tiezheng_fork_detected", "1 when contradicting signatures were found; page somebody."
        )
        self.disk_free = self._gauge("tiezheng_disk_free_bytes", "Free space for the database.")
        self.loop_lag = self._gauge(
            "tiezheng_eventloop_lag_seconds", "How late the event loop was, last second."
        )

    def _counter(self, name: str, words: str, *labels: str) -> Counter:
        return Counter(name, words, labels, registry=self.registry)

    def _gauge(self, name: str, words: str, *labels: str) -> Gauge:
        return Gauge(name, words, labels, registry=self.registry)

    def _histogram(self, name: str, words: str, label: str, buckets: Sequence[float]) -> Histogram:
        return Histogram(name, words, (label,), buckets=buckets, registry=self.registry)

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count an answered request. Looking labels up costs more than counting, so what was found is kept."""
        key = (route, method, status)
        found = self._requests.get(key)
        if found is None:
            counter = self.requests.labels(route, method, str(status))
            found = self._requests[key] = counter, self.request_seconds.labels(route)
        found[0].inc()
        found[1].observe(seconds)

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
