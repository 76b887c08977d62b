"""Planted bugs are found: what the simulator says about the real core means something."""

from pathlib import Path

import pytest

from tests.simulation.mutants import MUTANTS, RELATIVES, Mutant
from tests.simulation.oracles import ViolationError
from tests.simulation.patched import Patch, load, real
from tests.simulation.world import World


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mutant", [*MUTANTS, *RELATIVES], ids=lambda mutant: mutant.name)
def test_planted_bug_is_found(mutant: Mutant, tmp_path: Path) -> None:
    """Within its budget of seeds; the first one that finds it ends the search."""
    core = load(tmp_path, "planted_" + mutant.name.replace("-", "_"), mutant.patches)
    for seed in range(mutant.seeds):
        try:
            World(core, seed).run()
        except ViolationError as error:
            print(f"{mutant.name}: seed {seed}: {error}")
            return
    pytest.fail(f"{mutant.name} survived {mutant.seeds} seeds")


@pytest.mark.parametrize("mutant", [*MUTANTS, *RELATIVES], ids=lambda mutant: mutant.name)
def test_every_patch_applies(mutant: Mutant, tmp_path: Path) -> None:
    """The piece it replaces is in the source, once: else the mutant would be the real core, or nothing."""
    load(tmp_path, "applies_" + mutant.name.replace("-", "_"), mutant.patches)


@pytest.mark.parametrize(
    "patch", [Patch("log", "no such text", ""), Patch("log", "def ", ""), Patch("nothing", "", "")]
)
def test_a_patch_that_does_not_apply_fails(patch: Patch, tmp_path: Path) -> None:
    """Loudly, also when it is not clear what it means."""
    with pytest.raises(LookupError):
        load(tmp_path, "does_not_apply", (patch,))


def test_a_copy_of_the_core_behaves_like_the_core(tmp_path: Path) -> None:
    """The name of the copy changes nothing: same seed, same digest."""
    copy = load(tmp_path, "same_core", (Patch("quorum", "Judge an election", "Judges an election"),))
    for seed in (4, 5):
        assert World(copy, seed).run().digest() == World(real(), seed).run().digest()
