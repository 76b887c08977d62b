"""What one seed decides before anything runs: named random streams, and the faults that are switched on.

Each stream is seeded with SHA-256(seed | name), so adding a kind of fault does not shift the others. Options are drawn
as a swarm: not every seed has every fault, because some faults hide others (a network that loses everything
never shows what a reordered message would have done). A fifth of the seeds has no faults at all, to catch plain bugs.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from random import Random


def stream(seed: int, name: str) -> Random:
    """The random stream of this name."""
    return Random(int.from_bytes(sha256(f"{seed}|{name}".encode()).digest()[:8], "big"))


@dataclass(frozen=True, slots=True)
class Options:
    """One world. Times in milliseconds, probabilities per message or per chance."""

    nodes: int
    spares: int
    fault_ms: int  # length of the first phase
    election_ms: int
    heartbeat_ms: int
    # network
    loss: float
    duplicate: float
    late: float  # a copy arrives much later
    delay_ms: int  # usual delay is up to this
    slow: float  # share of messages that take up to twenty times as long
    # disk
    disk_ms: int  # a batch takes up to this
    stall: float  # share of batches that take up to an election timeout and a half
    # processes: mean time between faults of a kind over the whole cluster; 0 = never
    crash_every_ms: int
    crash_after_promise: float  # chance that a node dies right after a promise left it
    down_ms: int
    pause_every_ms: int
    partition_every_ms: int
    partition_ms: int
    # clocks
    wall_spread_ms: int
    wall_jump_every_ms: int
    skew_ms: int
    # work
    propose_every_ms: int
    payload_bytes: int
    read_every_ms: int
    change_every_ms: int
    transfer_every_ms: int
    unreachable_every_ms: int
    apply_ms: int
    # sizes of windows
    message_max_bytes: int
    inflight_max_messages: int
    cache_max_bytes: int
    uncommitted_max_entries: int
    unsynced_max_bytes: int
    replay: bool  # a restart applies everything again from the root


def draw(seed: int) -> Options:
    """The options of this seed."""
    rng = stream(seed, "options")
    pick = rng.choice
    calm = rng.random() < 0.2
    election_ms = pick([100, 150, 250])
    nodes = pick([1, 2, 3, 3, 3, 3, 4, 5, 5, 7])
    changes = pick([0, 0, 0, 300, 600])
    wall_spread_ms = pick([0, 0, 20, 2000, 60_000])

    def unless_calm(*values: float) -> float:
        drawn = pick(values)
        return 0 if calm else drawn

    def whole(*values: int) -> int:
        return int(unless_calm(*values))

    return Options(
        nodes=nodes,
        spares=pick([1, 2]) if changes else 0,
        fault_ms=pick([1500, 2500, 3500]),
        election_ms=election_ms,
        heartbeat_ms=election_ms // pick([4, 5, 8]),
        loss=unless_calm(0, 0, 0.02, 0.1, 0.25),
        duplicate=unless_calm(0, 0.02, 0.2),
        late=unless_calm(0, 0, 0.02, 0.1),
        delay_ms=pick([1, 3, 10, 30]),
        slow=unless_calm(0, 0, 0.02, 0.1),
        disk_ms=pick([0, 1, 3, 10, 30]),
        stall=unless_calm(0, 0, 0, 0.01, 0.05),
        crash_every_ms=whole(0, 150, 300, 600),
        crash_after_promise=unless_calm(0, 0, 0.01, 0.05),
        down_ms=pick([5, 50, 300]),
        pause_every_ms=whole(0, 0, 400),
        partition_every_ms=whole(0, 200, 400),
        partition_ms=pick([100, 300, 800]),
        wall_spread_ms=wall_spread_ms,
        wall_jump_every_ms=whole(0, 0, 300) if wall_spread_ms else 0,
        skew_ms=pick([10, 200, 1000]),
        propose_every_ms=pick([5, 15, 40]),
        payload_bytes=pick([4, 4, 200]),
        read_every_ms=pick([0, 8, 40]),
        change_every_ms=changes,
        transfer_every_ms=pick([0, 0, 400]),
        unreachable_every_ms=whole(0, 0, 200),
        apply_ms=pick([0, 0, 5, 20, 300]),
        message_max_bytes=pick([1, 400, 4000]),
        inflight_max_messages=pick([1, 3, 64]),
        cache_max_bytes=pick([0, 2000, 1 << 20]),
        uncommitted_max_entries=pick([5, 64, 1000]),
        unsynced_max_bytes=pick([1000, 1 << 20]),
        replay=pick([True, False]),
    )
