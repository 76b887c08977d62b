"""The README's blocks, from top to bottom, as a reader types them; in both languages, on one checkout.

Only two things differ from what the page says: `make demo` is its second half (the environment is the test's own), and
the ports are free ones. The network is made before, with those ports, so that every command runs as it is written.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from e2e_network import free_port_base
from markdown_pages import commands

from scripts import devnet, processes
from scripts.devfolder import DEFAULT_FOLDER, DevNetwork
from scripts.exit_codes import Exit
from scripts.web import request

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("e2e")]

ROOT = Path(__file__).resolve().parents[2]
DEMO = "make demo"
DOWN = ".venv/bin/tiezheng dev down"
_MARK = "@@ line "


@dataclass(frozen=True, slots=True)
class Checkout:
    """A folder that looks like a checkout after `make demo`'s first half, with a network on free ports."""

    folder: Path
    network: DevNetwork

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a shell script as a reader's terminal would, ended by the first command that fails."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder,
            env={"HOME": str(self.folder), "PATH": path, "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """Make the folder; whatever happens, nothing runs when the tests are over."""
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "scripts").symlink_to(ROOT / "scripts")
    program = folder / ".venv/bin/tiezheng"
    program.parent.mkdir(parents=True)
    program.write_text(
        f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m scripts.cli "$@"\n', encoding="utf-8"
    )
    program.chmod(0o755)
    network = devnet.create(folder / DEFAULT_FOLDER, free_port_base())
    yield Checkout(folder, network)
    devnet.stop_processes(network, reversed(devnet.names(network)))


def page_commands(name: str, port_base: int) -> list[tuple[int, str]]:
    """The page's commands with their lines, ports moved and `make demo` replaced."""
    found = []
    for line, text in commands((ROOT / name).read_text(encoding="utf-8")):
        command = f"{shlex.quote(sys.executable)} -m scripts.demo" if text == DEMO else text
        moved = re.sub(r"127\.0\.0\.1:76(\d\d)", lambda m: f"127.0.0.1:{port_base + int(m[1])}", command)
        found.append((line, moved))
    return found


def run_page(checkout: Checkout, name: str) -> str:
    """Run the page's commands in one shell and return what was shown; fails with the line that ended it."""
    script = "\n".join(
        f"printf '\\n{_MARK}%s\\n' {line}\n{command}"
        for line, command in page_commands(name, checkout.network.port_base)
    )
    done = checkout.run(script)
    last = done.stdout.rpartition(_MARK)[2]
    assert done.returncode == 0, f"{name}: exit code {done.returncode} at line {last}"
    return done.stdout


def running(network: DevNetwork) -> list[str]:
    """The names of the processes that run."""
    return [n for n in devnet.names(network) if processes.running_pid(network.pid_file(n)) is not None]


@pytest.mark.parametrize("name", ["README.md", "README.zh.md"])
def test_a_page_begins_with_the_demonstration_and_leaves_nothing_running(name: str) -> None:
    """The first command is the one that needs nothing; the last one stops everything."""
    texts = [text for _, text in commands((ROOT / name).read_text(encoding="utf-8"))]
    assert (texts[0], texts[-1]) == (DEMO, DOWN)
    assert all(f".venv/bin/tiezheng dev demo {drill}" in texts for drill in ("tamper", "outage", "fork"))


@pytest.mark.parametrize(
    ("name", "original", "verdicts"), [("README.md", "notice.txt", 4), ("README.zh.md", "notice-zh.txt", 4)]
)
def test_the_page_works_as_it_is_written(checkout: Checkout, name: str, original: str, verdicts: int) -> None:
    """Every command ends well; receipts are valid by both programs, forged ones are not; then nothing runs.

    `verdicts`: two programs on the demonstration's receipt and on the reader's own.
    """
    shown = run_page(checkout, name)
    valid = re.findall(r"^(?:VALID|结论 VERDICT: 核验通过)", shown, re.MULTILINE)
    assert len(valid) == verdicts, shown
    assert shown.count("NOT VALID") == 4, "two programs on two forgeries"
    for verdict in ("convicted the key", "noticed by the node itself", "nothing was lost"):
        assert verdict in shown
    assert running(checkout.network) == []
    # "Change one character of the file and verify again: exit code 10."
    file = checkout.folder / original
    file.write_text(file.read_text(encoding="utf-8").replace("25", "26"), encoding="utf-8")
    receipt = f"{Path(original).stem}.tlog-proof --policy tiezheng-dev/policy.txt --original {original}"
    for program in (".venv/bin/tiezheng verify", "python3 scripts/second_verify.py"):
        assert checkout.run(f"{program} {receipt}").returncode == Exit.CONTENT_DIFFERS


def test_the_call_by_http_is_answered_and_the_page_for_people_is_there(checkout: Checkout) -> None:
    """What the README shows with curl is accepted, and the address that it tells to open shows the chain.

    curl ends with 0 whatever the gateway answers, so its answer is looked at here.
    """
    (line, call), *more = [
        (at, text)
        for at, text in page_commands("README.md", checkout.network.port_base)
        if text.startswith("curl ")
    ]
    assert not more, "a second call by curl: look at its answer too"
    before = [text for at, text in page_commands("README.md", checkout.network.port_base) if at == line - 1]
    devnet.start_processes(checkout.network, devnet.names(checkout.network))
    devnet.wait_ready(checkout.network, devnet.names(checkout.network))
    file = checkout.folder / "notice.txt"
    if not file.exists():
        assert checkout.run("echo x > notice.txt && .venv/bin/tiezheng submit notice.txt").returncode == 0
    done = checkout.run("\n".join([*before, call.replace("readme-1", "readme-by-test")]))
    assert '"state":"final"' in done.stdout, done.stdout
    address = re.search(r"<http://127\.0\.0\.1:76(\d\d)/>", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert address is not None
    page = request(f"http://127.0.0.1:{checkout.network.port_base + int(address[1])}/")
    assert page.status == 200
    assert checkout.network.chain_id in page.body.decode()
