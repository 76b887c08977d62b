"""The operators' listener: alive, ready, figures. Not for callers, not for other institutions.

Rules kept here:
- `/livez` says that the process turns; `/readyz` whether it takes records in. Without a leader or a quorum the gateway is
  *degraded*, still ready: records go into the outbox.
- What is not there is refused with a problem document, as on the API.
- Checks are facts read at the moment of asking, in plain words; nothing is cached and nothing secret is shown.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec
from aiohttp import web

from gateway.metrics import Metrics
from gateway.web import problems
from gateway.web.middleware import RawHandler

JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Check:
    """One fact: `vital` ones decide readiness, the others only degrade. `words` are "" when all is well."""

    name: str
    vital: bool
    words: str


def ops_application(metrics: Metrics, version: str, checks: Callable[[], list[Check]]) -> web.Application:
    """Return the application of the ops listener; `checks` is asked at every `/readyz`."""

    async def livez(_: web.Request) -> web.Response:
        return _json({"alive": True, "version": version})

    async def readyz(_: web.Request) -> web.Response:
        found = checks()
        ready = not any(check.vital and check.words for check in found)
        document = {
            "ready": ready,
            "degraded": ready and any(check.words for check in found),
            "checks": [
                {"name": c.name, "ok": not c.words, "vital": c.vital, "words": c.words} for c in found
            ],
        }
        return _json(document, status=200 if ready else 503)

    async def exposition(_: web.Request) -> web.Response:
        return web.Response(
            body=metrics.exposition(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        )

    application = web.Application(middlewares=[_refusals])
    application.router.add_get("/livez", livez)
    application.router.add_get("/readyz", readyz)
    application.router.add_get("/metrics", exposition)
    return application


@web.middleware
async def _refusals(request: web.Request, handler: RawHandler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        document = problems.problem(problems.code_of_status(error.status), error.reason)
        return problems.response(document, problems.NO_REQUEST)


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(value), content_type=JSON)
