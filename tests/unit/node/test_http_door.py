"""The hardening that both HTTP listeners share."""

import aiohttp
from aiohttp import web

from node.errors import ReadError
from node.http_door import HEADERS, HttpDoor, json_response, problem


async def _broken(_: web.Request) -> web.Response:
    raise RuntimeError("a secret of the inside")


async def _refused(_: web.Request) -> web.Response:
    raise ReadError("E_READ_LIMIT", "too much")


async def _fine(_: web.Request) -> web.Response:
    return json_response({"name": "铁证"}, cache="public, max-age=5")


async def ask(path: str) -> tuple[int, str, dict[str, str]]:
    """Ask a listener that lives for one request."""
    door = HttpDoor(
        "127.0.0.1:0", [web.get("/broken", _broken), web.get("/refused", _refused), web.get("/", _fine)]
    )
    await door.start()
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{door.port}{path}") as answer,
        ):
            return answer.status, await answer.text(), dict(answer.headers)
    finally:
        await door.stop()


async def test_an_unexpected_failure_tells_nothing_of_the_inside() -> None:
    """500 with a code, without the exception's words."""
    status, text, headers = await ask("/broken")
    assert status == 500
    assert "E_INTERNAL" in text
    assert "secret" not in text
    assert headers["X-Content-Type-Options"] == "nosniff"


async def test_a_refusal_keeps_its_code() -> None:
    """A room's error becomes a problem document."""
    status, text, headers = await ask("/refused")
    assert status == 400
    assert "E_READ_LIMIT" in text
    assert headers["Content-Type"].startswith("application/problem+json")


async def test_good_answers_carry_the_headers_too() -> None:
    """UTF-8 as it is, the cache as asked for, hardening always."""
    status, text, headers = await ask("/")
    assert (status, text) == (200, '{"name":"铁证"}')
    assert headers["Cache-Control"] == "public, max-age=5"
    assert all(headers[name] == value for name, value in HEADERS.items())


def test_a_problem_has_status_and_code() -> None:
    """The code is in a URN and on its own."""
    answer = problem(404, "E_READ_NOT_FOUND", "no such block")
    assert answer.status == 404
    assert isinstance(answer.body, bytes)
    assert b'"code": "E_READ_NOT_FOUND"' in answer.body
