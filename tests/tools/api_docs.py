"""What docs/api.md shows, made by the API itself: the tables from the program's tables, the examples from real answers.

Every route, state and error code has its place; an error code that no request can bring about has no business in the
catalogue.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from gateway_web import Answer, Api, api, item

from gateway.config import Limits
from gateway.domain.anchoring import TRANSITIONS
from gateway.errors import FatalStorageError, StorageError
from gateway.web.listener import Listener
from gateway.web.problems import CATALOGUE
from gateway.web.routes import ROUTES, api_application

ZH = {
    "received": "已接收",
    "pending": "待上链",
    "committed": "已上链",
    "final": "已见证",
    "failed": "上链失败",
}
JSON_TYPE = {"Content-Type": "application/json"}


def tables() -> dict[str, str]:
    """Return the generated tables by name."""
    return {"routes": _routes(), "states": _states(), "errors": _errors()}


def _routes() -> str:
    lines = ["| route | key | what for | good answers |", "|---|---|---|---|"]
    for route in ROUTES:
        answers = "; ".join(f"{status}: {words}" for status, words in sorted(route.answers.items()))
        key = "yes" if route.needs_key else "no"
        lines.append(f"| `{route.method} {route.path}` | {key} | {route.words} | {answers} |")
    return "\n".join(lines) + "\n"


def _states() -> str:
    lines = ["| state | zh | may become | when |", "|---|---|---|---|"]
    for state, followers in TRANSITIONS.items():
        if not followers:
            lines.append(f"| `{state}` | {ZH[state]} | nothing | settled |")
        for after, words in followers.items():
            lines.append(f"| `{state}` | {ZH[state]} | `{after}` | {words} |")
    return "\n".join(lines) + "\n"


def _errors() -> str:
    lines = ["| code | status | repeat? | what it means | what to do |", "|---|---|---|---|---|"]
    for code, kind in CATALOGUE.items():
        again = "yes" if kind.retryable else "no"
        anchor = code.lower()
        lines.append(f"| [`{code}`](#{anchor}) | {kind.status} | {again} | {kind.title} | {kind.hint} |")
    return "\n".join(lines) + "\n"


async def good_examples(folder: Path) -> dict[str, str]:
    """Return the examples of good answers by name."""
    shown: dict[str, str] = {}
    async with api(folder / "good") as web:
        one = item(1)
        shown["single"] = _show("POST /v1/commitments", one, await web.post(one))
        batch = {"items": [item(2), item(3, template_version=0)]}
        shown["batch"] = _show("POST /v1/commitments", batch, await web.post(batch))
        lines = "\n".join(json.dumps(item(n)) for n in (4, 5)).encode()
        answer = await web.post(lines, headers={"Content-Type": "application/x-ndjson"})
        shown["ndjson"] = _show(
            "POST /v1/commitments\nContent-Type: application/x-ndjson", lines.decode(), answer
        )
        pending = await web.call("GET", "/v1/records/r1/receipt")
        shown["receipt-pending"] = _show("GET /v1/records/r1/receipt", None, pending)
        await web.commit(1, 1)
        again = await web.post(one, headers={"Prefer": "wait=10"})
        shown["wait"] = _show("POST /v1/commitments\nPrefer: wait=10", one, again)
        shown["record"] = _show("GET /v1/records/r1", None, await web.call("GET", "/v1/records/r1"))
        path = f"/v1/records?ref={one['ref']}&limit=1"
        shown["list"] = _show(f"GET {path}", None, await web.call("GET", path))
        shown["meta"] = _show("GET /v1/meta", None, await web.call("GET", "/v1/meta", key=None))
    return shown


async def error_examples(folder: Path) -> dict[str, str]:
    """Return one example per error code, each brought about by a request."""
    shown: dict[str, str] = {}
    limits = Limits(body_max_bytes=4_096, batch_max_items=3, body_timeout_s=1)
    for at, (code, make) in enumerate(SCENES.items()):
        async with api(folder / f"error-{at}", limits) as web:
            request, answer = await make(web)
        document = answer.json
        assert document["code"] == code, (code, document)
        assert document["status"] == answer.status == CATALOGUE[code].status
        shown[code.lower().replace("_", "-")] = request + "\n" + _answer(answer)
    return shown


def _show(request: str, body: Any, answer: Answer) -> str:
    return _request(request, body) + "\n" + _answer(answer)


def _request(head: str, body: Any = None) -> str:
    text = f"{head}\n"
    if body is not None:
        text += f"\n{body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)}\n"
    return text


def _answer(answer: Answer) -> str:
    """Return status, the headers that matter and the body with one member a line; what differs by run is fixed."""
    lines = [str(answer.status)]
    names = ("Location", "Retry-After", "Allow", "WWW-Authenticate", "Preference-Applied")
    lines += [f"{name}: {answer.headers[name]}" for name in names if name in answer.headers]
    document = answer.json
    if "instance" in document:
        document["instance"] = "urn:tiezheng:request:4f1d2c3b-2a"
    text = json.dumps(document, ensure_ascii=False, indent=2)
    if len(json.dumps(document, ensure_ascii=False)) < 100:
        text = json.dumps(document, ensure_ascii=False)
    return "\n".join([*lines, "", text, ""])


Scene = Callable[[Api], Awaitable[tuple[str, Answer]]]
POST = "POST /v1/commitments"


def _posts(document: Any, *, shown: str | None = None, key: str = "key-all", **headers: str) -> Scene:
    """Return a scene that posts a document (or bytes, shown as `shown`)."""

    async def scene(web: Api) -> tuple[str, Answer]:
        answer = await web.post(
            document, key=key, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )
        head = POST + "".join(f"\n{name.replace('_', '-')}: {value}" for name, value in headers.items())
        return _request(head, document if shown is None else shown), answer

    return scene


def _gets(path: str, *, method: str = "GET", key: str | None = "key-all") -> Scene:
    """Return a scene that asks for a path."""

    async def scene(web: Api) -> tuple[str, Answer]:
        return _request(f"{method} {path}"), await web.call(method, path, key=key)

    return scene


def _after(prepare: Callable[[Api], Awaitable[None]], scene: Scene) -> Scene:
    """Return a scene that happens after something else."""

    async def both(web: Api) -> tuple[str, Answer]:
        await prepare(web)
        return await scene(web)

    return both


async def _one_stored(web: Api) -> None:
    await web.post(item(1))


async def _one_failed(web: Api) -> None:
    await web.post(item(1))
    await web.fail(1, "E_CHAIN_SUBMITTER")


async def _one_final(web: Api) -> None:
    await web.post(item(1))
    await web.commit(1, 1)


async def _outbox_full(web: Api) -> None:
    web.services.collect._outbox_max = 0


async def _disk_low(web: Api) -> None:
    web.services.collect.disk_low = True


async def _bodies_full(web: Api) -> None:
    web.services.bodies_bytes = web.services.limits.bodies_max_bytes


async def _rate_used(web: Api) -> None:
    await web.post({"items": [item(1), item(2)]}, key="key-slow")


def _storage(error: Exception) -> Callable[[Api], Awaitable[None]]:
    async def broken(web: Api) -> None:
        async def refuse(_: object) -> None:
            raise error

        web.store.admit = refuse  # type: ignore[method-assign,assignment]

    return broken


async def _trickle(web: Api) -> tuple[str, Answer]:
    async def slowly() -> AsyncIterator[bytes]:
        yield b'{"ref":'
        await asyncio.sleep(1.5)
        yield b'"A"}'

    answer = await web.call("POST", "/v1/commitments", data=slowly(), headers=JSON_TYPE)
    return _request(POST, '{"ref":  … and nothing more for 30 s'), answer


async def _no_http(web: Api) -> tuple[str, Answer]:
    listener = Listener(api_application(web.services), web.telemetry, connections_max=9, stop_max_s=1.0)
    await listener.prepare()
    port = await listener.open("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(POST.encode() + b" HTTP/9.9\r\n\r\n")
    told, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await listener.close()
    return _request(f"{POST} HTTP/9.9"), Answer(int(told.split(b" ")[1]), {}, body)


def _without(name: str) -> dict[str, Any]:
    return {key: value for key, value in item(1).items() if key != name}


SCENES: dict[str, Scene] = {
    "E_JSON_SYNTAX": _posts(b'{"ref": }', shown='{"ref": }'),
    "E_JSON_ENCODING": _posts(b'{"ref": "\xff"}', shown='{"ref": "…a byte that is not UTF-8…"}'),
    "E_JSON_DUPLICATE_KEY": _posts(b'{"ref": "A", "ref": "B"}', shown='{"ref": "A", "ref": "B"}'),
    "E_JSON_DEPTH": _posts(b"[" * 4_000, shown="[[[[[[[[… 4,000 deep"),
    "E_PARAMETER": _gets("/v1/records?limit=1000"),
    "E_CURSOR": _gets("/v1/records?cursor=page-2"),
    "E_REQUEST_MALFORMED": _no_http,
    "E_KEY_REQUIRED": _gets("/v1/records/r1", key=None),
    "E_KEY_UNKNOWN": _gets("/v1/records/r1", key="withdrawn"),
    "E_SOURCE_FORBIDDEN": _posts(item(1, source="CRM"), key="key-sms"),
    "E_ROUTE_UNKNOWN": _gets("/v1/evidence"),
    "E_RECORD_UNKNOWN": _gets("/v1/records/r99"),
    "E_METHOD": _gets("/v1/records/r1", method="DELETE"),
    "E_REQUEST_TIMEOUT": _trickle,
    "E_IDEMPOTENCY_CONFLICT": _after(_one_stored, _posts(item(1, commitment="00" * 32))),
    "E_RECORD_FAILED": _after(_one_failed, _gets("/v1/records/r1/receipt")),
    "E_BODY_TOO_LARGE": _posts(b" " * 5_000, shown="… more bytes than limits.body_max_bytes"),
    "E_BATCH_TOO_LARGE": _posts(
        b'{"items": [{},{},{},{}]}', shown='{"items": [… more than limits.batch_max_items …]}'
    ),
    "E_MEDIA_TYPE": _posts(item(1), Content_Type="text/plain"),
    "E_CONTENT_ENCODING": _posts(b"", shown="…", Content_Encoding="gzip"),
    "E_EXPECTATION": _posts(item(1), Expect="the-best"),
    "E_BATCH_EMPTY": _posts({"items": []}),
    "E_BATCH_REFUSED": _posts({"items": [item(1, template=""), {}]}),
    "E_FIELD_REQUIRED": _posts(_without("commitment")),
    "E_FIELD_UNKNOWN": _posts(item(1, customer="…")),
    "E_FIELD_TYPE": _posts(item(1, template_version=True)),
    "E_FIELD_LENGTH": _posts(item(1, commitment="abcd")),
    "E_FIELD_PATTERN": _posts(item(1, source="push.sms")),
    "E_FIELD_RANGE": _posts(item(1, source_seq=-1)),
    "E_REF_PERSONAL": _posts(item(1, ref="13800001234")),
    "E_RATE_LIMITED": _after(_rate_used, _posts(item(3), key="key-slow")),
    "E_INTERNAL": _after(_storage(RuntimeError("x")), _posts(item(1))),
    "E_BUSY": _after(_bodies_full, _posts(item(1))),
    "E_OUTBOX_FULL": _after(_outbox_full, _posts(item(1))),
    "E_STORAGE_FULL": _after(_disk_low, _posts(item(1))),
    "E_STORAGE_BUSY": _after(
        _storage(
            StorageError("E_STORAGE_BUSY", "the database is held by another program; nothing was stored")
        ),
        _posts(item(1)),
    ),
    "E_STORAGE_FAILED": _after(
        _storage(FatalStorageError("E_STORAGE_FAILED", "the database fails")), _posts(item(1))
    ),
    "E_STORAGE_DAMAGED": _after(
        _storage(FatalStorageError("E_STORAGE_DAMAGED", "the payload of batch 7 is missing or damaged")),
        _posts(item(1)),
    ),
    "E_RECEIPT_UNAVAILABLE": _after(_one_final, _gets("/v1/records/r1/receipt")),
}

_TABLE = re.compile(r"<!-- table: (?P<name>[a-z-]+) -->\n(?P<text>(?:\|[^\n]*\n)*)")


def check_tables(page: Path, wanted: dict[str, str], *, rewrite: bool) -> None:
    """Assert that a page shows exactly these tables behind their marks; with `rewrite` make it so."""
    text = page.read_text("utf-8")
    if rewrite:
        text = _TABLE.sub(lambda m: f"<!-- table: {m['name']} -->\n{wanted[m['name']]}", text)
        page.write_text(text, "utf-8")
    shown = {match["name"]: match["text"] for match in _TABLE.finditer(text)}
    assert set(shown) == set(wanted)
    for name, table in wanted.items():
        assert shown[name] == table, f"{page.name}: table {name} is stale; REWRITE=1 renews it"
