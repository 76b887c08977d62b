"""The read door over HTTP: C2SP tiles and checkpoint, JSON, and the page for people. Public, read only,
cacheable.

Why static shapes: whoever mirrors or monitors the chain needs nothing but GETs of files that never change,
and a checkpoint. Everything here may be shown to anybody and nothing is to be believed: the reader
verifies.

Rules kept here
- ``/checkpoint`` may be cached for a second; tiles and entry bundles are immutable for a year; JSON is not
  cached.
- Paths and numbers have one spelling; anything else is 404 or 400 with a stable code. Requests have no
  bodies.
- Pages come under a policy that allows nothing but this node's own style sheet.
- 409 with Retry-After: on the chain, not final yet. 500 E_READ_DAMAGED: ask another node.

Paths: /checkpoint /tile/LEVEL/INDEX[.p/WIDTH] /tile/entries/INDEX[.p/WIDTH] /v1/status /v1/proof/inclusion
/v1/proof/consistency /v1/receipt /v1/blocks/HEIGHT /v1/find / /block/HEIGHT /find /style.css
Source: C2SP tlog-tiles ("APIs", "Checkpoints", "Merkle Tree", "Log entries").
Refuses: writing, gzip on the fly, sessions.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from ledger.errors import LedgerError, TileError
from ledger.merkle import TILE_WIDTH
from ledger.spelling import decimal
from ledger.tile import TilePath, encode_bundle, parse_path
from node import pages
from node.errors import ReadError
from node.http_door import HttpDoor, json_response, problem, turn
from node.ports import LedgerView
from node.read_json import block_document, status_document
from node.reader import Block, Reader
from node.standing import Attestation, Standing

IMMUTABLE: Final = "public, max-age=31536000, immutable"
BRIEF: Final = "public, max-age=1"
BLOCKS_SHOWN: Final = 15
_LEAVES_AT_ONCE: Final = 32

_STATUS: Final = {
    "E_READ_NOT_FOUND": 404,
    "E_READ_NOT_FINAL": 409,
    "E_READ_DAMAGED": 500,
}

_Handler = Callable[[web.Request], Awaitable[web.Response]]


class ReadHttp:
    """The handlers. `standing` is taken anew for each request."""

    def __init__(
        self, view: LedgerView, reader: Reader, attestation: Attestation, standing: Callable[[], Standing]
    ) -> None:
        self._view = view
        self._reader = reader
        self._attestation = attestation
        self._standing = standing
        self._style = pages.style_sheet()

    def door(self, address: str) -> HttpDoor:
        """Return the listener, not started, for ``host:port``."""
        machine: tuple[tuple[str, _Handler], ...] = (
            ("/checkpoint", self._checkpoint),
            ("/tile/{path:.+}", self._tile),
            ("/v1/status", self._status),
            ("/v1/proof/inclusion", self._inclusion),
            ("/v1/proof/consistency", self._consistency),
            ("/v1/receipt", self._receipt),
            ("/v1/blocks/{height}", self._block),
            ("/v1/find", self._find),
            ("/style.css", self._style_sheet),
        )
        people: tuple[tuple[str, _Handler], ...] = (
            ("/", self._overview),
            ("/block/{height}", self._block_page),
            ("/find", self._find_page),
        )
        routes = [web.get(path, _refusals(handler)) for path, handler in machine]
        routes += [web.get(path, self._page(handler)) for path, handler in people]
        return HttpDoor(address, routes)

    # --- files ---------------------------------------------------------------------------------------------

    async def _checkpoint(self, _: web.Request) -> web.Response:
        final = self._attestation.final
        if final is None:
            raise ReadError("E_READ_NOT_FOUND", "no checkpoint is final yet")
        headers = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": BRIEF}
        return web.Response(body=final.note, headers=headers)

    async def _tile(self, request: web.Request) -> web.Response:
        if request.query_string:
            raise ReadError("E_READ_QUERY", "tiles have no parameters")
        try:
            path = parse_path(f"tile/{request.match_info['path']}")
        except TileError as error:
            raise ReadError("E_READ_NOT_FOUND", error.message) from error
        data = self._reader.tile(path) if path.level is not None else await self._bundle(request, path)
        headers = {"Content-Type": "application/octet-stream", "Cache-Control": IMMUTABLE}
        return web.Response(body=data, headers=headers)

    async def _bundle(self, request: web.Request, path: TilePath) -> bytes:
        """An entry bundle; its leaves may lie in as many blocks, so other work gets its turn in between."""
        start, stop = path.index * TILE_WIDTH, path.index * TILE_WIDTH + path.width
        if stop > self._view.size:
            raise ReadError("E_READ_NOT_FOUND", "the tree is not that large yet")
        leaves: list[bytes] = []
        for at in range(start, stop, _LEAVES_AT_ONCE):
            leaves += self._reader.leaves(at, min(_LEAVES_AT_ONCE, stop - at))
            await turn(request)
        return encode_bundle(leaves)

    async def _style_sheet(self, _: web.Request) -> web.Response:
        headers = {"Content-Type": "text/css; charset=utf-8", "Cache-Control": "public, max-age=3600"}
        return web.Response(body=self._style, headers=headers)

    # --- JSON ----------------------------------------------------------------------------------------------

    async def _status(self, _: web.Request) -> web.Response:
        return json_response(status_document(self._standing()))

    async def _inclusion(self, request: web.Request) -> web.Response:
        index, size = _number(request, "index"), _number(request, "size")
        leaf, path = self._reader.inclusion(index, size)
        document = {"index": index, "size": size, "leaf": leaf.hex(), "path": [one.hex() for one in path]}
        return json_response({**document, "root": self._reader.root_at(size).hex()})

    async def _consistency(self, request: web.Request) -> web.Response:
        old, new = _number(request, "old"), _number(request, "new")
        path = [one.hex() for one in self._reader.consistency(old, new)]
        return json_response(
            {"old": old, "new": new, "path": path, "new_root": self._reader.root_at(new).hex()}
        )

    async def _receipt(self, request: web.Request) -> web.Response:
        """By ``index=``, or by ``commitment=`` (its first position); ``with=header`` adds the header."""
        wanted = request.query.get("with")
        if wanted not in (None, "header"):
            raise ReadError("E_READ_QUERY", "with= knows only header")
        final = self._attestation.final
        if "commitment" in request.query:
            found = self._reader.find(_commitment(request))
            if not found:
                raise ReadError("E_READ_NOT_FOUND", "no record with this commitment is on this node's chain")
            index = found[0][1]
        else:
            index = _number(request, "index")
        data = self._reader.receipt(final, index, with_header=wanted == "header")
        headers = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"}
        headers["Content-Disposition"] = f'attachment; filename="{index}.tlog-proof"'
        return web.Response(body=data, headers=headers)

    async def _block(self, request: web.Request) -> web.Response:
        block = self._reader.block(_height(request))
        root = self._reader.root_at(block.tree_size)
        final = self._attestation.final
        is_final = final is not None and block.height <= final.point.height
        return json_response(block_document(block, root, final=is_final))

    async def _find(self, request: web.Request) -> web.Response:
        found = self._reader.find(_commitment(request))
        size = 0 if self._attestation.final is None else self._attestation.final.point.size
        rows = [{"height": height, "index": index, "final": index < size} for height, index in found]
        return json_response({"positions": rows})

    # --- pages ---------------------------------------------------------------------------------------------

    def _page(self, handler: _Handler) -> _Handler:
        """Give a page its policy, and turn what is not there into a page."""

        async def answer(request: web.Request) -> web.Response:
            try:
                response = await handler(request)
            except ReadError as error:
                if error.code not in ("E_READ_NOT_FOUND", "E_READ_NUMBER"):
                    raise
                response = _html(pages.missing_page(self._standing()))
                response.set_status(404)
            response.headers["Content-Security-Policy"] = pages.POLICY
            return response

        return _refusals(answer)

    async def _overview(self, request: web.Request) -> web.Response:
        newest = self._view.applied_height
        if "before" in request.query:
            newest = min(newest, max(0, _number(request, "before") - 1))
        oldest = max(0, newest - BLOCKS_SHOWN + 1)
        blocks: list[Block] = [self._reader.block(height) for height in range(oldest, newest + 1)]
        return _html(pages.overview(self._standing(), self._view.governance, blocks, time.time()))

    async def _block_page(self, request: web.Request) -> web.Response:
        block = self._reader.block(_height(request))
        root = self._reader.root_at(block.tree_size)
        return _html(pages.block_page(self._standing(), block, root, time.time()))

    async def _find_page(self, request: web.Request) -> web.Response:
        text = request.query.get("commitment", "").strip().lower()
        final = self._attestation.final
        size = 0 if final is None else final.point.size
        try:
            places = self._reader.find(bytes.fromhex(text))
        except (ValueError, ReadError):
            return _html(pages.find_page(self._standing(), text, None))
        found = [pages.Found(height, index, index < size) for height, index in places]
        return _html(pages.find_page(self._standing(), text, found))


def _refusals(handler: _Handler) -> _Handler:
    """Turn a refusal into a problem with the right status."""

    async def answer(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except ReadError as error:
            response = problem(_STATUS.get(error.code, 400), error.code, error.message)
            if error.code == "E_READ_NOT_FINAL":
                response.headers["Retry-After"] = "1"
            return response

    return answer


def _html(text: str) -> web.Response:
    headers = {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store"}
    return web.Response(body=text.encode(), headers=headers)


def _number(request: web.Request, name: str) -> int:
    """Return a parameter that must be there once, as a plain decimal. Raises ReadError E_READ_NUMBER."""
    values = request.query.getall(name, [])
    return _decimal(values[0] if len(values) == 1 else "", name)


def _height(request: web.Request) -> int:
    return _decimal(request.match_info["height"], "height")


def _decimal(text: str, name: str) -> int:
    try:
        return decimal(text, name)
    except LedgerError as error:
        raise ReadError("E_READ_NUMBER", f"{name} is not one plain decimal number") from error


def _commitment(request: web.Request) -> bytes:
    """Return the digest in hexadecimal, lower case. Raises ReadError E_READ_COMMITMENT."""
    values = request.query.getall("commitment", [])
    text = values[0] if len(values) == 1 else ""
    try:
        commitment = bytes.fromhex(text) if len(text) == 64 else b""
    except ValueError:
        commitment = b""
    if commitment.hex() != text or not commitment:
        raise ReadError("E_READ_COMMITMENT", "commitment= is 64 hexadecimal digits, lower case")
    return commitment
