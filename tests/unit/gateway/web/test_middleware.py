"""The one wrapper around handlers."""

import asyncio
import json
from typing import Any

from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request, Response
from gateway_web import KEYS, Api, item

from gateway.errors import GatewayError
from gateway.web.middleware import Call, wrap
from gateway.web.services import SERVICES


async def test_every_answer_has_an_id_of_its_own(web: Api) -> None:
    """Good or bad; the problem's instance is the same id."""
    good = await web.call("GET", "/v1/meta", key=None)
    bad = await web.call("GET", "/v1/records/r1")
    assert good.headers["X-Request-Id"] != bad.headers["X-Request-Id"]
    assert bad.json["instance"] == f"urn:tiezheng:request:{bad.headers['X-Request-Id']}"
    assert good.headers["Cache-Control"] == "no-store"


async def test_what_nobody_foresaw_is_500_without_detail(web: Api) -> None:
    """The place goes into the telemetry, the message of the exception nowhere: it may repeat a value."""

    async def broken(_: Request, __: Call) -> Response:
        raise ValueError("13800001234")

    answer, lines = await _ask(web, broken)
    assert answer["status"] == 500
    assert answer["code"] == "E_INTERNAL"
    text = json.dumps(answer) + str(lines)
    assert "13800001234" not in text
    assert "ValueError at test_middleware.py" in text


async def test_an_error_outside_the_table_is_our_mistake(web: Api) -> None:
    """It is answered with 500."""

    async def odd(_: Request, __: Call) -> Response:
        raise GatewayError("E_NEVER_HEARD_OF", "words")

    answer, lines = await _ask(web, odd)
    assert answer["status"] == 500
    assert lines[-1][1] == "request_not_served"


async def _ask(api: Api, handler: object) -> tuple[dict[str, object], list[Any]]:
    """Serve one wrapped handler beside the API and ask it once."""
    application = Application()
    application[SERVICES] = api.services
    application.router.add_get("/x", wrap(handler, route="/x", needs_key=True))  # type: ignore[arg-type]
    client = TestClient(TestServer(application))
    await client.start_server()
    try:
        async with client.get("/x", headers={"Authorization": "Bearer key-all"}) as answer:
            return await answer.json(content_type=None), list(api.telemetry.lines)
    finally:
        await client.close()


async def test_requests_are_counted_by_route_and_status(web: Api) -> None:
    """Routes are patterns, never addresses with ids in them."""
    await web.post(item(1))
    await web.call("GET", "/v1/records/r1")
    await web.call("GET", "/v1/records/r99")
    await web.call("GET", "/nonsense/13800001234")
    text = web.services.metrics.exposition().decode()
    assert 'requests_total{method="GET",route="/v1/records/{id}",status="200"} 1.0' in text
    assert 'requests_total{method="GET",route="/v1/records/{id}",status="404"} 1.0' in text
    assert 'requests_total{method="other",route="unknown",status="404"} 1.0' in text
    assert "13800001234" not in text


async def test_keys_never_reach_the_telemetry(web: Api) -> None:
    """Whatever happens, secrets and references are not written."""
    await web.post(item(1))
    await web.call("GET", "/v1/records/r99", key="wrong-secret")
    web.store.admit = None  # type: ignore[method-assign,assignment]
    assert (await web.post(item(2))).status == 500
    text = str(web.telemetry.lines)
    assert text
    for secret in (*KEYS, "wrong-secret", item(1)["ref"], item(2)["ref"], item(2)["commitment"]):
        assert secret not in text


async def test_a_caller_that_goes_away_does_not_undo_its_records(web: Api) -> None:
    """A cancelled request is no cancelled write."""
    task = asyncio.create_task(web.post(item(1), headers={"Prefer": "wait=30"}))
    await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.wait({task})
    assert (await web.call("GET", "/v1/records/r1")).status == 200


async def test_a_large_body_may_be_asked_for_first(web: Api) -> None:
    """``Expect: 100-continue`` is met; any other expectation is refused without its words."""
    body = b'{"ref": "x"}'
    good = await web.call(
        "POST", "/v1/commitments", data=body, headers={"Content-Type": "application/json"}, expect100=True
    )
    assert good.status == 422
    odd = await web.post(item(1), headers={"Expect": "13800001234"})
    assert (odd.status, odd.json["code"]) == (417, "E_EXPECTATION")
    assert b"13800001234" not in odd.body
