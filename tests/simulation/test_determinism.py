"""A seed is a run: the same seed gives the same events, whatever else is different."""

import os
import subprocess
import sys
from pathlib import Path

from tests.simulation.options import draw, stream
from tests.simulation.patched import real
from tests.simulation.world import World

ROOT = Path(__file__).resolve().parents[2]


def test_the_same_seed_gives_the_same_digest() -> None:
    """Twice in one process."""
    for seed in range(20, 30):
        assert World(real(), seed).run().digest() == World(real(), seed).run().digest()


def test_different_seeds_differ() -> None:
    """The digest sees the run."""
    assert len({World(real(), seed).run().digest() for seed in range(6)}) == 6


def test_nothing_depends_on_the_hash_of_a_string() -> None:
    """Two other processes with other hash seeds, and the whole text of every event."""
    told = []
    for hash_seed in ("1", "4242"):
        run = subprocess.run(
            [sys.executable, "-m", "scripts.simulate", "7"],
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        told.append(run.stdout)
    assert told[0] == told[1]
    assert World(real(), 7).run().digest() in told[0]


def test_streams_are_independent() -> None:
    """A name has its own numbers: another kind of fault would not shift them."""
    assert stream(1, "net").random() == stream(1, "net").random()
    assert stream(1, "net").random() != stream(1, "disk").random()
    assert stream(1, "net").random() != stream(2, "net").random()


def test_options_are_drawn_as_a_swarm() -> None:
    """Every fault is on in some seeds and off in others, and a share of seeds has none."""
    drawn = [draw(seed) for seed in range(300)]
    faults = (
        "loss",
        "duplicate",
        "late",
        "slow",
        "stall",
        "crash_every_ms",
        "pause_every_ms",
        "partition_every_ms",
    )
    for name in (*faults, "change_every_ms", "read_every_ms", "transfer_every_ms", "wall_spread_ms"):
        on = sum(1 for options in drawn if getattr(options, name))
        assert 30 < on < 280, name
    calm = sum(1 for options in drawn if not any(getattr(options, name) for name in faults))
    assert calm > 30
