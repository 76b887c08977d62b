"""Every error code of the HTTP door in one table, and the problem document that callers get.

Why one table: callers script against codes; the same code must always mean the same status, and docs/api.md is generated
from here. Nothing below this room knows a status.

Rules kept here:
- ``application/problem+json`` with type, title, status, detail, instance (the request's id) and our own members: `code`,
  `hint`, `retryable`, `errors` ([{path, code, message}]).
- No value that the caller sent is ever repeated: it may be somebody's personal data.
- An error without a line in the table is our own mistake and becomes 500 without detail.
- 429 and 503 always carry Retry-After.

Source: RFC 9457 (problem details), RFC 9110 (statuses, Retry-After).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from aiohttp import web

from gateway.errors import BusyError, FieldError, GatewayError, RequestError

MEDIA_TYPE: Final = "application/problem+json"
DEFAULT_RETRY_S: Final = 5.0
NO_REQUEST: Final = "none"
"""Stands for a request's id where bytes never became a request."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How a code is answered. `retryable`: the same request may succeed later, without a change."""

    status: int
    title: str
    hint: str
    retryable: bool = False


CATALOGUE: Final[dict[str, Kind]] = {
    "E_JSON_SYNTAX": Kind(
        400, "Not JSON", "Send RFC 8259 JSON, or one JSON object per line as application/x-ndjson."
    ),
    "E_JSON_ENCODING": Kind(400, "Not UTF-8", "Encode the body as UTF-8 without byte order mark."),
    "E_JSON_DUPLICATE_KEY": Kind(400, "A key stands twice", "Write each key of an object once."),
    "E_JSON_DEPTH": Kind(400, "Nested too deeply", "An item is flat; nothing is nested inside it."),
    "E_PARAMETER": Kind(400, "Bad parameter", "See the route in docs/api.md for its parameters."),
    "E_CURSOR": Kind(
        400, "Bad cursor", "Pass `next` of the page before, unchanged and with the same filters."
    ),
    "E_REQUEST_MALFORMED": Kind(
        400, "Not HTTP", "Look at what your HTTP client sends; heads have at most 8 kB a line."
    ),
    "E_KEY_REQUIRED": Kind(401, "API key required", "Send `Authorization: Bearer KEY`."),
    "E_KEY_UNKNOWN": Kind(
        401, "API key unknown", "The key is wrong or was withdrawn; ask the gateway's operator."
    ),
    "E_SOURCE_FORBIDDEN": Kind(403, "Source not allowed", "This API key is bound to other sources."),
    "E_ROUTE_UNKNOWN": Kind(404, "No such resource", "See docs/api.md for the routes."),
    "E_RECORD_UNKNOWN": Kind(
        404, "No such record", "Ids come from POST /v1/commitments; search with GET /v1/records?ref=."
    ),
    "E_METHOD": Kind(405, "Method not allowed", "The Allow header names the methods."),
    "E_REQUEST_TIMEOUT": Kind(
        408, "Body took too long", "Send the body at once; repeat the request.", retryable=True
    ),
    "E_IDEMPOTENCY_CONFLICT": Kind(
        409,
        "Reference used with other content",
        "A reference means one record for ever; use a new one for new content.",
    ),
    "E_RECORD_FAILED": Kind(409, "Record failed", "The record's `code` says why; it has no receipt."),
    "E_BODY_TOO_LARGE": Kind(413, "Body too large", "Send smaller batches; GET /v1/meta tells the limits."),
    "E_BATCH_TOO_LARGE": Kind(413, "Too many items", "Send smaller batches; GET /v1/meta tells the limits."),
    "E_MEDIA_TYPE": Kind(
        415, "Media type not supported", "Use application/json or application/x-ndjson, UTF-8."
    ),
    "E_CONTENT_ENCODING": Kind(415, "Content encoding not supported", "Send the body uncompressed."),
    "E_EXPECTATION": Kind(417, "Expectation not met", "Only `Expect: 100-continue` is known here."),
    "E_BATCH_EMPTY": Kind(422, "No items", "Send at least one item."),
    "E_BATCH_REFUSED": Kind(422, "No item was accepted", "Each entry of `items` says what is wrong with it."),
    "E_FIELD_REQUIRED": Kind(422, "Field missing", "See `errors` for the field."),
    "E_FIELD_UNKNOWN": Kind(422, "Unknown field", "Remove keys that docs/api.md does not list."),
    "E_FIELD_TYPE": Kind(
        422, "Wrong type", "See `errors` for the field; booleans and floats are not integers."
    ),
    "E_FIELD_LENGTH": Kind(422, "Wrong length", "See `errors` for the field and its limits."),
    "E_FIELD_PATTERN": Kind(422, "Wrong characters", "See `errors` for the field and its alphabet."),
    "E_FIELD_RANGE": Kind(422, "Out of range", "See `errors` for the field and its range."),
    "E_REF_PERSONAL": Kind(
        422,
        "Reference looks personal",
        "References are kept for ever: use a number of your own system, not a person's.",
    ),
    "E_RATE_LIMITED": Kind(429, "Too many records", "Wait for Retry-After seconds.", retryable=True),
    "E_INTERNAL": Kind(
        500, "Internal error", "Tell the operator the `instance`; repeating is safe.", retryable=True
    ),
    "E_BUSY": Kind(503, "Busy", "Wait for Retry-After seconds; nothing was stored.", retryable=True),
    "E_OUTBOX_FULL": Kind(
        503, "Outbox full", "The chain is not keeping up; nothing was stored.", retryable=True
    ),
    "E_STORAGE_FULL": Kind(
        503, "Storage full", "The operator must make room; nothing was stored.", retryable=True
    ),
    "E_STORAGE_BUSY": Kind(
        503, "Storage busy", "Wait for Retry-After seconds; nothing was stored.", retryable=True
    ),
    "E_STORAGE_FAILED": Kind(
        503, "Storage failed", "The gateway restarts; repeating is safe.", retryable=True
    ),
    "E_STORAGE_DAMAGED": Kind(
        503, "Storage damaged", "The operator must look at the database.", retryable=True
    ),
    "E_RECEIPT_UNAVAILABLE": Kind(
        503, "Receipt not available now", "Wait for Retry-After seconds.", retryable=True
    ),
}
"""Every code that the API answers with. A record's own `code` may also be one of a node (docs/api.md)."""

_BY_STATUS: Final = {404: "E_ROUTE_UNKNOWN", 405: "E_METHOD", 417: "E_EXPECTATION"}


def code_of_status(status: int) -> str:
    """Return the code for a refusal that the HTTP library made by itself."""
    return _BY_STATUS.get(status, "E_INTERNAL")


def problem(code: str, detail: str, errors: Sequence[FieldError] = (), **more: Any) -> dict[str, Any]:
    """Return the members of a problem document, or of an item's problem inside a batch answer."""
    kind = CATALOGUE[code]
    return {
        "type": f"urn:tiezheng:problem:{code}",
        "title": kind.title,
        "status": kind.status,
        "code": code,
        "detail": detail,
        "hint": kind.hint,
        "retryable": kind.retryable,
        "errors": [{"path": e.path, "code": e.code, "message": e.message} for e in errors],
        **more,
    }


def item_problem(errors: Sequence[FieldError], index: int) -> dict[str, Any]:
    """Return the problem of one refused item; its first error gives the code."""
    first = errors[0]
    more = f" and {len(errors) - 1} more" if len(errors) > 1 else ""
    return problem(first.code, first.message + more, errors, index=index)


def response(
    document: Mapping[str, Any],
    request_id: str,
    *,
    retry_after_s: float | None = None,
    headers: Mapping[str, str] = {},
) -> web.Response:
    """Return the HTTP answer of a problem document."""
    status = int(document["status"])
    body = msgspec.json.encode({**document, "instance": f"urn:tiezheng:request:{request_id}"})
    answer = web.Response(status=status, body=body, content_type=MEDIA_TYPE, headers=dict(headers))
    if status in (429, 503):
        seconds = DEFAULT_RETRY_S if retry_after_s is None else retry_after_s
        answer.headers["Retry-After"] = str(max(1, math.ceil(seconds)))
    return answer


def response_of(error: GatewayError, request_id: str) -> web.Response:
    """Return the HTTP answer of an error of this room; one without a line in the table becomes 500 without detail."""
    if error.code not in CATALOGUE:
        return response(problem("E_INTERNAL", "an error of ours"), request_id)
    errors = error.errors if isinstance(error, RequestError) else ()
    retry_after_s = error.retry_after_s if isinstance(error, BusyError) else None
    headers = {"WWW-Authenticate": "Bearer"} if CATALOGUE[error.code].status == 401 else {}
    return response(
        problem(error.code, error.message, errors), request_id, retry_after_s=retry_after_s, headers=headers
    )
