"""The node's figures for Prometheus: names that alarms hang on, read at the moment somebody asks.

Why read on request: what the loop already counts (`NodeStats`) or knows (`Standing`) must not be counted
twice, so most figures are taken when they are scraped. Only distributions are observed as they happen.

Rules kept here
- Names begin with ``tiezheng_``, base units, ``_total`` for counters, timestamps instead of ages, and no
  label whose values others can invent: peers, institutions and codes are known sets.
- A figure that is unknown is absent, never zero.

Source: the naming and instrumentation guides of Prometheus.
Refuses: figures of the gateway; percentiles (the reader of histograms makes them).
"""

import platform
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from node.ports import NodeStats, Role
from node.standing import Standing

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_LATENCY_BUCKETS_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_RECORDS_BUCKETS: Final = (0, 1, 2, 5, 10, 50, 100, 500, 1_000, 2_000, 5_000)


class NodeMetrics:
    """All figures of one node, in a registry of their own. Observed on the loop's thread."""

    def __init__(self) -> None:
        """Distributions only; `show` adds what is read at the moment of asking."""
        self.registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self.registry)
        self._block_records = Histogram(
            "tiezheng_ledger_block_records",
            "Records in a block.",
            buckets=_RECORDS_BUCKETS,
            registry=self.registry,
        )
        self._quorum_latency = Histogram(
            "tiezheng_cosign_quorum_latency_seconds",
            "From applying a block here to knowing it final.",
            buckets=_LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        self._rejected = Counter(
            "tiezheng_cosign_rejected",
            "Notes or signature lines that were not what they claim.",
            ["reason"],
            registry=self.registry,
        )
        self._verify_failures = Counter(
            "tiezheng_verify_failures",
            "Answers or blocks that did not check against this node's own derivation.",
            ["reason"],
            registry=self.registry,
        )

    def show(
        self,
        standing: Callable[[], Standing],
        stats: Callable[[], NodeStats],
        sizes: Callable[[], dict[str, int]],
        certificate_end_s: dict[str, int],
    ) -> None:
        """Add the figures of the moment. `sizes`: bytes by kind ("chain", "derived", "free").
        `certificate_end_s`: end of each certificate by name.
        """
        self.registry.register(_Snapshot(standing, stats, sizes, certificate_end_s))

    def block_applied(self, records: int) -> None:
        """A block with so many records was applied."""
        self._block_records.observe(records)

    def final_after(self, seconds: float) -> None:
        """A block became final so long after it was applied here."""
        self._quorum_latency.observe(seconds)

    def note_rejected(self, code: str) -> None:
        """A note, or a line in it, was refused with this stable code."""
        self._rejected.labels(code).inc()

    def verify_failed(self, code: str) -> None:
        """Something did not check against this node's own derivation."""
        self._verify_failures.labels(code).inc()

    def text(self) -> bytes:
        """Return the exposition text. Reads folder sizes; milliseconds."""
        return generate_latest(self.registry)


class _Snapshot(Collector):
    """Turns what is known at the moment of asking into metrics."""

    def __init__(
        self,
        standing: Callable[[], Standing],
        stats: Callable[[], NodeStats],
        sizes: Callable[[], dict[str, int]],
        certificate_end_s: dict[str, int],
    ) -> None:
        self._standing = standing
        self._stats = stats
        self._sizes = sizes
        self._certificate_end_s = certificate_end_s

    def describe(self) -> Iterable[Metric]:
        """Nothing: registering must not need a running node."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield every figure."""
        standing, stats = self._standing(), self._stats()
        yield _labelled(
            "tiezheng_build_info",
            "The program; always 1.",
            ("version", "python", "role"),
            [((standing.version, platform.python_version(), _role(standing)), 1)],
        )
        yield from _raft(standing, stats)
        yield from _ledger(standing, stats)
        yield from _trust(standing)
        sizes = self._sizes()
        free = sizes.pop("free", None)
        yield _labelled(
            "tiezheng_storage_bytes",
            "Bytes in a store's folder.",
            ("kind",),
            [((k,), v) for k, v in sizes.items()],
        )
        if free is not None:
            yield _gauge("tiezheng_disk_free_bytes", "Free bytes where the stores lie.", free)
        yield _labelled(
            "tiezheng_tls_certificate_expiry_timestamp_seconds",
            "When a certificate ends.",
            ("name",),
            [((name,), end) for name, end in self._certificate_end_s.items()],
        )
        yield _gauge("tiezheng_eventloop_lag_seconds", "Newest lag of the event loop.", stats.loop_lag_s)


def _raft(standing: Standing, stats: NodeStats) -> Iterator[Metric]:
    yield _gauge("tiezheng_raft_has_leader", "Whether a leader is known.", bool(standing.leader))
    yield _gauge("tiezheng_raft_is_leader", "Whether this node leads.", standing.role is Role.LEADER)
    yield _gauge(
        "tiezheng_raft_is_learner",
        "Whether this node follows without a vote.",
        standing.following is not None,
    )
    yield _gauge("tiezheng_raft_term", "Current term.", standing.term)
    yield _gauge("tiezheng_raft_commit_index", "Newest height known to be committed.", standing.commit_height)
    yield _gauge("tiezheng_raft_applied_index", "Newest height applied.", standing.applied_height)
    yield _counter("tiezheng_raft_leader_changes", "Changes of leader seen.", stats.leader_changes)
    yield _counter("tiezheng_raft_elections", "Elections started here.", stats.elections_started)
    yield _gauge(
        "tiezheng_raft_proposals_pending", "Blocks proposed and not applied.", stats.in_flight_blocks
    )
    results = {
        "committed": stats.envelopes_committed,
        "known": stats.envelopes_known,
        "slow_down": stats.slow_downs,
    }
    results["refused"] = sum(stats.envelopes_refused.values())
    yield _counters("tiezheng_raft_proposals", "Envelopes by outcome.", "result", results)
    yield _counters(
        "tiezheng_envelopes_refused", "Refused envelopes by code.", "code", stats.envelopes_refused
    )
    yield _gauge("tiezheng_submit_queue_records", "Records that wait for a block.", stats.queue_records)
    yield _labelled(
        "tiezheng_peer_connected",
        "Whether the outgoing connection to a peer stands.",
        ("peer",),
        [((link.node_id,), int(link.connected)) for link in standing.links],
    )
    dropped, refused = stats.peer_messages_dropped, stats.peer_refusals
    yield _counters("tiezheng_peer_messages_dropped", "Messages dropped from full queues.", "peer", dropped)
    yield _counters("tiezheng_peer_refusals", "Connections and frames refused.", "code", refused)


def _ledger(standing: Standing, stats: NodeStats) -> Iterator[Metric]:
    yield _gauge("tiezheng_ledger_height", "Newest applied height.", standing.applied_height)
    yield _gauge("tiezheng_ledger_tree_size_leaves", "Leaves of the applied tree.", standing.size)
    yield _gauge(
        "tiezheng_verify_height",
        "Height up to which this node derived everything itself.",
        standing.applied_height,
    )
    yield _counter("tiezheng_ledger_blocks_applied", "Blocks applied since the start.", stats.blocks_applied)
    yield _counter(
        "tiezheng_ledger_records_applied", "Records applied since the start.", stats.records_applied
    )
    yield SummaryMetricFamily(
        "tiezheng_storage_fsync_duration_seconds",
        "Synced batches of the chain store.",
        count_value=stats.disk_batches,
        sum_value=stats.disk_seconds,
    )
    yield _gauge(
        "tiezheng_storage_fsync_slowest_seconds",
        "Slowest synced batch since the start.",
        stats.disk_slowest_s,
    )


def _trust(standing: Standing) -> Iterator[Metric]:
    newest: dict[str, tuple[int, int]] = {}
    for row in standing.cosigners:
        newest[row.institution] = max(newest.get(row.institution, (0, 0)), (row.size, row.time_s))
    yield _labelled(
        "tiezheng_cosign_latest_timestamp_seconds",
        "Time of an institution's newest cosignature, by its own clock.",
        ("org",),
        [((org,), time_s) for org, (_, time_s) in newest.items()],
    )
    yield _labelled(
        "tiezheng_cosign_latest_size_leaves",
        "Tree size of an institution's newest cosignature.",
        ("org",),
        [((org,), size) for org, (size, _) in newest.items()],
    )
    if standing.final_size is not None and standing.final_height is not None:
        yield _gauge(
            "tiezheng_final_size_leaves", "Tree size of the newest final checkpoint.", standing.final_size
        )
        yield _gauge("tiezheng_final_height", "Height of the newest final checkpoint.", standing.final_height)
    fork = bool(standing.convicted) or standing.role is Role.HALTED
    yield _gauge(
        "tiezheng_fork_detected", "1 after a contradiction: a convicted key, or this node halted.", fork
    )
    yield _gauge("tiezheng_halted", "1 while this node is halted.", standing.role is Role.HALTED)


def folder_bytes(folder: Path) -> int:
    """Return the bytes of the files directly in a folder; files that vanish meanwhile count nothing."""
    total = 0
    if folder.is_dir():
        for file in folder.iterdir():
            try:
                total += file.stat().st_size
            except FileNotFoundError:
                continue
    return total


def _role(standing: Standing) -> str:
    return "observer" if standing.following is not None else "voter"


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(name, words, value=float(value))


def _counter(name: str, words: str, value: float) -> Metric:
    return CounterMetricFamily(name, words, value=value)


def _counters(name: str, words: str, label: str, values: dict[str, int]) -> Metric:
    family = CounterMetricFamily(name, words, labels=(label,))
    for key, value in sorted(values.items()):
        family.add_metric((key,), value)
    return family


def _labelled(
    name: str, words: str, labels: tuple[str, ...], rows: Iterable[tuple[tuple[str, ...], float]]
) -> Metric:
    family = GaugeMetricFamily(name, words, labels=labels)
    for values, value in rows:
        family.add_metric(values, float(value))
    return family
