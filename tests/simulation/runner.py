"""Runs one seed in full, or many seeds on several cores: what `python -m scripts.simulate` calls.

Worker processes are spawned, never forked, and take disjoint chunks of seeds; results come back in the order of
seeds, so that two runs over the same range print the same failures.

Refuses: to judge. It prints what the oracles found, and how to see it again.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from tests.simulation.oracles import ViolationError
from tests.simulation.patched import real
from tests.simulation.world import World

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
    world = World(real(), seed, trace=print if show else None)
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
    """Run a range of seeds, in this process when `jobs` is 1; answers the number of failures."""
    chunks = [range(at, min(at + _CHUNK, after_last)) for at in range(first, after_last, _CHUNK)]
    if jobs == 1:
        return _report(map(run_chunk, chunks), after_last - first)
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        return _report(pool.map(run_chunk, chunks), after_last - first)


def _report(results: Iterable[list[Outcome]], wanted: int) -> int:
    """Tell the progress, each failure with its reproduction, and what was met; answers the number of failures."""
    began = time.monotonic()
    done = failures = events = 0
    totals: dict[str, int] = {}
    for outcomes in results:
        for outcome in outcomes:
            done += 1
            events += outcome.events
            for name, count in outcome.counts.items():
                totals[name] = totals.get(name, 0) + count
            if outcome.problem:
                failures += 1
                print(f"\rFAILED python -m scripts.simulate {outcome.seed}    # {outcome.problem}")
        took = max(time.monotonic() - began, 0.001)
        line = f"{done}/{wanted} seeds, {events} events, {failures} failures, {events / took:,.0f} events/s"
        print(f"\r{line}, {took:.0f} s", end="", flush=True)
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
    """Runs what the arguments ask for; answers the exit code: 1 when a seed failed."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.simulate", description="run the consensus simulator"
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
