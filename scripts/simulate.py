"""Run the consensus simulator by hand: one seed in full, or many seeds on several cores.

    python -m scripts.simulate 173                    one line per event of this seed, and what it ended with
    python -m scripts.simulate --seeds 0-5000 --jobs 2  a progress line, and one reproduction line per failure

A seed reproduces its run exactly (same code, any machine); the digest over all event lines says whether two runs were
the same. Ends with 1 when a seed fails. The tests run seeds 0-500 of the same simulator (tests/simulation/).

Refuses: to be installed. It is an engineer's tool and needs the tests' folder beside it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_CHUNK = 25


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one seed ended; `problem` is empty when nothing was violated."""

    seed: int
    problem: str
    events: int
    digest: str
    counts: dict[str, int]


def run_seed(seed: int, *, show: bool = False) -> Outcome:
    """Run one seed of the real core; `show` prints every event."""
    for folder in (_ROOT, _ROOT / "tests" / "tools"):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    from tests.simulation.oracles import ViolationError
    from tests.simulation.patched import load
    from tests.simulation.world import World

    world = World(load(), seed, trace=print if show else None)
    if show:
        print(world.options)
    problem = ""
    try:
        world.run()
    except ViolationError as error:
        problem = f"{error} (at {world.now} ms)"
    return Outcome(seed, problem, world.events, world.digest(), world.counts)


def run_chunk(seeds: Sequence[int]) -> list[Outcome]:
    """What one worker process does at a time."""
    return [run_seed(seed) for seed in seeds]


def run_many(first: int, after_last: int, jobs: int) -> int:
    """Run a range of seeds; answers the number of failures."""
    chunks = [range(at, min(at + _CHUNK, after_last)) for at in range(first, after_last, _CHUNK)]
    began = time.monotonic()
    done = failures = events = 0
    totals: dict[str, int] = {}
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        for outcomes in pool.map(run_chunk, chunks):
            for outcome in outcomes:
                done += 1
                events += outcome.events
                for name, count in outcome.counts.items():
                    totals[name] = totals.get(name, 0) + count
                if outcome.problem:
                    failures += 1
                    print(f"\rFAILED python -m scripts.simulate {outcome.seed}    # {outcome.problem}")
            took = time.monotonic() - began
            print(
                f"\r{done}/{after_last - first} seeds, {events} events, {failures} failures, "
                f"{events / took:,.0f} events/s, {took:.0f} s",
                end="",
                flush=True,
            )
    print()
    print("seen: " + ", ".join(f"{name} {count}" for name, count in totals.items()))
    return failures


def _range(text: str) -> tuple[int, int]:
    """`A-B`: seeds A to B, B not included."""
    first, _, after_last = text.partition("-")
    low, high = int(first), int(after_last)
    if not 0 <= low < high:
        raise argparse.ArgumentTypeError("A-B with 0 <= A < B")
    return low, high


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; answers the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.simulate", description=(__doc__ or "").split("\n")[0]
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("seed", nargs="?", type=int, help="one seed, every event printed")
    what.add_argument("--seeds", type=_range, metavar="A-B", help="seeds A to B, B not included")
    parser.add_argument("--jobs", type=int, default=1, help="worker processes (default 1)")
    chosen = parser.parse_args(argv)
    if chosen.seeds is not None:
        return 1 if run_many(chosen.seeds[0], chosen.seeds[1], chosen.jobs) else 0
    outcome = run_seed(chosen.seed, show=True)
    print(
        f"seed {outcome.seed}: {outcome.events} events, digest {outcome.digest}: {outcome.problem or 'no violation'}"
    )
    return 1 if outcome.problem else 0


if __name__ == "__main__":
    sys.exit(main())
