"""`make lock`: resolve pyproject.toml into the two lock files, with the hash of every file of every version.

requirements.lock is what an institution installs (node and gateway); requirements-dev.lock adds the tools
of the gate, and `make setup` installs it. Both hold for all supported Pythons and machines (uv's universal
resolution), name no package index and no path, and agree with each other: the smaller one is resolved under
the larger one's versions.

The resolver is installed into a throw-away environment, so that it is not among the things it resolves. It
reads its own settings (UV_INDEX_URL and the like), not pip's. Present pins stay unless `--upgrade` is
given.
"""

import argparse
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

RESOLVER = "uv==0.13.9"
DEV_LOCK = "requirements-dev.lock"
RUNTIME_LOCK = "requirements.lock"


def resolver_commands(uv: str, *, upgrade: bool) -> list[list[str]]:
    """The two resolver calls, in order; they run in the repository's root."""
    common = [uv, "--quiet", "--system-certs", "pip", "compile", "pyproject.toml", "--extra", "gateway"]
    common += ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-emit-index-url"]
    common += ["--no-emit-find-links", "--custom-compile-command", "make lock"]
    common += ["--upgrade"] if upgrade else []
    return [
        [*common, "--group", "dev", "--output-file", DEV_LOCK],
        [*common, "--constraint", DEV_LOCK, "--output-file", RUNTIME_LOCK],
    ]


def main(arguments: list[str] | None = None) -> int:
    """Resolve both files in place; returns the exit code."""
    parser = argparse.ArgumentParser(prog="lock", description="Resolve the lock files anew.")
    parser.add_argument("--upgrade", action="store_true", help="take newer versions, not the present pins")
    options = parser.parse_args(arguments)
    root = Path(__file__).resolve().parents[2]
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        tools = Path(folder) / "bin"
        subprocess.run([str(tools / "python"), "-m", "pip", "--quiet", "install", RESOLVER], check=True)
        for command in resolver_commands(str(tools / "uv"), upgrade=options.upgrade):
            subprocess.run(command, check=True, cwd=root)
    print(f"lock: wrote {DEV_LOCK} and {RUNTIME_LOCK}; run make setup to install them")
    return 0


if __name__ == "__main__":
    sys.exit(main())
