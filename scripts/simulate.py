"""Run the consensus simulator by hand: one seed in full, or many seeds on several cores.

    python -m scripts.simulate 173                      one line per event of this seed, and what it ended with
    python -m scripts.simulate --seeds 0-5000 --jobs 2  a progress line, and one reproduction line per failure

A seed reproduces its run exactly (same code, any machine); the digest over all event lines says whether two runs were
the same. Ends with 1 when a seed fails. The tests run seeds 0-500 of the same simulator (tests/simulation/).

Refuses: to work without the tests' folder beside it: the simulator is a test tool, and is not part of the program.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]


def main(argv: list[str]) -> int:
    """Hand over to the simulator's runner; answers its exit code."""
    folders = [str(_ROOT), str(_ROOT / "tests" / "tools")]
    sys.path[:0] = [folder for folder in folders if folder not in sys.path]
    # Worker processes start from the environment, not from this process's path.
    inherited = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([*folders, *([inherited] if inherited else [])])
    runner = importlib.import_module("tests.simulation.runner")
    code: int = runner.main(argv)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
