"""Submitting and fetching, against a gateway that answers from a table."""

import hashlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from little_http import Answer, Answerer, little_server

from scripts.cli import tiezheng


def _key(folder: Path) -> Path:
    file = folder / "key"
    file.write_text("k-123\n", encoding="ascii")
    file.chmod(0o600)
    return file


def _gateway(state: str = "final") -> Answerer:
    def answer(method: str, path: str, body: bytes) -> Answer | None:
        if method == "POST" and path == "/v1/commitments":
            item = json.loads(body)["items"][0]
            return 202, {"items": [{"ref": item["ref"], "id": "r1", "state": "pending"}]}
        if path == "/v1/records/r1":
            return 200, {"id": "r1", "state": state}
        if path.startswith("/v1/records/r1/receipt"):
            return 200, b"c2sp.org/tlog-proof@v1\n" + path.encode()
        return None

    return answer


def test_only_the_commitment_leaves_the_machine(tmp_path: Path) -> None:
    """The file's content is in no request; the commitment is that of salt and file; the key is in the header."""
    file = tmp_path / "a.txt"
    file.write_text("very private", encoding="utf-8")
    with little_server(_gateway()) as server:
        arguments = [
            "submit",
            str(file),
            "--gateway",
            server.url,
            "--api-key-file",
            str(_key(tmp_path)),
            "--wait",
            "5",
            "--json",
        ]
        result = CliRunner().invoke(tiezheng, arguments)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    salt = (tmp_path / "a.txt.salt").read_bytes()
    assert document["commitment"] == hashlib.sha256(salt + b"very private").hexdigest()
    assert document["state"] == "final"
    assert server.asked[0].headers["authorization"] == "Bearer k-123"
    assert all(b"private" not in asked.body for asked in server.asked)


def test_a_receipt_is_written_as_it_came(tmp_path: Path) -> None:
    """Bytes of a proof are never rewritten; --header asks for the block header too."""
    out = tmp_path / "r.tlog-proof"
    with little_server(_gateway()) as server:
        arguments = [
            "proof",
            "r1",
            "--header",
            "-o",
            str(out),
            "--gateway",
            server.url,
            "--api-key-file",
            str(_key(tmp_path)),
        ]
        result = CliRunner().invoke(tiezheng, arguments)
    assert result.exit_code == 0, result.output
    assert out.read_bytes().endswith(b"?with=header")


def test_a_record_that_stays_pending_is_exit_code_8(tmp_path: Path) -> None:
    """Time ran out, the outcome is open, asking again is safe; the words say so."""
    with little_server(_gateway("pending")) as server:
        arguments = [
            "proof",
            "r1",
            "--wait",
            "0",
            "--gateway",
            server.url,
            "--api-key-file",
            str(_key(tmp_path)),
        ]
        result = CliRunner().invoke(tiezheng, arguments)
    assert result.exit_code == 8
    assert "nothing is lost" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["submit"],
        ["submit", "a.txt", "--digest", "00" * 32],
        ["submit", "--digest", "zz"],
        ["submit", "--digest", "AB" * 32],
        ["submit", "--digest", "00" * 32, "--gateway", "http://127.0.0.1:9"],
    ],
)
def test_a_wrong_command_line_is_exit_code_2(arguments: list[str]) -> None:
    """Nothing is sent when it is not clear what was meant."""
    assert CliRunner().invoke(tiezheng, arguments).exit_code == 2


def test_a_receipt_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    """The place is named; there is no traceback."""
    out = tmp_path / "none" / "r.tlog-proof"
    with little_server(_gateway()) as server:
        key = str(_key(tmp_path))
        arguments = ["proof", "r1", "-o", str(out), "--gateway", server.url, "--api-key-file", key]
        result = CliRunner().invoke(tiezheng, arguments)
    assert result.exit_code == 4
    assert str(out) in result.stderr
