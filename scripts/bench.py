"""`make bench`: how fast the whole network is on this machine, measured from outside, written with its conditions.

Why: a figure without its conditions is a rumour, and machines drift. Each run prints a reference operation (SHA-256
of 129 bytes) and how much of the processors others used, so that two runs can be compared as ratios.

What runs: a fresh development network (three voters with mutual TLS, the regulator's observer, the gateway), default
settings, every check on. Load: `bench_load`. Figures: records a second; p50 and p99 from submission to committed
(the door's answer) and to final (a checkpoint with the policy's quorum); CPU seconds of all processes of the network
per 1,000 records; bytes on disk per record over all nodes.

Refuses: a pass mark. A benchmark informs; limits belong into tests with a tenfold margin.
"""

import argparse
import asyncio
import hashlib
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from scripts import devnet, processes
from scripts.bench_load import GatewayDoor, NodeDoor, Result, Shape
from scripts.devfolder import DevNetwork
from scripts.output import note, say, table
from scripts.web import request

_TICKS = os.sysconf("SC_CLK_TCK")
_SETTLE_S = 1.0

# door, records per request, requests outstanding
PLAN = (
    ("node", 1, 1),
    ("node", 1, 256),
    ("node", 100, 32),
    ("node", 1000, 8),
    ("gateway", 1, 1),
    ("gateway", 1, 64),
    ("gateway", 100, 16),
    ("gateway", 1000, 8),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One measured line."""

    door: str
    batch: int
    outstanding: int
    result: Result
    cpu_s: float
    disk_bytes: int
    reference_us: float
    others_cores: float


def main() -> int:
    """Run the plan and print the table; with --write, put it into the documentation page."""
    parser = argparse.ArgumentParser(description="Measure the whole network on this machine.")
    parser.add_argument("--seconds", type=float, default=8.0, help="length of one line (default 8)")
    parser.add_argument("--port-base", type=int, default=8000)
    parser.add_argument("--write", action="store_true", help="write docs/benchmark.md")
    parser.add_argument("--only", help="only this door: node or gateway")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that `finally` stops the network
    folder = Path(tempfile.mkdtemp(prefix="tiezheng-bench-"))
    network = devnet.create(folder / "network", arguments.port_base)
    try:
        devnet.start_processes(network, devnet.names(network))
        devnet.wait_ready(network, devnet.names(network))
        rows = []
        for door, batch, outstanding in PLAN:
            if arguments.only in {None, door}:
                rows.append(measure(network, door, Shape(batch, outstanding, arguments.seconds)))
                note(render(rows[-1:]))
    finally:
        devnet.stop_processes(network, reversed(devnet.names(network)))
        shutil.rmtree(folder, ignore_errors=True)
    text = conditions(arguments.seconds) + "\n" + render(rows)
    say(text)
    if arguments.write:
        page = Path(__file__).parents[1] / "docs" / "benchmark.md"
        page.write_text(PAGE.format(text=text), encoding="utf-8")
    return 0


def measure(network: DevNetwork, door: str, shape: Shape) -> Row:
    """Measure one line of the plan."""
    time.sleep(_SETTLE_S)
    leader = _leader(network)
    disk, cpu, machine, since = _disk(network), _cpu(network), _machine_cpu(), time.monotonic()
    own = sum(os.times()[:2])
    result = asyncio.run(_load(network, door, leader, shape))
    used = _cpu(network) - cpu
    elapsed = time.monotonic() - since
    others = (_machine_cpu() - machine - used - (sum(os.times()[:2]) - own)) / elapsed
    time.sleep(_SETTLE_S)
    return Row(
        door,
        shape.batch,
        shape.outstanding,
        result,
        used,
        _disk(network) - disk,
        reference_us(),
        max(0.0, others),
    )


async def _load(network: DevNetwork, door: str, leader: str, shape: Shape) -> Result:
    """Load one door; gRPC's channels belong to the loop they are made in."""
    load = NodeDoor(network, leader) if door == "node" else GatewayDoor(network)
    return await load.run(shape)


def _leader(network: DevNetwork) -> str:
    """Return the node that says it leads; waits a little while nobody does."""
    for _ in range(200):
        for place in network.nodes:
            status = request(f"{place.read_url}/v1/status").json()
            if status["role"] == "leader":
                return str(status["node_id"])
        time.sleep(0.05)
    raise SystemExit("no node leads within 10 s")


def reference_us() -> float:
    """Return microseconds of one SHA-256 over 129 bytes on this machine now: the yardstick of every line."""
    data, rounds = bytes(129), 100_000
    since = time.perf_counter()
    for _ in range(rounds):
        hashlib.sha256(data).digest()
    return (time.perf_counter() - since) / rounds * 1e6


def _pids(network: DevNetwork) -> list[int]:
    found = [processes.running_pid(network.pid_file(name)) for name in devnet.names(network)]
    return [pid for pid in found if pid is not None]


def _cpu(network: DevNetwork) -> float:
    """Return the CPU seconds that all processes of the network have used."""
    total = 0
    for pid in _pids(network):
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def _machine_cpu() -> float:
    """Return the CPU seconds that everybody on this machine has used (user, nice, system, interrupts)."""
    fields = Path("/proc/stat").read_text(encoding="utf-8").splitlines()[0].split()[1:]
    return sum(int(fields[at]) for at in (0, 1, 2, 5, 6)) / _TICKS


def _disk(network: DevNetwork) -> int:
    """Return the bytes that all nodes' stores take on disk; the gateway's outbox is counted apart from them."""
    total = 0
    for place in network.nodes:
        for name in ("chain", "derived"):
            for file in (place.data / name).rglob("*"):
                try:
                    total += file.stat().st_blocks * 512
                except FileNotFoundError:
                    continue
    return total


def percentile(values: list[float], share: float) -> float | None:
    """Return the value below which `share` of the values lie, None of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.1f}"


def render(rows: list[Row]) -> str:
    """Lay the rows out as a Markdown-friendly table."""
    header = [
        "door", "batch", "outstanding", "records/s", "committed p50", "p99 ms", "final p50", "p99 ms",
        "CPU s/1,000", "disk B/record", "sha256 us", "others cores",
    ]  # fmt: skip
    lines = []
    for row in rows:
        result = row.result
        records = max(1, result.records)
        lines.append(
            [
                row.door,
                str(row.batch),
                str(row.outstanding),
                f"{result.records / max(result.seconds, 1e-9):,.0f}",
                _ms(percentile(result.committed_s, 0.5)),
                _ms(percentile(result.committed_s, 0.99)),
                _ms(percentile(result.final_s, 0.5)),
                _ms(percentile(result.final_s, 0.99)),
                f"{row.cpu_s / records * 1000:.3f}",
                f"{row.disk_bytes / records:,.0f}",
                f"{row.reference_us:.2f}",
                f"{row.others_cores:.2f}",
            ]
        )
    return table(header, lines)


def conditions(seconds: float) -> str:
    """Say on what the figures were taken."""
    model = next(
        (line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
         if line.startswith("model name")),
        "unknown processor",
    )  # fmt: skip
    return (
        f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores ({model}), Python {platform.python_version()}, "
        f"{seconds:g} s a line; three voters with mutual TLS, regulator's observer, gateway and load on the same cores"
    )


PAGE = """# Benchmark

Written by `python -m scripts.bench --write` (`make bench` prints the same). How to read it: `batch` records in one
request, `outstanding` requests at once; latencies from sending the request to the door's commit answer and to a
checkpoint with the policy's quorum; through the gateway, the answer comes when the record is final and the gateway has
verified it. CPU: all five processes, per 1,000 records, the load left out. Disk: what the stores of all four nodes grew
by, right after the run. `sha256 us` is the yardstick (SHA-256 of 129 bytes, once per line) and `others cores` what else
ran on the machine: compare runs by ratios to them, not by the absolute figures.

```
{text}
```
"""

if __name__ == "__main__":
    sys.exit(main())
