"""The command line's HTTP client: every failure is a sentence and an exit code."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from scripts.exit_codes import CommandError, Exit
from scripts.web import Answer, expect, read_key_file, request


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "/ok")
            self.end_headers()
            return
        status = 200 if self.path == "/ok" else 409
        body = json.dumps(
            {"code": "E_X", "detail": "because", "hint": "do y", "auth": self.headers.get("Authorization")}
        )
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_args: Any) -> None:
        return


@pytest.fixture
def base() -> Iterator[str]:
    """Serve the little handler on a free port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_good_answer_is_returned_and_the_key_goes_in_the_header(base: str) -> None:
    """Keys travel in the Authorization header, nowhere else."""
    answer = expect(request(f"{base}/ok", api_key="k"), 200)
    assert answer.json()["auth"] == "Bearer k"


def test_a_problem_becomes_a_command_error(base: str) -> None:
    """Code, sentence and way out come from the problem document."""
    with pytest.raises(CommandError) as caught:
        expect(request(f"{base}/bad"), 200)
    error = caught.value
    assert (error.exit_code, error.code, error.message, error.hint) == (
        Exit.CONFLICT,
        "E_X",
        "because",
        "do y",
    )


def test_redirects_are_not_followed(base: str) -> None:
    """A door that points elsewhere is not this door."""
    assert request(f"{base}/redirect").status == 302


def test_nobody_there_is_exit_code_3() -> None:
    """An address without a listener says so."""
    with pytest.raises(CommandError) as caught:
        request("http://127.0.0.1:9/ok", timeout_s=1)
    assert caught.value.exit_code == Exit.UNREACHABLE


def test_other_schemes_are_refused() -> None:
    """No file is read by an address."""
    with pytest.raises(CommandError) as caught:
        request("file:///etc/hostname")
    assert caught.value.exit_code == Exit.USAGE


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    """Secrets have mode 0600."""
    file = tmp_path / "key"
    file.write_text("secret\n", encoding="ascii")
    file.chmod(0o644)
    with pytest.raises(CommandError) as caught:
        read_key_file(file)
    assert caught.value.exit_code == Exit.NOT_ALLOWED
    assert "secret" not in caught.value.message
    file.chmod(0o600)
    assert read_key_file(file) == "secret"


def test_wrong_fields_are_named() -> None:
    """Who mistyped an option reads which one and why; the command line was wrong, so the code is 2."""
    problem = {
        "code": "E_FIELD_PATTERN",
        "detail": "none of 1 items was accepted",
        "hint": "See `errors` for the field and its alphabet.",
        "errors": [{"path": "items[0].source", "code": "E_FIELD_PATTERN", "message": "source is [A-Z0-9.-]"}],
    }
    with pytest.raises(CommandError) as caught:
        expect(Answer(422, {}, json.dumps(problem).encode()), 200)
    assert caught.value.exit_code == Exit.USAGE
    assert caught.value.message.endswith("items[0].source: source is [A-Z0-9.-]")
    assert caught.value.hint == "", "it points at a list that is shown already"
