"""Every route of the API in one table: method, path, access, what it is for, what it answers.

Why a table: a route without an access rule cannot exist, docs/api.md is generated from here, and a test walks every line
with and without a key.
"""

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from gateway.web import commitments, meta, records
from gateway.web.middleware import Handler, expect, unrouted, wrap
from gateway.web.services import SERVICES, Services


@dataclass(frozen=True, slots=True)
class Route:
    """One route. `needs_key` False is said on purpose; `answers` are its good statuses with their meaning."""

    method: str
    path: str
    handler: Handler
    needs_key: bool
    words: str
    answers: dict[int, str]


ROUTES: Final = (
    Route(
        "POST",
        "/v1/commitments",
        commitments.post_commitments,
        needs_key=True,
        words="Hand in one commitment, a batch, or one per line (NDJSON).",
        answers={
            202: "durable; at least one accepted record is not settled yet",
            200: "durable, and all accepted records are settled (a repeated request, or one with `Prefer: wait=N`)",
        },
    ),
    Route(
        "GET",
        "/v1/records/{id}",
        records.get_record,
        needs_key=True,
        words="Where a record stands.",
        answers={200: "the record"},
    ),
    Route(
        "GET",
        "/v1/records",
        records.get_records,
        needs_key=True,
        words="Find records by `ref` and `source`, or list all, oldest first; `limit` up to 200, `cursor` from `next`.",
        answers={200: "a page: `items`, `next`, `has_more`"},
    ),
    Route(
        "GET",
        "/v1/records/{id}/receipt",
        records.get_receipt,
        needs_key=True,
        words="The receipt, a tlog-proof file; `?with=header` adds the block header and its path.",
        answers={
            200: "the file, verified by the gateway",
            202: "not final yet; come back after Retry-After seconds",
        },
    ),
    Route(
        "GET",
        "/v1/meta",
        meta.get_meta,
        needs_key=False,
        words="Version, chain, fingerprint of the trust file, limits.",
        answers={200: "the facts"},
    ),
)


def api_application(services: Services) -> web.Application:
    """Return the API's application. Its own size check is off: `bodies` cuts off while reading."""
    application = web.Application(middlewares=[unrouted], client_max_size=services.limits.body_max_bytes)
    application[SERVICES] = services
    for route in ROUTES:
        handler = wrap(route.handler, route=route.path, needs_key=route.needs_key)
        if route.method == "GET":
            application.router.add_get(route.path, handler, expect_handler=expect)
        else:
            application.router.add_route(route.method, route.path, handler, expect_handler=expect)
    return application
