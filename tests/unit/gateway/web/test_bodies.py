"""Reading bodies: bounded in bytes, in time and over all requests."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from gateway_web import Api, api, item

from gateway.config import Limits

SMALL = Limits(body_max_bytes=4_096, bodies_max_bytes=1_048_576, body_timeout_s=1)


@pytest.fixture
async def small(tmp_path: Path) -> AsyncIterator[Api]:
    """An API that takes bodies of 4 kB."""
    async with api(tmp_path, SMALL) as made:
        yield made


async def stream(chunks: int, pause_s: float = 0.0) -> AsyncIterator[bytes]:
    """Yield 1 kB chunks."""
    for _ in range(chunks):
        if pause_s:
            await asyncio.sleep(pause_s)
        yield b" " * 1_024


JSON = {"Content-Type": "application/json"}


async def test_a_declared_size_beyond_the_limit_is_refused_unread(small: Api) -> None:
    """Content-Length alone is enough to say no."""
    answer = await small.post(b" " * 5_000)
    assert (answer.status, answer.json["code"]) == (413, "E_BODY_TOO_LARGE")
    assert answer.headers["Connection"] == "close"
    assert small.services.bodies_bytes == 0


async def test_an_undeclared_body_is_cut_off_while_it_is_read(small: Api) -> None:
    """A chunked body of any length is read up to the limit and no further."""
    answer = await small.call("POST", "/v1/commitments", data=stream(200), headers=JSON)
    assert (answer.status, answer.json["code"]) == (413, "E_BODY_TOO_LARGE")
    assert small.services.bodies_bytes == 0


async def test_ten_megabytes_of_template_are_refused(web: Api) -> None:
    """The default limit stops it; the gateway goes on."""
    body = io.BytesIO(json.dumps({"items": [item(1, template="T" * 10_000_000)]}).encode())
    answer = await web.call("POST", "/v1/commitments", data=body, headers=JSON)
    assert answer.json["code"] == "E_BODY_TOO_LARGE"
    assert (await web.post(item(1))).status == 202


async def test_a_caller_that_goes_away_is_no_error_of_ours(small: Api) -> None:
    """A body that breaks off with its connection is neither stored nor reported as our failure."""
    server = small.client.server
    _, writer = await asyncio.open_connection(server.host, server.port)
    head = "POST /v1/commitments HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer key-all\r\n"
    writer.write(f'{head}Content-Type: application/json\r\nContent-Length: 900\r\n\r\n{{"ref'.encode())
    await writer.drain()
    async with asyncio.timeout(5):
        while not small.services.bodies_bytes:  # noqa: ASYNC110 - the server notices on its own time
            await asyncio.sleep(0.01)
        writer.transport.abort()
        while small.services.bodies_bytes:  # noqa: ASYNC110 - same
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    assert not small.telemetry.lines


async def test_a_slow_body_is_given_up(small: Api) -> None:
    """A caller that trickles is told so after the limit, and the connection ends."""
    answer = await small.call("POST", "/v1/commitments", data=stream(3, pause_s=0.6), headers=JSON)
    assert (answer.status, answer.json["code"]) == (408, "E_REQUEST_TIMEOUT")


async def test_all_bodies_together_have_a_limit(small: Api) -> None:
    """Beyond it: 503 with a delay, and nothing is reserved for ever."""
    small.services.bodies_bytes = SMALL.bodies_max_bytes - 10
    answer = await small.post(item(1))
    assert (answer.status, answer.json["code"]) == (503, "E_BUSY")
    assert answer.headers["Retry-After"] == "1"
    small.services.bodies_bytes = 0
    assert (await small.post(item(1))).status == 202
    assert small.services.bodies_bytes == 0


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/xml", "multipart/form-data", "application/json; charset=gbk", "json"]
)
async def test_other_media_types_are_refused(small: Api, kind: str) -> None:
    """JSON and NDJSON in UTF-8, nothing else."""
    answer = await small.post(item(1), headers={"Content-Type": kind})
    assert (answer.status, answer.json["code"]) == (415, "E_MEDIA_TYPE")


async def test_no_media_type_is_refused(small: Api) -> None:
    """A body must say what it is."""
    body = b"{}"
    answer = await small.call("POST", "/v1/commitments", data=body, skip_auto_headers=["Content-Type"])
    assert answer.json["code"] == "E_MEDIA_TYPE"


async def test_utf8_may_be_said(small: Api) -> None:
    """A charset parameter of UTF-8 changes nothing."""
    assert (
        await small.post(item(1), headers={"Content-Type": "application/json; charset=UTF-8"})
    ).status == 202


async def test_a_compressed_body_is_refused(small: Api) -> None:
    """It may unfold to anything."""
    answer = await small.post(item(1), headers={"Content-Encoding": "gzip"})
    assert (answer.status, answer.json["code"]) == (415, "E_CONTENT_ENCODING")
