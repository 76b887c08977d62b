"""Five hundred worlds without a violation, in which everything rare has happened."""

import pytest

from tests.simulation.oracles import ViolationError
from tests.simulation.patched import real
from tests.simulation.world import RARE, World

CHUNK = 100
#: Seeds of every test run. `python -m scripts.simulate --seeds 0-5000 --jobs 2` runs more by hand.
SEEDS = 500


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_seeds(first: int) -> None:
    """No invariant is violated, and each kind of rare event was met: else the faults are drawn too narrowly."""
    met = dict.fromkeys(RARE, 0)
    committed = 0
    for seed in range(first, first + CHUNK):
        world = World(real(), seed)
        try:
            world.run()
        except ViolationError as error:
            pytest.fail(f"python -m scripts.simulate {seed}    # {error}")
        committed += len(world.oracles.committed)
        for name, count in world.counts.items():
            met[name] += count
    assert [name for name, count in met.items() if not count] == []
    assert committed > 20 * CHUNK, "the worlds do too little"


def test_a_few_seeds() -> None:
    """The same for a handful, so that the quick gate has a simulator too."""
    for seed in range(1000, 1012):
        World(real(), seed).run()
