"""Connections are counted, end when they do nothing, and what is no request is refused like everything else."""

import asyncio
import contextlib
import json
import logging
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from gateway_fakes import FakeTelemetry

from gateway.web import listener
from gateway.web.listener import Listener
from node.tls_certs import new_identity


async def _fine(_: web.Request) -> web.Response:
    return web.Response(text="fine")


@asynccontextmanager
async def opened(
    *, connections_max: int = 9, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[int, FakeTelemetry]]:
    """A listener with one route: its port, and what it said."""
    application = web.Application()
    application.router.add_get("/", _fine)
    telemetry = FakeTelemetry()
    made = Listener(application, telemetry, connections_max=connections_max, stop_max_s=1.0, tls=tls)
    await made.prepare()
    port = await made.open("127.0.0.1", 0)
    try:
        yield port, telemetry
    finally:
        await made.close()


async def said(port: int, data: bytes, *, tls: ssl.SSLContext | None = None) -> bytes:
    """Everything that is answered to bytes until the listener closes."""
    name = "gateway" if tls else None
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname=name)
    writer.write(data)
    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()
    return answer


NO_REQUESTS = {
    "TLS on a plain port": b"\x16\x03\x01" + bytes(50),
    "no version": b"GET / SECRET/9\r\n\r\n",
    "a zero in a key": b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer SECRET\0\r\n\r\n",
    "an endless header": b"GET / HTTP/1.1\r\nHost: x\r\nX: SECRET" + b"a" * 20_000 + b"\r\n\r\n",
    "a length and chunks": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "bytes in a path": b"GET /SECRET\xff HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("data", NO_REQUESTS.values(), ids=NO_REQUESTS)
async def test_what_is_no_request_has_a_code_too(data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """400 as a problem document; nothing is repeated, neither to the caller nor anywhere else."""
    async with opened() as (port, telemetry):
        answer = await said(port, data)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split(b" ")[1] == b"400"
    assert b"application/problem+json" in head
    assert json.loads(body)["code"] == "E_REQUEST_MALFORMED"
    assert b"SECRET" not in answer
    assert not telemetry.lines
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING]


async def test_one_connection_too_many_is_told_so() -> None:
    """503 with a delay, one line of telemetry however often; a connection that ends makes room."""
    async with opened(connections_max=2) as (port, telemetry):
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        for _ in range(3):
            head, _, body = (await said(port, b"")).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 503 ")
            assert b"Retry-After: 5" in head
            assert json.loads(body)["code"] == "E_BUSY"
        assert telemetry.events() == ["connections_full"]
        held[0][1].close()
        async with asyncio.timeout(5):
            while not (await said(port, b"GET / HTTP/1.0\r\n\r\n")).endswith(b"fine"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        held[1][1].close()


async def test_who_sends_no_whole_request_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing at all, or a head without an end."""
    monkeypatch.setattr(listener, "IDLE_S", 0.2)
    async with opened() as (port, _):
        assert await said(port, b"") == b""
        assert await said(port, b"GET / HTTP/1.1\r\nHost: ") == b""


async def test_who_reads_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel ends a connection whose answers stay unread; then there is room for another one."""
    monkeypatch.setattr(listener, "UNREAD_S", 1)
    async with opened(connections_max=1) as (port, _):
        with socket.socket() as caller:
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            caller.connect(("127.0.0.1", port))
            caller.setblocking(False)
            loop, asked = asyncio.get_running_loop(), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 1_000
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    while True:
                        await loop.sock_sendall(caller, asked)
            async with asyncio.timeout(20):
                while not (await said(port, b"GET / HTTP/1.0\r\n\r\n")).endswith(b"fine"):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)


async def test_it_speaks_tls(tmp_path: Path) -> None:
    """With the context that it is given; a caller that stops in the handshake costs it nothing lasting."""
    identity = new_identity(None, "gateway", int(time.time()), 1)
    (tmp_path / "crt").write_bytes(identity.cert_pem)
    (tmp_path / "key").write_bytes(identity.key_pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "crt", tmp_path / "key")
    client = ssl.create_default_context(cafile=str(tmp_path / "crt"))
    async with opened(tls=server) as (port, _):
        assert (await said(port, b"GET / HTTP/1.0\r\n\r\n", tls=client)).endswith(b"fine")
        assert b"fine" not in await said(port, b"GET / HTTP/1.0\r\n\r\n")
