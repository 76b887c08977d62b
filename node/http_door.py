"""What the node's HTTP listeners share: limits, headers that every answer has, and errors with stable codes.

Why: two listeners (operators, readers) with the same hardening in one place, so that neither can forget it.

Rules kept here
- Requests without body are the rule; a larger body than the listener's limit is refused before it is read.
- Every answer forbids guessing its type, framing, and sending its address on; an unexpected failure is a 500
  without detail, and the detail goes to telemetry.
- No access log: what is worth counting is counted elsewhere.
- A stop lets running answers finish for two seconds.

Source: aiohttp's server reference for the limits; problem documents are RFC 9457.
Refuses: TLS (a reverse proxy's, as everything here is public or the operator's own), routing rules of its
own.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from aiohttp import web

from node import telemetry
from node.errors import NodeError

_HEADER_FIELD_MAX_BYTES: Final = 8_190
_STOP_S: Final = 2.0
_KEEPALIVE_S: Final = 30.0

HEADERS: Final = {
    "Server": "tiezheng",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}

_log = telemetry.get("http")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class HttpDoor:
    """One listener. `start` binds, `stop` unbinds; `port` is the bound one (for addresses that end in :0)."""

    def __init__(self, address: str, routes: Sequence[web.RouteDef], *, body_max_bytes: int = 0) -> None:
        self._host, port = address.rsplit(":", 1)
        self.port = int(port)
        app = web.Application(
            middlewares=[_guard],
            client_max_size=body_max_bytes,
            handler_args={
                "access_log": None,
                "max_line_size": _HEADER_FIELD_MAX_BYTES,
                "max_field_size": _HEADER_FIELD_MAX_BYTES,
                "keepalive_timeout": _KEEPALIVE_S,
                "auto_decompress": False,
            },
        )
        app.add_routes(routes)
        self._runner = web.AppRunner(app, shutdown_timeout=_STOP_S)

    async def start(self) -> None:
        """Listen. Raises OSError when the address cannot be bound."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host.strip("[]"), self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening; running answers may finish."""
        await self._runner.cleanup()


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
