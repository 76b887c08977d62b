"""The one wrapper around every handler: request id, access, errors, figures.

Why one: each further wrapper costs every request, and the order of several is one more thing to get wrong.

Rules kept here:
- Access is decided before the body is read. A route says in the table whether it needs a key; a route without a word
  cannot exist.
- Whatever a handler raises becomes a problem document; what we did not foresee becomes 500, with its place in the program
  in the telemetry and nothing of it in the answer.
- One line of telemetry per refusal of ours, none per request: figures are counted instead.

Source: RFC 6750 (Bearer). Refuses: cookies, forwarded-for headers.
"""

import asyncio
import itertools
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from gateway import telemetry
from gateway.domain.access import ApiKey
from gateway.errors import AccessError, GatewayError
from gateway.web import problems
from gateway.web.services import SERVICES, Services

RawHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_RUN: Final = secrets.token_hex(4)
_numbers = itertools.count(1)

_SECRET_MAX: Final = 256


@dataclass(frozen=True, slots=True)
class Call:
    """What a handler gets beside the request: services, the request's id, and the caller if the route asks for one."""

    services: Services
    request_id: str
    api_key: ApiKey | None

    @property
    def caller(self) -> ApiKey:
        """The caller; only handlers of routes that need a key may ask."""
        assert self.api_key is not None, "a route that uses its caller needs a key"
        return self.api_key


Handler = Callable[[web.Request, Call], Awaitable[web.StreamResponse]]


def wrap(handler: Handler, *, route: str, needs_key: bool) -> RawHandler:
    """Return `handler` with request id, access check, error mapping and figures; `route` is its path pattern."""

    async def handle(request: web.Request) -> web.StreamResponse:
        services = request.app[SERVICES]
        started_s = services.clock.monotonic_s()
        request_id = f"{_RUN}-{next(_numbers):x}"
        answer = await _answer(handler, request, services, request_id, needs_key=needs_key)
        answer.headers["X-Request-Id"] = request_id
        answer.headers["Cache-Control"] = "no-store"
        seconds = services.clock.monotonic_s() - started_s
        services.metrics.request(route, request.method, answer.status, seconds)
        return answer

    return handle


async def _answer(
    handler: Handler, request: web.Request, services: Services, request_id: str, *, needs_key: bool
) -> web.StreamResponse:
    try:
        key = _authenticate(request, services) if needs_key else None
        return await handler(request, Call(services, request_id, key))
    except GatewayError as error:
        answer = problems.response_of(error, request_id)
        if answer.status >= 500:
            services.telemetry.warning("request_not_served", request=request_id, code=error.code)
    except web.HTTPException as error:
        answer = _library_refusal(error, request_id)
    except asyncio.CancelledError:
        raise
    except Exception as error:  # noqa: BLE001 - the last door: nothing unforeseen may leak or kill the process
        services.telemetry.error("request_failed", request=request_id, error=telemetry.places(error))
        answer = problems.response(problems.problem("E_INTERNAL", "an error of ours"), request_id)
    if answer.status in (401, 408, 413):
        answer.force_close()  # the rest of the body is not wanted
    return answer


def _authenticate(request: web.Request, services: Services) -> ApiKey:
    """Return the caller. Raises AccessError E_KEY_REQUIRED, E_KEY_UNKNOWN."""
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    secret = secret.strip()
    if scheme.lower() != "bearer" or not secret:
        raise AccessError("E_KEY_REQUIRED", "this route needs an API key")
    key = services.find_key(secret) if len(secret) <= _SECRET_MAX else None
    if key is None:
        raise AccessError("E_KEY_UNKNOWN", "no API key of this gateway")
    return key


def _library_refusal(error: web.HTTPException, request_id: str) -> web.Response:
    """Return the problem document for a refusal that aiohttp made (no such route, method, body too large)."""
    document = problems.problem(problems.code_of_status(error.status), error.reason or "refused")
    headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    return problems.response(document, request_id, headers=headers)


async def expect(request: web.Request) -> web.StreamResponse | None:
    """Meet ``Expect: 100-continue``; any other expectation gets a problem document, without its words."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer itself has not begun
        return None
    answer = _library_refusal(web.HTTPExpectationFailed(), f"{_RUN}-{next(_numbers):x}")
    answer.force_close()
    return answer


@web.middleware
async def unrouted(request: web.Request, handler: RawHandler) -> web.StreamResponse:
    """Give requests that no route matches a problem document too; matched ones pass through untouched."""
    match = request.match_info
    if match.http_exception is None:
        return await handler(request)
    services = request.app[SERVICES]
    request_id = f"{_RUN}-{next(_numbers):x}"
    answer = _library_refusal(match.http_exception, request_id)
    answer.headers["X-Request-Id"] = request_id
    services.metrics.requests.labels("unknown", "other", str(answer.status)).inc()
    return answer
