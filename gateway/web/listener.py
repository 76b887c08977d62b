"""A listener of the gateway: connections that are counted, ended when they do nothing, and refused with a code.

Why not the HTTP library's own: it takes connections without a limit, waits for ever for a caller that reads nothing, and
answers what is no request in its own words, with the bytes that were sent.

Rules kept here:
- At most so many connections; one too many gets 503 and is closed, so descriptors are left for the database and the nodes.
- A connection that sends no whole request head for `IDLE_S`, or takes nothing of an answer for `UNREAD_S`, ends.
- What is no HTTP request gets a problem document like everything else; nothing of it is repeated, neither to the caller
  nor in the telemetry.

Source: aiohttp's server reference; RFC 9457; tcp(7), TCP_USER_TIMEOUT. Refuses: routes, access (see `routes`, `middleware`).
"""

import asyncio
import socket
import ssl
from typing import Final

from aiohttp import web

from gateway.ports import Telemetry
from gateway.web import problems

IDLE_S: Final = 75.0
UNREAD_S: Final = 20
_FIELD_MAX_BYTES: Final = 8_190
_HANDSHAKE_S: Final = 10.0
_FULL_LINE_EVERY_S: Final = 10.0


class Listener:
    """One application on one address. Owner: the event loop."""

    def __init__(
        self,
        application: web.Application,
        telemetry: Telemetry,
        *,
        connections_max: int,
        stop_max_s: float,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Nothing is opened yet. `stop_max_s` is what running requests get at a stop; without `tls` it is plain HTTP."""
        self._runner = web.AppRunner(
            application, access_log=None, handle_signals=False, shutdown_timeout=stop_max_s
        )
        self._telemetry = telemetry
        self._connections_max = connections_max
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._told_full = -_FULL_LINE_EVERY_S

    async def prepare(self) -> None:
        """Start what the application needs, before anybody can call."""
        await self._runner.setup()

    async def open(self, host: str, port: int) -> int:
        """Listen, and return the bound port. Raises OSError when the address cannot be bound."""
        loop = asyncio.get_running_loop()
        handshake_s = _HANDSHAKE_S if self._tls else None
        self._server = await loop.create_server(
            self._accept, host, port, ssl=self._tls, ssl_handshake_timeout=handshake_s
        )
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def close(self) -> None:
        """Stop listening, let running requests finish, stop what the application needed."""
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()

    def _accept(self) -> asyncio.Protocol:
        """Return what serves the next connection."""
        server, loop = self._runner.server, asyncio.get_running_loop()
        assert server is not None, "it is prepared before it listens"
        if len(server.connections) >= self._connections_max:
            if loop.time() - self._told_full >= _FULL_LINE_EVERY_S:
                self._told_full = loop.time()
                self._telemetry.warning("connections_full", code="E_BUSY", limit=self._connections_max)
            return _OneTooMany()
        return _Connection(
            server,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]  # none, which its annotation does not know
            auto_decompress=False,
            keepalive_timeout=IDLE_S,
            max_line_size=_FIELD_MAX_BYTES,
            max_field_size=_FIELD_MAX_BYTES,
        )


class _Connection(web.RequestHandler):
    """A connection that answers what is no request as it answers everything else."""

    __slots__ = ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the kernel end it when what was sent stays unread."""
        super().connection_made(transport)
        opened = transport.get_extra_info("socket")
        if opened is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_S * 1_000)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,  # noqa: ARG002 - both may repeat what was sent
        message: str | None = None,  # noqa: ARG002
    ) -> web.StreamResponse:
        """Answer what could not become a request."""
        if request.writer.output_size > 0:
            raise ConnectionError("half an answer was sent already")
        malformed = status < 500
        document = (
            problems.problem("E_REQUEST_MALFORMED", "this is no HTTP request that is understood here")
            if malformed
            else problems.problem("E_INTERNAL", "an error of ours")
        )
        answer = problems.response(document, problems.NO_REQUEST)
        answer.force_close()
        return answer


class _OneTooMany(asyncio.Protocol):
    """Tells a caller for whom there is no room, and closes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Answer before anything was asked."""
        assert isinstance(transport, asyncio.WriteTransport), "connections are written to"
        answer = problems.response(problems.problem("E_BUSY", "too many connections"), problems.NO_REQUEST)
        assert isinstance(answer.body, bytes), "a problem document is bytes"
        head = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n"
        fields = {**answer.headers, "Content-Length": str(len(answer.body))}
        head += "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        transport.write(head.encode("ascii") + b"\r\n" + answer.body)
        transport.close()
