"""The hardening that both HTTP listeners share."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from node import http_door
from node.errors import ReadError
from node.http_door import HEADERS, HttpDoor, json_response, problem


async def _broken(_: web.Request) -> web.Response:
    raise RuntimeError("a secret of the inside")


async def _refused(_: web.Request) -> web.Response:
    raise ReadError("E_READ_LIMIT", "too much")


async def _fine(_: web.Request) -> web.Response:
    return json_response({"name": "铁证"}, cache="public, max-age=5")


async def ask(path: str) -> tuple[int, str, dict[str, str]]:
    """Ask a listener that lives for one request."""
    door = HttpDoor(
        "127.0.0.1:0", [web.get("/broken", _broken), web.get("/refused", _refused), web.get("/", _fine)]
    )
    await door.start()
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{door.port}{path}") as answer,
        ):
            return answer.status, await answer.text(), dict(answer.headers)
    finally:
        await door.stop()


async def test_an_unexpected_failure_tells_nothing_of_the_inside() -> None:
    """500 with a code, without the exception's words."""
    status, text, headers = await ask("/broken")
    assert status == 500
    assert "E_INTERNAL" in text
    assert "secret" not in text
    assert headers["X-Content-Type-Options"] == "nosniff"


async def test_a_refusal_keeps_its_code() -> None:
    """A room's error becomes a problem document."""
    status, text, headers = await ask("/refused")
    assert status == 400
    assert "E_READ_LIMIT" in text
    assert headers["Content-Type"].startswith("application/problem+json")


async def test_good_answers_carry_the_headers_too() -> None:
    """UTF-8 as it is, the cache as asked for, hardening always."""
    status, text, headers = await ask("/")
    assert (status, text) == (200, '{"name":"铁证"}')
    assert headers["Cache-Control"] == "public, max-age=5"
    assert all(headers[name] == value for name, value in HEADERS.items())


@contextlib.asynccontextmanager
async def opened() -> AsyncIterator[HttpDoor]:
    """A listener with one page."""
    door = HttpDoor("127.0.0.1:0", [web.get("/", _fine)])
    await door.start()
    yield door
    await door.stop()


async def said(door: HttpDoor, data: bytes) -> bytes:
    """Everything that a listener answers to bytes before it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(data)
    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()
    return answer


NO_REQUESTS = {
    "no HTTP": b"\x16\x03\x01" + bytes(20) + b"\r\n\r\n",
    "no version": b"GET / SECRET/9\r\n\r\n",
    "a zero in a header": b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: SECRET\0\r\n\r\n",
    "an endless header": b"GET / HTTP/1.1\r\nHost: x\r\nX: SECRET" + b"a" * 20_000 + b"\r\n\r\n",
    "two lengths": b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "bytes in a path": b"GET /SECRET\xff HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("data", NO_REQUESTS.values(), ids=NO_REQUESTS)
async def test_what_is_no_request_is_refused_like_everything_else(
    data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """400 with a code and the hardening; nothing is repeated, neither to the caller nor to any log."""
    async with opened() as door:
        answer = await said(door, data)
    assert answer.split(b" ", 2)[1] == b"400"
    assert b'"code": "E_HTTP_400"' in answer
    assert b"X-Content-Type-Options: nosniff" in answer
    assert b"SECRET" not in answer
    assert not caplog.records


async def test_connections_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """One too many is told so at once; one that ends makes room."""
    monkeypatch.setattr(http_door, "CONNECTIONS_MAX", 2)
    async with opened() as door:
        held = [await asyncio.open_connection("127.0.0.1", door.port) for _ in range(2)]
        answer = await said(door, b"")
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b'"code": "E_HTTP_503"' in answer
        assert b"Retry-After: 5" in answer
        held[0][1].close()
        async with asyncio.timeout(5):
            while not (await said(door, b"GET / HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.0 200 "):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        held[1][1].close()


async def test_a_connection_that_asks_nothing_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that sends a request byte by byte without an end."""
    monkeypatch.setattr(http_door, "_KEEPALIVE_S", 0.2)
    async with opened() as door:
        assert await said(door, b"") == b""
        assert await said(door, b"GET / HTTP/1.1\r\nHost: ") == b""


async def test_a_caller_that_reads_nothing_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel gives up what stays unread, so an answer that nobody takes is not kept for ever."""
    monkeypatch.setattr(http_door, "_UNREAD_MS", 500)
    async with opened() as door:
        with socket.socket() as caller:
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            caller.connect(("127.0.0.1", door.port))
            caller.setblocking(False)
            loop, asked = asyncio.get_running_loop(), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 1_000
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.4):
                    while True:
                        await loop.sock_sendall(caller, asked)
            server = door._runner.server
            assert server is not None
            assert server.connections, "answers wait for it"
            async with asyncio.timeout(20):
                while server.connections:  # noqa: ASYNC110 - the server notices on its own time
                    await asyncio.sleep(0.05)


def test_a_problem_has_status_and_code() -> None:
    """The code is in a URN and on its own."""
    answer = problem(404, "E_READ_NOT_FOUND", "no such block")
    assert answer.status == 404
    assert isinstance(answer.body, bytes)
    assert b'"code": "E_READ_NOT_FOUND"' in answer.body
