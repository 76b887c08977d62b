"""GET /v1/records, /v1/records/{id} and its receipt.

Rules kept here:
- A record shows all its keys, null where there is nothing yet, so that scripts need no special cases.
- Lists go by opaque cursors, oldest first; a page may hold fewer records than asked for and still have a next one.
- A receipt leaves as the text file that it is, verified before; until it can, 202 with Retry-After and the state.

Refuses: fields of the record that the gateway does not hold (it never saw the original).
"""

import re
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from aiohttp import web

from gateway.domain.anchoring import State
from gateway.errors import RequestError
from gateway.ports import RecordRow
from gateway.usecases.retrieve import NotYet
from gateway.web.bodies import JSON
from gateway.web.ids import format_cursor, format_id, parse_cursor, parse_id
from gateway.web.middleware import Call
from ledger import names
from ledger.record import decode_leaf

LIMIT_DEFAULT: Final = 50
LIMIT_MAX: Final = 200
RETRY_AFTER_S: Final = 1
_LIMIT: Final = re.compile(r"[1-9][0-9]{0,2}")


async def get_record(request: web.Request, call: Call) -> web.StreamResponse:
    """Show one record."""
    _require_parameters(request, ())
    row = await call.services.retrieve.record(call.caller, parse_id(request.match_info["id"]))
    return _json(document(row))


async def get_records(request: web.Request, call: Call) -> web.StreamResponse:
    """List records by reference, by source, or all, oldest first."""
    _require_parameters(request, ("ref", "source", "cursor", "limit"))
    query = request.query
    source = query.get("source")
    if source is not None and not names.SOURCE.fullmatch(source):
        raise RequestError("E_PARAMETER", f"source matches {names.SOURCE.pattern}")
    limit_text = query.get("limit", str(LIMIT_DEFAULT))
    if not _LIMIT.fullmatch(limit_text) or int(limit_text) > LIMIT_MAX:
        raise RequestError("E_PARAMETER", f"limit is a number from 1 to {LIMIT_MAX}")
    after_id = parse_cursor(query["cursor"]) if "cursor" in query else 0
    rows, next_id = await call.services.retrieve.find(
        call.caller, ref=query.get("ref"), source=source, after_id=after_id, limit=int(limit_text)
    )
    page = {
        "items": [document(row) for row in rows],
        "next": format_cursor(next_id) if next_id else None,
        "has_more": bool(next_id),
    }
    return _json(page)


async def get_receipt(request: web.Request, call: Call) -> web.StreamResponse:
    """Give the receipt of a final record."""
    _require_parameters(request, ("with",))
    wanted = request.query.get("with")
    if wanted not in (None, "header"):
        raise RequestError("E_PARAMETER", "with is `header` or absent")
    record_id = parse_id(request.match_info["id"])
    found = await call.services.retrieve.receipt(call.caller, record_id, with_header=wanted == "header")
    if isinstance(found, NotYet):
        short = {"id": format_id(record_id), "ref": found.record.ref, "state": found.record.where.state}
        return _json(short, status=202, headers={"Retry-After": str(RETRY_AFTER_S)})
    name = f'attachment; filename="{format_id(record_id)}.tlog-proof"'
    return web.Response(
        body=found, content_type="text/plain", charset="utf-8", headers={"Content-Disposition": name}
    )


def document(row: RecordRow) -> dict[str, Any]:
    """Return a record as callers see it."""
    leaf = decode_leaf(row.leaf)
    where = row.where
    return {
        "id": format_id(row.record_id),
        "ref": row.ref,
        "source": leaf.source,
        "source_seq": leaf.source_seq,
        "template": leaf.template,
        "template_version": leaf.template_version,
        "commitment": leaf.commitment.hex(),
        "state": where.state,
        "code": where.code or None,
        "received_at": _time(row.received_ms),
        "height": where.height,
        "index": where.index,
        "block_time": _time(where.block_time_ms) if where.block_time_ms else None,
        "receipt": f"/v1/records/{format_id(row.record_id)}/receipt" if where.state is State.FINAL else None,
    }


def _time(moment_ms: int) -> str:
    """Return a moment as RFC 3339 in UTC with milliseconds."""
    return (
        datetime.fromtimestamp(moment_ms / 1_000, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )


def _require_parameters(request: web.Request, known: tuple[str, ...]) -> None:
    """Refuse unknown and repeated parameters: a mistyped filter must not list everything."""
    for name in request.query:
        if name not in known or len(request.query.getall(name)) > 1:
            raise RequestError(
                "E_PARAMETER", f"parameters here: {', '.join(known) or 'none'}, each at most once"
            )


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(value), content_type=JSON, headers=headers)
