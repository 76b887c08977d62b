"""What the node's HTTP listeners share: limits, headers that every answer has, and errors with stable codes.

Why: two listeners (operators, readers) with the same hardening in one place, so that neither can forget it.

Rules kept here
- Requests without body are the rule; a larger body than the listener's limit is refused before it is read.
- Every answer forbids guessing its type, framing, and sending its address on; an unexpected failure is a 500
  without detail, and the detail goes to telemetry. What is no request gets an answer of the same shape, with
  nothing of it repeated, neither there nor in telemetry.
- At most `CONNECTIONS_MAX` connections; one too many is told so and closed. Whoever sends no whole request
  for 30 s, or takes nothing of an answer for 20 s, loses his connection.
- One request begins in a turn of the event loop (`turnstile`).
- No access log: what is worth counting is counted elsewhere.
- A stop lets running answers finish for two seconds.

Source: aiohttp's server reference for the limits; problem documents are RFC 9457; tcp(7) for the time that
unread bytes may wait.
Refuses: TLS (a reverse proxy's, as everything here is public or the operator's own), routing rules of its
own.
"""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from aiohttp import web

from node import telemetry
from node.errors import NodeError
from node.turnstile import Turnstile

_HEADER_FIELD_MAX_BYTES: Final = 8_190
_STOP_S: Final = 2.0
_KEEPALIVE_S: Final = 30.0
_UNREAD_MS: Final = 20_000
_FULL_LINE_EVERY_S: Final = 10.0
CONNECTIONS_MAX: Final = 512

HEADERS: Final = {
    "Server": "tiezheng",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}

_TURNSTILE: Final = web.AppKey("turnstile", Turnstile)
_log = telemetry.get("http")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _Connection(web.RequestHandler):
    """A connection that answers what is no request as it answers everything else."""

    __slots__ = ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the kernel end it when what was sent stays unread."""
        super().connection_made(transport)
        opened = transport.get_extra_info("socket")
        if opened is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_MS)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it repeats what was sent
    ) -> web.StreamResponse:
        """Answer what could not become a request, and what failed outside of the handlers."""
        if request.writer.output_size > 0:
            raise ConnectionError("half an answer was sent already")
        if status < 500:
            answer = problem(status, f"E_HTTP_{status}", "this is no HTTP request that is understood here")
        else:
            _log.error("http_failed", error=type(exc).__name__)
            answer = problem(500, "E_INTERNAL", "the node failed to answer; its telemetry says why")
        answer.headers.update(HEADERS)
        answer.force_close()
        return answer


class _OneTooMany(asyncio.Protocol):
    """Tells a caller for whom there is no room, and closes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Answer before anything was asked."""
        assert isinstance(transport, asyncio.WriteTransport), "connections are written to"
        document = problem(503, "E_HTTP_503", "too many connections")
        assert isinstance(document.body, bytes), "a problem is bytes"
        head = (
            "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n"
            f"Content-Length: {len(document.body)}\r\nRetry-After: 5\r\nConnection: close\r\n\r\n"
        )
        transport.write(head.encode() + document.body)
        transport.close()


class HttpDoor:
    """One listener. `start` binds, `stop` unbinds; `port` is the bound one (for addresses that end in :0)."""

    def __init__(self, address: str, routes: Sequence[web.RouteDef], *, body_max_bytes: int = 0) -> None:
        self._host, port = address.rsplit(":", 1)
        self.port = int(port)
        app = web.Application(middlewares=[_guard], client_max_size=body_max_bytes)
        app[_TURNSTILE] = Turnstile()
        app.add_routes(routes)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_STOP_S)
        self._listening: asyncio.Server | None = None
        self._told_full = -_FULL_LINE_EVERY_S

    async def start(self) -> None:
        """Listen. Raises OSError when the address cannot be bound."""
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(self._accept, self._host.strip("[]"), self.port)
        self.port = self._listening.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening; running answers may finish."""
        if self._listening is not None:
            self._listening.close()
        await self._runner.cleanup()

    def _accept(self) -> asyncio.Protocol:
        """What serves the next connection."""
        server, loop = self._runner.server, asyncio.get_running_loop()
        assert server is not None, "it is set up before it listens"
        if len(server.connections) >= CONNECTIONS_MAX:
            if loop.time() - self._told_full >= _FULL_LINE_EVERY_S:
                self._told_full = loop.time()
                _log.warning("http_full", code="E_HTTP_503", port=self.port, connections=CONNECTIONS_MAX)
            return _OneTooMany()
        return _Connection(
            server,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]  # none, which its annotation does not know
            max_line_size=_HEADER_FIELD_MAX_BYTES,
            max_field_size=_HEADER_FIELD_MAX_BYTES,
            keepalive_timeout=_KEEPALIVE_S,
            auto_decompress=False,
        )


async def turn(request: web.Request) -> None:
    """Wait until other work has had its turn: before each further part of a long answer."""
    await request.app[_TURNSTILE].wait()


def json_response(document: object, *, status: int = 200, cache: str = "no-store") -> web.Response:
    """Return a JSON answer; text is UTF-8 as it is."""
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {"Content-Type": "application/json; charset=utf-8", "Cache-Control": cache}
    return web.Response(status=status, body=body, headers=headers)


def problem(status: int, code: str, message: str) -> web.Response:
    """Return an error as a problem document; `code` is stable."""
    document = {"type": f"urn:tiezheng:error:{code}", "title": message, "status": status, "code": code}
    body = json.dumps(document, ensure_ascii=False).encode()
    headers = {"Content-Type": "application/problem+json", "Cache-Control": "no-store"}
    return web.Response(status=status, body=body, headers=headers)


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give every answer its headers and every failure a code."""
    try:
        await turn(request)
        response = await handler(request)
    except web.HTTPException as error:
        response = problem(error.status, f"E_HTTP_{error.status}", error.reason)
        if isinstance(error, web.HTTPMethodNotAllowed):
            response.headers["Allow"] = error.headers.get("Allow", "")
    except NodeError as error:
        response = problem(400, error.code, error.message)
    except Exception as error:  # noqa: BLE001 - told, and answered without detail
        _log.error("http_handler_failed", path=request.path, error=repr(error), exc_info=True)
        response = problem(500, "E_INTERNAL", "the node failed to answer; its telemetry says why")
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response
