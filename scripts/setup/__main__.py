"""`python3 -m scripts.setup` (as `make setup`): from a fresh clone to a ready `.venv`.

It runs under whatever Python the machine has, so the version is judged before anything newer is imported.
Exit codes: 0 ready, 1 an installation step failed, 3 the machine lacks something and the message says what.
"""

import subprocess
import sys
from pathlib import Path

OLDEST = (3, 11)


def main() -> int:
    """Prepare the machine, then the environment; returns the exit code."""
    if sys.version_info < OLDEST:
        found = sys.version.split()[0]
        print(
            f"setup: Python 3.11 or newer is needed, this is {found}; say make setup PYTHON=python3.12",
            file=sys.stderr,
        )
        return 3
    from scripts.setup import environment, system

    try:
        system.prepare()
        environment.prepare(Path(__file__).resolve().parents[2])
    except system.SystemLacksError as lack:
        print(f"setup: {lack}", file=sys.stderr)
        return 3
    except subprocess.CalledProcessError as failed:
        print(f"setup: this step failed with code {failed.returncode}: {failed.cmd}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
