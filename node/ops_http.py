"""The operator's HTTP listener: is it alive, is it ready, how does it stand, what does it count, how much
does it say.

Why a listener of its own: health and figures belong to whoever runs the node, not to the other institutions
nor to the public, so they get another address, to be kept behind another firewall rule.

Rules kept here
- ``/livez`` and ``/readyz`` answer 200 or 503; each check has a path of its own; ``?verbose`` says what every
  check saw; a failing answer always does.
- Everything is read only but ``PUT /telemetry``, which changes the level of a running node.
- Small requests only; unknown paths and checks are 404; nothing is cached.

Paths: /livez[/CHECK] /readyz[/CHECK] /metrics /version /telemetry /status.json
Refuses: record content, proofs, HTML.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Final

from aiohttp import web

from node import health, telemetry
from node.errors import ConfigError
from node.health import Check, Vitals
from node.http_door import HttpDoor, json_response, problem
from node.metrics import CONTENT_TYPE, NodeMetrics
from node.standing import Standing, program_version

_BODY_MAX_BYTES: Final = 1_024


class OpsHttp:
    """The handlers. `standing` and `vitals` are taken anew for each request."""

    def __init__(
        self, standing: Callable[[], Standing], vitals: Callable[[], Vitals], metrics: NodeMetrics
    ) -> None:
        self._standing = standing
        self._vitals = vitals
        self._metrics = metrics

    def door(self, address: str) -> HttpDoor:
        """Return the listener, not started, for ``host:port``."""
        routes = [
            web.get("/livez", self._livez),
            web.get("/livez/{check}", self._livez),
            web.get("/readyz", self._readyz),
            web.get("/readyz/{check}", self._readyz),
            web.get("/metrics", self._metrics_text),
            web.get("/version", self._version),
            web.get("/status.json", self._status),
            web.get("/telemetry", self._telemetry),
            web.put("/telemetry", self._set_telemetry),
        ]
        return HttpDoor(address, routes, body_max_bytes=_BODY_MAX_BYTES)

    async def _livez(self, request: web.Request) -> web.Response:
        return _answer(request, health.alive(self._vitals()))

    async def _readyz(self, request: web.Request) -> web.Response:
        return _answer(request, health.ready(self._standing(), self._vitals()))

    async def _metrics_text(self, _: web.Request) -> web.Response:
        return web.Response(body=self._metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    async def _version(self, _: web.Request) -> web.Response:
        return json_response({"version": program_version()})

    async def _status(self, _: web.Request) -> web.Response:
        return json_response(status_document(self._standing(), self._vitals()))

    async def _telemetry(self, _: web.Request) -> web.Response:
        return json_response({"level": telemetry.level()})

    async def _set_telemetry(self, request: web.Request) -> web.Response:
        try:
            document = json.loads(await request.read(), object_pairs_hook=tuple)  # a key may not stand twice
            if not isinstance(document, tuple) or len(document) != 1:
                raise TypeError
            name, wanted = document[0]
            if name != "level" or not isinstance(wanted, str):
                raise TypeError
            telemetry.set_level(wanted)
        except (ValueError, TypeError, RecursionError):
            return json_response(
                {"code": "E_TELEMETRY_BODY", "message": 'send {"level": "debug"}'}, status=400
            )
        except ConfigError as error:
            return json_response({"code": error.code, "message": error.message}, status=400)
        return json_response({"level": telemetry.level()})


def status_document(standing: Standing, vitals: Vitals) -> dict[str, object]:
    """Return the standing as JSON values, every key always present; bytes in hex."""
    document = asdict(standing)
    document["root"] = standing.root.hex()
    document["role"] = str(standing.role)
    document["ready"] = all(check.ok for check in health.ready(standing, vitals))
    document["checks"] = [asdict(check) for check in health.ready(standing, vitals)]
    document["loop_lag_s"] = vitals.loop_lag_s
    document["disk_free_bytes"] = vitals.disk_free_bytes
    return {"schema": "tiezheng.node-status/1", **document}


def _answer(request: web.Request, checks: Sequence[Check]) -> web.Response:
    """Answer with all checks, or the one that the path names."""
    wanted = request.match_info.get("check")
    if wanted is not None:
        checks = [check for check in checks if check.name == wanted]
        if not checks:
            return problem(404, "E_HTTP_404", "no such check")
    good = all(check.ok for check in checks)
    lines = [f"[{'+' if check.ok else '-'}] {check.name}: {check.words}\n" for check in checks]
    verbose = not good or "verbose" in request.query
    text = "".join(lines) + ("ok\n" if good else "failed\n") if verbose else "ok\n"
    return web.Response(status=200 if good else 503, text=text, headers={"Cache-Control": "no-store"})
