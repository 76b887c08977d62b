"""docs/verifying.md is executed: every command of the page, in its order, on files with the page's names."""

import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from markdown_pages import FENCE, SHELL
from receipt_changes import WORLD, with_leaf

ROOT = Path(__file__).parents[2]
PAGES = ["docs/verifying.md", "docs/verifying.zh.md"]
NOTICE, SALT = "您好，您的持仓产品风险等级有调整。\n".encode(), bytes(range(32))
TOOLS = ["bash", "sha256sum", "base64", "od", "sed", "openssl"]


def blocks(page: str) -> list[str]:
    """The page's shell blocks."""
    text = (ROOT / page).read_text("utf-8")
    return [found["body"] for found in FENCE.finditer(text) if found["kind"] in SHELL]


@pytest.fixture
def court(tmp_path: Path) -> Path:
    """An expert's folder: the four files, the second program alone, and the first one on the path."""
    leaf = WORLD.leaves[WORLD.index]
    commitment = sha256(SALT + NOTICE).digest()
    receipt, trust, digest = with_leaf(WORLD, leaf[:12] + commitment + leaf[44:])
    assert digest == commitment.hex()
    for name, content in {
        "notice.txt": NOTICE,
        "notice.txt.salt": SALT,
        "receipt.tlog-proof": receipt,
        "policy.txt": trust,
    }.items():
        (tmp_path / name).write_bytes(content)
    shutil.copy(ROOT / "scripts/second_verify.py", tmp_path)
    program = tmp_path / "bin" / "tiezheng"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m scripts.cli "$@"\n')
    program.chmod(0o755)
    return tmp_path


def executed(court: Path, block: str) -> subprocess.CompletedProcess[str]:
    """A block as somebody pastes it."""
    path = f"{court / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", block],
        cwd=court,
        env={**os.environ, "PATH": path, "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(not all(map(shutil.which, TOOLS)), reason="needs the usual tools of a Linux machine")
@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_the_page_works(court: Path, page: str) -> None:
    """Each block ends well, both programs say valid, and the check by hand comes to the same three statements."""
    output = ""
    for block in blocks(page):
        done = executed(court, block)
        assert done.returncode == 0, block + done.stdout + done.stderr
        output += done.stdout
    assert sha256(WORLD.trust()).hexdigest() in output
    assert "VALID 核验通过" in output
    assert "核验通过 VALID" in output
    if page == "docs/verifying.md":
        assert "1. the receipt is about this file" in output
        assert "2. the record is in the signed tree" in output
        assert "3. BROKER/broker-1 signed this tree at Mon Nov 24 16:00:00 UTC 2025" in output


@pytest.mark.skipif(not all(map(shutil.which, TOOLS)), reason="needs the usual tools of a Linux machine")
def test_the_check_by_hand_finds_changes(court: Path) -> None:
    """Another original, another leaf and another checkpoint are each found by their own step."""
    first, second, third = blocks("docs/verifying.md")[-3:]
    receipt = (court / "receipt.tlog-proof").read_text("utf-8")
    (court / "notice.txt").write_bytes(NOTICE + b"!")
    assert "1. " not in executed(court, first).stdout
    (court / "leaf.bin").write_bytes(bytes(128))
    assert "2. " not in executed(court, second).stdout
    size = len(WORLD.leaves)
    (court / "receipt.tlog-proof").write_text(receipt.replace(f"\n{size}\n", f"\n{size + 1}\n"), "utf-8")
    executed(court, second)
    assert "3. " not in executed(court, third).stdout


@pytest.mark.parametrize("page", PAGES)
def test_the_page_lists_the_exit_codes_of_both_programs(page: str) -> None:
    """Its table has exactly the codes that a verification can end with."""
    text = (ROOT / page).read_text("utf-8")
    rows = [
        line for line in text.splitlines() if line.startswith("| ") and line.split("|")[1].strip().isdigit()
    ]
    assert [int(row.split("|")[1]) for row in rows] == [0, 2, 4, 10, 11, 13]
