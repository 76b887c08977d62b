"""Bad input at every door of a running network: a clear refusal with a stable code, memory flat, nothing half done.

One network for the whole file: what one test does to it, the next one still has to bear, and at the end good records
become final, no process has died or grown, and nothing that was sent stands in any telemetry.
"""

import asyncio
import contextlib
import json
import secrets
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import grpc
import grpc.aio
import pytest
from e2e_bad_input import NO_HTTP, QUESTIONS, SECRET, bodies, envelopes
from e2e_doors import (
    GATEWAY_API,
    GATEWAY_OPS,
    OPS,
    READ,
    READ_HTTP,
    SUBMIT,
    Doors,
    call,
    http,
    resident_mib,
)
from e2e_network import item, leader_of, post, running_network
from node_cluster import leaves

from ledger.envelope import seal_envelope
from node.wire import encode_note
from protos import read_pb2, submit_pb2
from scripts.web import read_key_file, request

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120), pytest.mark.xdist_group("e2e")]

GROWTH_MAX_MIB = 150
SENT_MAX = 3_000  # what windows and limits let through; without them, all that a client can send
TELEMETRY_MAX_BYTES = 200_000


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    """A running network and its doors; its memory before anything bad has come is kept beside it."""
    with running_network(tmp_path_factory.mktemp("bad") / "net") as network:
        made = Doors(network)
        assert post(network, [item() for _ in range(100)], wait_s=20).json()["items"][0]["state"] == "final"
        MEMORY.update(resident_mib(network))
        yield made


MEMORY: dict[str, int] = {}


@pytest.fixture(autouse=True)
def _good_records_still_become_final(doors: Doors) -> Iterator[None]:
    """Whatever a test sends, a good record is served behind it, and every process is the one that it was."""
    yield
    assert post(doors.network, [item()], wait_s=20).json()["items"][0]["state"] == "final"
    resident_mib(doors.network)


# --- the gateway's API -------------------------------------------------------------------------------------------------


def test_bad_bodies_are_refused_one_by_one(doors: Doors) -> None:
    """Each has its status and its code, and none leaves a record behind."""
    key = read_key_file(doors.network.api_key_file)
    port = doors.network.port_base + GATEWAY_API
    before = _status(doors)["tree_size"]
    for name, (status, code, body) in bodies().items():
        head = ("Content-Type: application/json", f"Content-Length: {len(body)}")
        answer = http(port, call("POST", "/v1/commitments", *head, key=key, body=body))
        assert (answer.status, answer.code) == (status, code), (name, answer.raw[:300])
        assert SECRET.encode() not in answer.raw, name
        assert b"Traceback" not in answer.raw
    assert _status(doors)["tree_size"] == before


def test_bad_requests_around_a_good_body(doors: Doors) -> None:
    """Keys, types, encodings, lines, parameters, ids, waits: refused with a code, or taken for what they are."""
    key, port = read_key_file(doors.network.api_key_file), doors.network.port_base + GATEWAY_API
    good, kind = json.dumps(item()).encode(), "Content-Type: application/json"
    long_wait = "Prefer: wait=99999999999999, wait=x, wait=1"
    lines = good + b'\n{"ref": \n' + json.dumps(item()).encode()
    shown = "/v1/records"
    table = {
        "no key": (401, "E_KEY_REQUIRED", call("POST", "/v1/commitments", kind, body=good)),
        "other key": (401, "E_KEY_UNKNOWN", call("POST", "/v1/commitments", kind, key=SECRET, body=good)),
        "bytes as key": (401, "E_KEY_UNKNOWN", call("GET", shown, key="\xff\xfe\x80")),
        "no type": (415, "E_MEDIA_TYPE", call("POST", "/v1/commitments", key=key, body=good)),
        "gzip": (
            415,
            "E_CONTENT_ENCODING",
            call("POST", "/v1/commitments", kind, "Content-Encoding: gzip", key=key, body=good),
        ),
        "a broken line": (
            202,
            "E_JSON_SYNTAX",
            call("POST", "/v1/commitments", "Content-Type: application/x-ndjson", key=key, body=lines),
        ),
        "a long wait": (200, "", call("POST", "/v1/commitments", kind, long_wait, key=key, body=good)),
        "limit in disguise": (
            400,
            "E_PARAMETER",
            call("GET", f"{shown}?limit=000001{'9' * 30}", key=key),
        ),
        "a cursor of nobody": (400, "E_CURSOR", call("GET", f"{shown}?cursor={SECRET}", key=key)),
        "a filter twice": (400, "E_PARAMETER", call("GET", f"{shown}?ref=a&ref=b", key=key)),
        "a path out": (404, "E_RECORD_UNKNOWN", call("GET", f"{shown}/..%2f..%2fgateway.db", key=key)),
        "a huge id": (404, "E_RECORD_UNKNOWN", call("GET", f"{shown}/r{'9' * 5_000}", key=key)),
        "no such path": (404, "E_ROUTE_UNKNOWN", call("GET", f"/{SECRET}", key=key)),
        "no such method": (405, "E_METHOD", call("DELETE", f"{shown}/r1", key=key)),
    }
    for name, (status, code, data) in table.items():
        answer = http(port, data, timeout_s=70)
        assert (answer.status, answer.code) == (status, code), (name, answer.raw[:300])
        assert SECRET.encode() not in answer.raw, name
        assert key.encode() not in answer.raw, name


# --- every HTTP listener -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("listener", ["api", "gateway ops", "read", "ops"])
def test_what_is_no_http_is_refused_with_a_code(doors: Doors, listener: str) -> None:
    """On each of the four kinds of listeners, without a word of what was sent."""
    base = doors.network.port_base
    port = {
        "api": base + GATEWAY_API,
        "gateway ops": base + GATEWAY_OPS,
        "read": doors.port("broker-1", READ_HTTP),
        "ops": doors.port("broker-1", OPS),
    }[listener]
    for name, data in NO_HTTP.items():
        answer = http(port, data)
        code = "E_REQUEST_MALFORMED" if port >= base + GATEWAY_API else "E_HTTP_400"
        assert (answer.status, answer.code) == (400, code), (name, answer.raw[:300])
        assert SECRET.encode() not in answer.raw, name


def test_questions_that_nobody_can_answer_at_the_read_doors(doors: Doors) -> None:
    """Paths that lead out, numbers of every kind, beyond the tree; JSON that is too deep at the ops door."""
    port = doors.port("regulator-1", READ_HTTP)
    for path, code in QUESTIONS:
        answer = http(port, call("GET", path))
        assert answer.status in {400, 404}, path[:80]
        assert answer.code == code, (path[:80], answer.raw[-300:])
    answer = http(doors.port("broker-1", OPS), call("PUT", "/telemetry", body=b"[" * 1_024))
    assert (answer.status, answer.code) == (400, "E_TELEMETRY_BODY")


# --- gRPC --------------------------------------------------------------------------------------------------------------


async def test_strangers_do_not_get_through_the_handshake(doors: Doors) -> None:
    """No certificate, a foreign authority's with the right name, our authority's that nobody pinned, a gateway's at the
    peer door and a node's at the submission door. The node counts each of them.
    """
    leader = leader_of(doors.network)
    to = next(name for name in doors.names if name not in {leader, "market-1", "regulator-1"})
    before = _refused_handshakes(doors, to)
    frame = submit_pb2.SubmitRequest(id=1, envelope=b"x").SerializeToString()
    gateways = (None, doors.foreign["gateway-1"], doors.unpinned["gateway-1"], doors.identity("market-1"))
    for identity in gateways:
        assert (await doors.submit_end(to, identity, frame)).startswith("UNAVAILABLE")
    peers = (None, doors.foreign["market-1"], doors.unpinned["market-1"], doors.gateway)
    for identity in peers:
        hello = doors.hello("Control", "market-1", to)
        assert (await doors.peer_end(to, "Control", identity, hello)).startswith("UNAVAILABLE")
    assert _refused_handshakes(doors, to) >= before + len(gateways) + len(peers)


async def test_members_who_lie_are_refused_with_a_code(doors: Doors) -> None:
    """An observer among the voters, a hello for or from somebody else, of another chain, garbage, bombs."""
    observer, voter = doors.identity("regulator-1"), doors.identity("market-1")
    to = "auditor-1"
    for kind in ("Control", "Data"):
        end = await doors.peer_end(to, kind, observer, doors.hello(kind, "regulator-1", to))
        assert end == "PERMISSION_DENIED E_PEER_ROLE"
    table = {
        "E_PEER_NAME": doors.hello("Attest", "broker-1", to),
        "E_PEER_RECIPIENT": doors.hello("Attest", "regulator-1", "broker-1"),
        "E_PEER_CHAIN": doors.hello("Attest", "regulator-1", to, "other-00000000"),
        "E_PEER_INSTANCE": doors.hello("Attest", "regulator-1", to),
        "E_WIRE_HELLO": encode_note(b"a note before any hello"),
    }
    for code, frame in table.items():
        assert await doors.peer_end(to, "Attest", observer, frame) == f"PERMISSION_DENIED {code}"
    for kind in ("Control", "Data", "Attest"):
        end = await doors.peer_end(to, kind, voter, b"\xff" * 100)
        assert end == "PERMISSION_DENIED E_WIRE_FRAME"
        assert (await doors.peer_end(to, kind, voter, bytes(7 << 20))).startswith("RESOURCE_EXHAUSTED")
    async with doors.channel(to, READ, None) as channel:
        for method in ("Status", "Find", "Ranges", "Follow"):
            asked: Any = channel.unary_unary(f"/tiezheng.read.v1.Read/{method}")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await asked(b"\xff" * 50)
            assert (caught.value.details() or "").startswith("E_WIRE_FRAME: bytes that are no ")


async def test_bad_envelopes_are_refused_and_a_replay_has_its_positions(doors: Doors) -> None:
    """Nothing of a refused envelope is ordered; an envelope that was is answered with its places, for ever."""
    leader, key = leader_of(doors.network), doors.submitter
    good = seal_envelope(
        doors.network.chain_id, "BROKER", key.key_id, leaves(3, first=secrets.randbelow(1 << 40)), key.seed
    )
    async with doors.channel(leader, SUBMIT, doors.gateway) as channel:
        stream: Any = channel.stream_stream("/tiezheng.submit.v1.Submit/Submit")(timeout=30)

        async def submit(envelope: bytes) -> submit_pb2.SubmitReply:
            await stream.write(submit_pb2.SubmitRequest(id=7, envelope=envelope).SerializeToString())
            return submit_pb2.SubmitReply.FromString(await stream.read())

        before = _status(doors, leader)["tree_size"]
        for name, (code, envelope) in envelopes(doors.network.chain_id, key).items():
            assert (await submit(envelope)).refused.code == code, name
        assert _status(doors, leader)["tree_size"] == before, "nothing of them was ordered"
        first = (await submit(good.raw)).committed.first_index
        for _ in range(2):
            again = await submit(good.raw)
            assert [leaf.index for leaf in again.known.leaves] == [first, first + 1, first + 2]
        await stream.write(b"\xff" * 50)
        assert f"{(await stream.code()).name} {await stream.details()}" == "INVALID_ARGUMENT E_WIRE_FRAME"
    assert (await doors.submit_end(leader, doors.gateway, bytes(7 << 20))).startswith("RESOURCE_EXHAUSTED")


# --- floods ------------------------------------------------------------------------------------------------------------


async def _large_block(doors: Doors, leader: str) -> int:
    """Have a block of 645 kB ordered; return its height once all nodes have it."""
    key = doors.submitter
    large = leaves(5_000, first=secrets.randbelow(1 << 40))
    raw = seal_envelope(doors.network.chain_id, "BROKER", key.key_id, large, key.seed).raw
    async with doors.channel(leader, SUBMIT, doors.gateway) as channel:
        stream: Any = channel.stream_stream("/tiezheng.submit.v1.Submit/Submit")(timeout=30)
        await stream.write(submit_pb2.SubmitRequest(id=1, envelope=raw).SerializeToString())
        height = submit_pb2.SubmitReply.FromString(await stream.read()).committed.height
        await stream.done_writing()
    async with asyncio.timeout(20):
        while min(_status(doors, name)["applied_height"] for name in doors.names) < height:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return int(height)


async def _never_read(doors: Doors, leader: str) -> int:
    """Send envelopes and take none of the answers; return how many the node let come in 4 s."""
    sent = 0
    async with doors.channel(leader, SUBMIT, doors.gateway, window_bytes=64 * 1024) as channel:
        stream: Any = channel.stream_stream("/tiezheng.submit.v1.Submit/Submit")()
        frame = submit_pb2.SubmitRequest(id=1, envelope=bytes(3_000)).SerializeToString()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(4):
                while True:
                    await stream.write(frame)
                    sent += 1
        stream.cancel()
    return sent


async def _unread_answers(doors: Doors, name: str, height: int) -> None:
    """Ask for large blocks and long streams by the hundred, and take nothing."""
    async with doors.channel(name, READ, None, window_bytes=64 * 1024) as channel:
        block = read_pb2.BlockRequest(height=height).SerializeToString()
        follow = read_pb2.FollowRequest(from_height=height).SerializeToString()
        asked: list[Any] = []
        for _ in range(120):
            one: Any = channel.unary_stream("/tiezheng.read.v1.Read/Block")
            many: Any = channel.unary_stream("/tiezheng.read.v1.Read/Follow")
            asked += [one(block), many(follow)]
        await asyncio.sleep(3)
        for stream in asked:
            stream.cancel()


async def test_floods_leave_memory_flat(doors: Doors) -> None:
    """Unread answers, unread streams, hundreds of connections, half requests, bodies that never end, TLS that never
    begins: no process grows by more than so much, and records become final meanwhile.
    """
    network, leader = doors.network, leader_of(doors.network)
    key = read_key_file(network.api_key_file)
    height = await _large_block(doors, leader)
    half = call("POST", "/v1/commitments", "Content-Length: 900000", key=key) + b'{"items":['
    silent = {
        network.port_base + GATEWAY_API: (b"", half, b"GET /v1/meta HTTP/1.1\r\nHost: "),
        doors.port("broker-1", READ_HTTP): (b"", b"GET /checkpoint HTTP/1.1\r\nX: "),
        doors.port("broker-1", 0): (b"", b"\x16\x03\x01"),
        doors.port("broker-1", READ): (b"", secrets.token_bytes(100)),
    }
    with ExitStack() as held:
        for port, beginnings in silent.items():
            for number in range(150):
                one = held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
                one.sendall(beginnings[number % len(beginnings)])
        sending = asyncio.create_task(_never_read(doors, leader))
        await asyncio.gather(
            *(_unread_answers(doors, name, height) for name in 2 * ("broker-1", "regulator-1")),
            asyncio.to_thread(_is_final_meanwhile, doors),
        )
        sent = await sending
        grown = {name: now - MEMORY[name] for name, now in resident_mib(network).items()}
    print(f"growth in MiB: {grown}; {sent} envelopes came in of a submitter that reads no answers")
    assert sent < SENT_MAX, "a submitter that takes no answers is held"
    assert max(grown.values()) < GROWTH_MAX_MIB, grown


def _is_final_meanwhile(doors: Doors) -> None:
    answer = post(doors.network, [item()], wait_s=20)
    assert answer.json()["items"][0]["state"] == "final"


def test_no_telemetry_repeats_what_was_sent(doors: Doors) -> None:
    """Neither the canary, nor the API key, nor a commitment; no traceback; and no flood has filled the disk."""
    key = read_key_file(doors.network.api_key_file)
    made = item(ref=f"{SECRET}-ref")
    assert post(doors.network, [made], wait_s=20).status == 200
    for file in sorted((doors.network.folder / "log").iterdir()):
        text = file.read_text(encoding="utf-8", errors="replace")
        for secret in (SECRET, key, made["commitment"], "Traceback"):
            assert secret not in text, f"{file.name}: {_around(text, secret)}"
        assert len(text) < TELEMETRY_MAX_BYTES, file.name


def _around(text: str, found: str) -> str:
    at = text.index(found)
    return text[max(0, at - 500) : at + 500]


def _status(doors: Doors, name: str = "") -> dict[str, Any]:
    node = doors.network.node(name or leader_of(doors.network))
    found: dict[str, Any] = request(f"{node.read_url}/v1/status").json()
    return found


def _refused_handshakes(doors: Doors, name: str) -> float:
    text = request(f"{doors.network.node(name).ops_url}/metrics").body.decode()
    lines = [line for line in text.splitlines() if 'refusals_total{code="E_DOOR_TLS"}' in line]
    return float(lines[0].rsplit(" ", 1)[1]) if lines else 0.0
