"""A little HTTP server that answers from a table: for tests of programs that ask doors.

Each answer is (status, body as a JSON value or bytes); paths that are not in the table give 404. What was asked is kept.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, Any]
Answerer = Callable[[str, str, bytes], Answer | None]


@dataclass(slots=True)
class Asked:
    """One request as it came: method, path with query, headers in lower case, body."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class LittleServer:
    """Where it listens and what it was asked."""

    url: str
    asked: list[Asked] = field(default_factory=list)


@contextmanager
def little_server(answerer: Answerer) -> Iterator[LittleServer]:
    """Serve `answerer(method, path, body)` on a free port of loopback."""
    asked: list[Asked] = []

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked.append(Asked(self.command, self.path, headers, body))
            status, value = answerer(self.command, self.path, body) or (404, {"code": "E_NOT_FOUND"})
            data = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _serve  # noqa: N815 - the standard library's names

        def log_message(self, *_args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield LittleServer(f"http://127.0.0.1:{server.server_address[1]}", asked)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
