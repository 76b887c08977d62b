"""`tiezheng verify`: what it prints, what it refuses, and what it needs."""

import json
import subprocess
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from receipt_changes import PLAIN, WORLD, file, head, header_fields, lines, resigned, with_header

from scripts.cli import tiezheng
from scripts.cmd_verify import verify

RECEIPT, TRUST_FILE, DIGEST = file(WORLD, lines(WORLD))


@pytest.fixture
def court(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a receipt and a trust file, and the command runs in it."""
    (tmp_path / "r").write_bytes(RECEIPT)
    (tmp_path / "p").write_bytes(TRUST_FILE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    """The command with the folder's files."""
    return CliRunner().invoke(verify, ["r", "--policy", "p", *arguments])


def shown(result: Result) -> dict[str, list[str]]:
    """What was found, by the first word of each line."""
    rows: dict[str, list[str]] = {}
    for line in result.stdout.splitlines():
        rows.setdefault(line.split(" ")[0], []).append(line)
    return rows


def test_a_valid_receipt_is_shown_line_by_line(court: Path) -> None:
    """Digest, leaf fields, tree, block, who signed and when, the trust file's fingerprint; one verdict, at the end."""
    result = run("--digest", DIGEST)
    assert result.exit_code == 0, result.output
    rows = shown(result)
    assert sha256(TRUST_FILE).hexdigest() in rows["trust"][0]
    assert WORLD.origin in rows["trust"][0]
    assert DIGEST in rows["commitment"][0]
    institution, source, template = (
        WORLD.leaves[WORLD.index][a:b].rstrip(b"\0").decode() for a, b in ((44, 60), (60, 84), (84, 116))
    )
    assert rows["institution"][0].endswith(institution)
    assert source in rows["source"][0]
    assert template in rows["template"][0]
    assert f"leaf {WORLD.index} of {len(WORLD.leaves)}" in rows["tree"][0]
    assert len(rows["cosigned"]) == len(WORLD.parties)
    assert all("2025-11-24 16:00:00 UTC" in row for row in rows["cosigned"])
    assert "height" in rows["block"][0]
    assert result.stdout.count("VALID") == 1
    assert result.stdout.splitlines()[-1].startswith("VALID 核验通过")


def test_without_a_header_height_and_time_are_not_claimed(court: Path) -> None:
    """The line says so, so that nobody takes a cosignature's time for the block's."""
    receipt, trust, digest = file(PLAIN, lines(PLAIN))
    (court / "r").write_bytes(receipt)
    (court / "p").write_bytes(trust)
    result = run("--digest", digest)
    assert result.exit_code == 0
    assert "brings no header" in shown(result)["block"][0]


def test_json_is_one_document_with_all_facts(court: Path) -> None:
    """A script finds every fact of the text, and the same ones with and without a header."""
    result = run("--digest", DIGEST, "--json")
    document: dict[str, Any] = json.loads(result.stdout)
    assert (result.exit_code, document["schema"], document["valid"]) == (0, "tiezheng.verify/1", True)
    assert document["commitment"] == DIGEST
    assert document["tree"]["index"] == WORLD.index
    assert bytes.fromhex(document["record"]["leaf"]) == WORLD.leaves[WORLD.index]
    assert document["block"]["height"] >= 1
    assert {one["witness"] for one in document["cosignatures"]} == {one.witness for one in WORLD.parties}
    receipt, trust, digest = file(PLAIN, lines(PLAIN))
    (court / "r").write_bytes(receipt)
    (court / "p").write_bytes(trust)
    plain = json.loads(run("--digest", digest, "--json").stdout)
    assert plain.keys() == document.keys()
    assert plain["block"] is None


@pytest.mark.parametrize(
    ("files", "code", "name"),
    [
        ((RECEIPT, TRUST_FILE, "00" * 32), 10, "E_RECEIPT_COMMITMENT"),
        (resigned(WORLD, head(WORLD, size="7")), 10, "E_PROOF_"),
        (with_header(header_fields(chain="chain-00000000")), 10, "E_RECEIPT_HEADER_CHAIN"),
        (file(WORLD, lines(WORLD)[1:]), 11, "E_NOTE_NO_LOG"),
        (file(WORLD, lines(WORLD)[:1]), 11, "E_QUORUM"),
        ((RECEIPT[:-1], TRUST_FILE, DIGEST), 13, "E_RECEIPT_CHECKPOINT"),
        ((b"", TRUST_FILE, DIGEST), 13, "E_RECEIPT_VERSION"),
        ((RECEIPT, b"", DIGEST), 13, "E_POLICY_QUORUM"),
        ((RECEIPT, b"from 0\n" + TRUST_FILE, DIGEST), 13, "E_TRUST_SECTIONS"),
    ],
)
def test_a_refusal_has_one_verdict_a_reason_and_no_facts(
    court: Path, files: tuple[bytes, bytes, str], code: int, name: str
) -> None:
    """Standard output has the verdict alone; the reason with its stable code is beside it; JSON is an error document."""
    (court / "r").write_bytes(files[0])
    (court / "p").write_bytes(files[1])
    result = run("--digest", files[2])
    assert result.exit_code == code
    assert result.stdout.startswith("NOT VALID 核验不通过")
    assert result.stdout.count("\n") == 1
    assert name in result.stderr
    document = json.loads(run("--digest", files[2], "--json").stdout)
    assert (document["schema"], document["exit_code"]) == ("tiezheng.error/1", code)
    assert document["code"].startswith(name)


def test_the_reader_brings_the_digest(court: Path) -> None:
    """Neither nothing nor two things; a digest is 64 hex digits, large or small."""
    (court / "o").write_bytes(b"content")
    usage: Sequence[Sequence[str]] = [
        (),
        ("--digest", DIGEST, "--original", "o"),
        ("--digest", "ab"),
        ("--digest", ""),
        ("--digest", "g" * 64),
        ("--digest", "０" * 64),
    ]
    assert [run(*arguments).exit_code for arguments in usage] == [2] * len(usage)
    assert run("--digest", DIGEST.upper()).exit_code == 0
    assert CliRunner().invoke(verify, ["r", "--digest", DIGEST]).exit_code == 2, "no trust file, no verdict"


def test_the_original_with_and_without_salt(court: Path) -> None:
    """The commitment is computed as `submit` does it."""
    (court / "o").write_bytes(b"content")
    assert run("--original", "o").exit_code == 10
    (court / "o.salt").write_bytes(bytes(31))
    assert run("--original", "o").exit_code == 13


def test_missing_files(court: Path) -> None:
    """4, and the message names the file."""
    result = run("--original", "nothing")
    assert (result.exit_code, "nothing" in result.stderr) == (4, True)
    for arguments in (["none", "--policy", "p"], ["r", "--policy", "none"], [".", "--policy", "p"]):
        result = CliRunner().invoke(verify, [*arguments, "--digest", DIGEST])
        assert result.exit_code == 4, result.output


def test_it_needs_neither_network_nor_database(court: Path) -> None:
    """A whole verification imports no gRPC, HTTP, database or SQL package, and opens no socket."""
    code = (
        "import sys, socket\n"
        "def closed(*a, **k): raise AssertionError('a socket')\n"
        "socket.socket.connect = closed\n"
        "from click.testing import CliRunner\n"
        "from scripts.cli import tiezheng\n"
        f"r = CliRunner().invoke(tiezheng, ['verify', 'r', '--policy', 'p', '--digest', {DIGEST!r}])\n"
        "print(r.output)\n"
        "heavy = {'grpc', 'aiohttp', 'plyvel', 'sqlalchemy', 'google', 'cryptography'} & set(sys.modules)\n"
        "sys.exit(r.exit_code or (f'{heavy} were imported' if heavy else 0))\n"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(root)!r})\n{code}"],
        capture_output=True,
        text=True,
        cwd=court,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_program_lists_it() -> None:
    """`tiezheng verify --help` explains what the reader brings."""
    result = CliRunner().invoke(tiezheng, ["verify", "--help"])
    assert all(word in result.output for word in ("--policy", "--digest", "--original", "--json"))


def test_a_refusal_says_what_to_look_at(court: Path) -> None:
    """An honest mistake (no salt, an edited copy, another trust file) can be told from a forgery."""
    (court / "o").write_bytes(b"content")
    assert "o.salt is not there" in run("--original", "o").stderr
    (court / "o.salt").write_bytes(bytes(32))
    assert "with its own salt?" in run("--original", "o").stderr
    (court / "r").write_bytes(RECEIPT.replace(b"\n", b"\r\n"))
    assert "line ends" in json.loads(run("--digest", DIGEST, "--json").stdout)["hint"]
    (court / "p").write_bytes(b"not one")
    assert "is it a trust file" in run("--digest", DIGEST).stderr
