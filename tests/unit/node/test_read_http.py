"""The public HTTP door: C2SP files with their cache headers, JSON with stable keys, pages under a strict
policy.
"""

import json
from collections.abc import AsyncIterator

import aiohttp
import ledger_world as world
import pytest
import store_world
from core_world import Core, Known
from yarl import URL

from ledger.governance_policy import policy_text
from ledger.merkle import leaf_hash
from ledger.receipt import verify_receipt
from ledger.tile import format_path, parse_bundle, tiles_of
from ledger.trust import parse_trust
from node import standing
from node.read_http import BRIEF, IMMUTABLE, ReadHttp
from node.reader import Reader


class Door:
    """A listener over a core with a few blocks."""

    def __init__(self) -> None:
        self.core = Core()
        self.known = Known(self.core)
        self.told: list[str] = []
        reader = Reader(self.core, lambda words, _: self.told.append(words))
        http = ReadHttp(self.core, reader, self.known, lambda: standing.take(self.core, self.known, None))
        self.door = http.door("127.0.0.1:0")

    async def ask(self, path: str, method: str = "GET") -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers of one request; the path is sent as it is."""
        url = URL(f"http://127.0.0.1:{self.door.port}{path}", encoded=True)
        async with aiohttp.ClientSession() as session, session.request(method, url) as answer:
            return answer.status, await answer.read(), dict(answer.headers)

    async def code(self, path: str) -> tuple[int, str]:
        """Status and stable code of a refusal."""
        status, body, _ = await self.ask(path)
        return status, json.loads(body)["code"]


def leaf_at(core: Core, index: int) -> bytes:
    """A leaf's bytes, from the store."""
    return core.derived_store.entries(index, 1)[0]


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    """A listener on a free port, over twelve blocks of which ten are final."""
    made = Door()
    for body in store_world.bodies(12, records=40):
        made.core.apply(body)
    made.known.finalize(10)
    await made.door.start()
    yield made
    await made.door.stop()


async def test_the_checkpoint_is_the_final_note(door: Door) -> None:
    """Plain text, cached for a second; 404 while there is none."""
    status, body, headers = await door.ask("/checkpoint")
    assert (status, body) == (200, door.known.final.note if door.known.final else b"")
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert headers["Cache-Control"] == BRIEF
    door.known.final = None
    assert await door.code("/checkpoint") == (404, "E_READ_NOT_FOUND")


async def test_tiles_are_immutable(door: Door) -> None:
    """Right bytes, type and cache for hash tiles and entry bundles, full and partial."""
    for path in tiles_of(door.core.size):
        status, body, headers = await door.ask("/" + format_path(path))
        assert status == 200
        assert len(body) == path.width * 32
        assert headers["Content-Type"] == "application/octet-stream"
        assert headers["Cache-Control"] == IMMUTABLE
    hashes = [leaf for block in door.core.pair.blocks for leaf in block.leaf_hashes]
    for name, low, high in (("000", 0, 256), ("001.p/50", 256, 306)):
        status, body, headers = await door.ask(f"/tile/entries/{name}")
        assert status == 200
        assert headers["Cache-Control"] == IMMUTABLE
        assert [leaf_hash(leaf) for leaf in parse_bundle(body, high - low)] == hashes[low:high]


@pytest.mark.parametrize(
    "path",
    [
        "/tile/0/001.p/256",
        "/tile/0/1",
        "/tile/0/0001",
        "/tile/00/000",
        "/tile/0/x000/000",
        "/tile/0/000.p/0",
        "/tile/9/000",
        "/tile/64/000",
        "/tile/entries/999",
        "/tile/0/000/",
        "/tile/0/../0/000",
        "/tile/0/%30%30%30%30",
        "/tile/" + "x000/" * 50 + "000",
    ],
)
async def test_tiles_have_one_spelling(door: Door, path: str) -> None:
    """Another spelling, or a tile that is not there, is 404."""
    status, _, headers = await door.ask(path)
    assert status == 404
    assert headers["Cache-Control"] == "no-store"


async def test_tiles_have_no_parameters(door: Door) -> None:
    """A cache must not keep one tile under many names."""
    assert await door.code("/tile/0/000?x=1") == (400, "E_READ_QUERY")


async def test_the_status_has_all_keys(door: Door) -> None:
    """For scripts; nothing final is zero."""
    document = json.loads((await door.ask("/v1/status"))[1])
    assert document["applied_height"] == 12
    assert document["final_height"] == 10
    assert document["tree_size"] == door.core.size
    assert [row["node_id"] for row in document["cosigners"]] == ["broker-1", "market-1", "auditor-1"]
    door.known.final = None
    assert json.loads((await door.ask("/v1/status"))[1])["final_size"] == 0


async def test_proofs_as_json(door: Door) -> None:
    """Hexadecimal hashes, and the root they lead to."""
    size = door.core.size
    document = json.loads((await door.ask(f"/v1/proof/inclusion?index=5&size={size}"))[1])
    assert document["root"] == door.core.root.hex()
    assert document["leaf"] == leaf_at(door.core, 5).hex()
    document = json.loads((await door.ask(f"/v1/proof/consistency?old=5&new={size}"))[1])
    assert document["new_root"] == door.core.root.hex()
    assert all(len(one) == 64 for one in document["path"])
    assert await door.code("/v1/proof/inclusion?index=5") == (400, "E_READ_NUMBER")
    assert await door.code("/v1/proof/inclusion?index=05&size=9") == (400, "E_READ_NUMBER")
    assert await door.code("/v1/proof/inclusion?index=5&size=9&size=9") == (400, "E_READ_NUMBER")
    assert await door.code(f"/v1/proof/inclusion?index=5&size={size + 1}") == (404, "E_READ_NOT_FOUND")
    assert await door.code("/v1/proof/inclusion?index=5&size=99999999999999999999") == (400, "E_READ_NUMBER")


async def test_receipts_verify_with_the_chains_policy(door: Door) -> None:
    """By index and by commitment, with and without header; what is not final yet is 409 with Retry-After."""
    text = policy_text(world.genesis())
    trust = parse_trust(text)
    block = door.core.pair.blocks[2]
    commitment = world.records(40, 1)[0].commitment
    for query in (f"index={block.first_index}", f"commitment={commitment.hex()}"):
        for more in ("", "&with=header"):
            status, body, headers = await door.ask(f"/v1/receipt?{query}{more}")
            assert status == 200
            assert "tlog-proof" in headers["Content-Disposition"]
            verified = verify_receipt(body, trust, commitment)
            assert verified.index == block.first_index
            assert (verified.block is not None) == bool(more)
    status, body, headers = await door.ask(f"/v1/receipt?index={door.core.pair.blocks[11].first_index}")
    assert status == 409
    assert json.loads(body)["code"] == "E_READ_NOT_FINAL"
    assert headers["Retry-After"] == "1"
    assert await door.code("/v1/receipt?index=0") == (400, "E_READ_NOT_RECORD")
    assert await door.code("/v1/receipt?index=1&with=everything") == (400, "E_READ_QUERY")
    assert await door.code(f"/v1/receipt?commitment={'0' * 64}") == (404, "E_READ_NOT_FOUND")
    assert await door.code("/v1/receipt?commitment=zz") == (400, "E_READ_COMMITMENT")
    assert await door.code(f"/v1/receipt?commitment={commitment.hex().upper()}") == (400, "E_READ_COMMITMENT")


async def test_blocks_and_positions_as_json(door: Door) -> None:
    """A block's header fields and checkpoint; where a commitment stands and whether it is final."""
    block = door.core.pair.blocks[11]
    document = json.loads((await door.ask("/v1/blocks/11"))[1])
    assert document["hash"] == block.block_hash.hex()
    assert document["checkpoint"] == {"size": block.tree_size, "root": block.root.hex()}
    assert document["header"]["prev"] == block.header.prev.hex()
    assert document["final"] is False
    assert document["kind"] == "records"
    assert await door.code("/v1/blocks/13") == (404, "E_READ_NOT_FOUND")
    assert await door.code("/v1/blocks/-1") == (400, "E_READ_NUMBER")
    assert await door.code("/v1/blocks/1e1") == (400, "E_READ_NUMBER")
    commitment = world.records(10 * 40, 1)[0].commitment.hex()
    document = json.loads((await door.ask(f"/v1/find?commitment={commitment}"))[1])
    assert document == {"positions": [{"height": 11, "index": block.first_index, "final": False}]}


async def test_pages_come_under_a_strict_policy(door: Door) -> None:
    """Overview, block, search, what is not there: HTML, no scripts, nothing from elsewhere."""
    commitment = world.records(40, 1)[0].commitment.hex()
    for path, status in (
        ("/", 200),
        ("/?before=5", 200),
        ("/block/0", 200),
        ("/block/12", 200),
        (f"/find?commitment={commitment}", 200),
        ("/find?commitment=%3Cscript%3E", 200),
        ("/block/13", 404),
        ("/block/x", 404),
    ):
        got, body, headers = await door.ask(path)
        assert got == status, path
        text = body.decode()
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "script-src" not in policy
        assert headers["Content-Type"] == "text/html; charset=utf-8"
        lowered = text.lower()
        assert "<script" not in lowered
        assert " style=" not in lowered
        assert "http://" not in lowered.replace("http://www.w3.org/2000/svg", "")
        assert "https://" not in lowered
    assert (await door.ask("/style.css"))[2]["Content-Type"] == "text/css; charset=utf-8"


async def test_nothing_can_be_written(door: Door) -> None:
    """Other methods, unknown paths."""
    assert (await door.ask("/checkpoint", "POST"))[0] == 405
    assert (await door.ask("/", "PUT"))[0] == 405
    assert await door.code("/v1/nothing") == (404, "E_HTTP_404")
