"""Reading a request's body: bounded in bytes, in time, and over all requests together.

Rules kept here:
- A body is cut off while it is being read, not after: memory stays flat whatever is sent.
- What is declared too large is refused before a byte of it is read.
- Only application/json and application/x-ndjson, UTF-8, without content encoding (a compressed body may unfold to
  anything).

Source: RFC 9110 8.3, 8.4. Refuses: multipart, forms.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from gateway.errors import BusyError, RequestError
from gateway.web.services import Services

JSON: Final = "application/json"
NDJSON: Final = ("application/x-ndjson", "application/ndjson")


def media_type(request: web.Request) -> str:
    """Return JSON or an NDJSON type. Raises RequestError E_MEDIA_TYPE, E_CONTENT_ENCODING."""
    if request.headers.get("Content-Type") == JSON and "Content-Encoding" not in request.headers:
        return JSON  # what nearly everybody sends
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise RequestError("E_CONTENT_ENCODING", "a compressed body is not accepted")
    if request.content_type not in (JSON, *NDJSON) or "Content-Type" not in request.headers:
        raise RequestError(
            "E_MEDIA_TYPE", "the body is JSON or NDJSON, and the Content-Type header says which"
        )
    if (request.charset or "utf-8").lower() not in ("utf-8", "utf8"):
        raise RequestError("E_MEDIA_TYPE", "the body is UTF-8")
    return request.content_type


@asynccontextmanager
async def body_of(request: web.Request, services: Services) -> AsyncIterator[bytes]:
    """Yield the body; its bytes count against the limit of all bodies until the block ends.

    Raises RequestError E_BODY_TOO_LARGE, E_REQUEST_TIMEOUT, BusyError E_BUSY.
    """
    limit = services.limits.body_max_bytes
    declared = request.content_length
    if declared is not None and declared > limit:
        raise RequestError("E_BODY_TOO_LARGE", f"a body has at most {limit} bytes")
    reserved = limit if declared is None else declared
    if services.bodies_bytes + reserved > services.limits.bodies_max_bytes:
        raise BusyError("E_BUSY", "too many bodies are being read", 1.0)
    services.bodies_bytes += reserved
    try:
        yield await _read(request, limit, services.limits.body_timeout_s)
    finally:
        services.bodies_bytes -= reserved


async def _read(request: web.Request, limit: int, timeout_s: float) -> bytes:
    if request.content.is_eof():  # a small body arrived together with its head
        body = request.content.read_nowait()
        if len(body) > limit:
            raise RequestError("E_BODY_TOO_LARGE", f"a body has at most {limit} bytes")
        return body
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(timeout_s):
            while chunk := await request.content.readany():
                size += len(chunk)
                if size > limit:
                    raise RequestError("E_BODY_TOO_LARGE", f"a body has at most {limit} bytes")
                chunks.append(chunk)
    except (web.RequestPayloadError, ConnectionError) as error:
        raise RequestError("E_REQUEST_TIMEOUT", "the body broke off") from error
    except TimeoutError as error:
        raise RequestError("E_REQUEST_TIMEOUT", f"the body did not arrive within {timeout_s} s") from error
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
