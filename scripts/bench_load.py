"""The load of the benchmark: envelopes to the submission door, or JSON to the gateway, and when each became what.

Why: the figures that matter to users are how many records a second, and how long until one is committed and until it
is final, seen from outside the processes. So the load stands where a gateway stands: it signs envelopes, sends them
down one stream, hears of the commit on that stream, and of finality from the read door's `WatchFinal`.

Refuses: to verify (the gateway does; its cost is in the gateway's rows), to run without an end.
"""

import asyncio
import json
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
import grpc
from grpc import aio

from ledger.envelope import seal_envelope
from ledger.record import RecordLeaf, encode_leaf
from node.keys import load_key
from protos import read_pb2, read_pb2_grpc, submit_pb2, submit_pb2_grpc
from scripts.devfolder import DevNetwork
from scripts.web import read_key_file

_MESSAGE_MAX = 16 << 20
_RETRY_S = 0.02
_DRAIN_S = 60


@dataclass(slots=True)
class Result:
    """What one run measured: records, seconds, and one latency in seconds per request."""

    records: int = 0
    seconds: float = 0.0
    committed_s: list[float] = field(default_factory=list)
    final_s: list[float] = field(default_factory=list)
    slow_downs: int = 0


@dataclass(frozen=True, slots=True)
class Shape:
    """How a run loads: records per request, requests outstanding, and for how long."""

    batch: int
    outstanding: int
    seconds: float


def _random_leaves(count: int, serial: int) -> bytes:
    """Return `count` prefixed record leaves with random commitments (129 bytes each)."""
    template = encode_leaf(
        RecordLeaf(
            institution="BROKER",
            source="BENCH",
            template="BENCH-01",
            template_version=1,
            commitment=bytes(32),
            source_seq=serial,
        )
    )
    head, tail = b"\x00" + template[:12], template[44:]
    noise = secrets.token_bytes(32 * count)
    return b"".join([head + noise[at : at + 32] + tail for at in range(0, 32 * count, 32)])


class NodeDoor:
    """One submission stream and one finality stream to the leader."""

    def __init__(self, network: DevNetwork, leader: str) -> None:
        """Name the network and the node that leads it; `run` opens the streams."""
        keys = network.folder / "gateway" / "keys"
        self._key = load_key(keys / "submitter.key")
        self._chain_id = network.chain_id
        place = network.node(leader)
        pin = (place.data / "keys" / "tls.crt").read_bytes()
        mutual = grpc.ssl_channel_credentials(
            pin, (keys / "tls.key").read_bytes(), (keys / "tls.crt").read_bytes()
        )
        options = [
            ("grpc.ssl_target_name_override", leader),
            ("grpc.max_send_message_length", _MESSAGE_MAX),
            ("grpc.max_receive_message_length", _MESSAGE_MAX),
        ]
        base = network.port_base + 10 * [n.name for n in network.nodes].index(leader)
        self._submit = aio.secure_channel(f"127.0.0.1:{base + 1}", mutual, options=options)
        self._read = aio.secure_channel(
            f"127.0.0.1:{base + 2}", grpc.ssl_channel_credentials(pin), options=options
        )
        self._queue: asyncio.Queue[submit_pb2.SubmitRequest | None] = asyncio.Queue()
        self._begun: dict[int, tuple[float, submit_pb2.SubmitRequest]] = {}
        self._waiting: deque[tuple[int, float]] = deque()  # (last index + 1, begun) in rising order of index
        self._final_size = 0
        self._settled = asyncio.Event()
        self._result = Result()

    async def run(self, shape: Shape) -> Result:
        """Load for `shape.seconds`, wait for what is outstanding, and return what was measured.

        Raises RuntimeError (in a group) when the door refuses, TimeoutError when it stops answering.
        """
        slots = asyncio.Semaphore(shape.outstanding)
        try:
            async with asyncio.timeout(shape.seconds + _DRAIN_S), asyncio.TaskGroup() as tasks:
                replies = tasks.create_task(self._replies(shape.batch, slots))
                finals = tasks.create_task(self._finals())
                await self._load(shape, slots)
                await self._queue.put(None)
                await replies
                while self._waiting:
                    self._settled.clear()
                    await self._settled.wait()
                finals.cancel()
        finally:
            await self._submit.close()
            await self._read.close()
        return self._result

    async def _load(self, shape: Shape, slots: asyncio.Semaphore) -> None:
        """Send until the time is over, then wait until every request has its answer."""
        serial = 0
        since = time.perf_counter()
        while time.perf_counter() - since < shape.seconds:
            await slots.acquire()
            serial += 1
            leaves = _random_leaves(shape.batch, serial)
            envelope = seal_envelope(self._chain_id, "BROKER", self._key.key_id, leaves, self._key.seed)
            message = submit_pb2.SubmitRequest(id=serial, envelope=envelope.raw)
            self._begun[serial] = (time.perf_counter(), message)
            await self._queue.put(message)
        for _ in range(shape.outstanding):
            await slots.acquire()
        self._result.seconds = time.perf_counter() - since

    async def _requests(self) -> AsyncIterator[submit_pb2.SubmitRequest]:
        while (message := await self._queue.get()) is not None:
            yield message

    async def _replies(self, batch: int, slots: asyncio.Semaphore) -> None:
        stub = submit_pb2_grpc.SubmitStub(self._submit)
        async for reply in stub.Submit(self._requests()):
            outcome = reply.WhichOneof("outcome")
            begun, message = self._begun.pop(reply.id)
            if outcome == "committed":
                self._result.records += batch
                self._result.committed_s.append(time.perf_counter() - begun)
                self._waiting.append((reply.committed.first_index + batch, begun))
                self._settle()
                slots.release()
            elif outcome == "slow_down":
                self._result.slow_downs += 1
                self._begun[reply.id] = (begun, message)
                await asyncio.sleep(max(_RETRY_S, reply.slow_down.retry_after_ms / 1000))
                await self._queue.put(message)
            else:
                raise RuntimeError(f"the submission door answered {outcome}: {reply}")

    async def _finals(self) -> None:
        stub = read_pb2_grpc.ReadStub(self._read)
        async for checkpoint in stub.WatchFinal(read_pb2.WatchFinalRequest()):
            self._final_size = checkpoint.size
            self._settle()

    def _settle(self) -> None:
        now = time.perf_counter()
        while self._waiting and self._waiting[0][0] <= self._final_size:
            self._result.final_s.append(now - self._waiting.popleft()[1])
        self._settled.set()


class GatewayDoor:
    """Plain HTTP posts to `POST /v1/commitments` that wait until final."""

    def __init__(self, network: DevNetwork) -> None:
        """Name the network."""
        self._url = f"{network.gateway_url}/v1/commitments"
        self._key = read_key_file(network.api_key_file)
        self._result = Result()

    async def run(self, shape: Shape) -> Result:
        """Load for `shape.seconds` with `shape.outstanding` connections and return what was measured."""
        headers = {
            "Authorization": f"Bearer {self._key}",
            "Prefer": "wait=30",
            "Content-Type": "application/json",
        }
        connector = aiohttp.TCPConnector(limit=shape.outstanding)
        since = time.perf_counter()
        until = since + shape.seconds
        async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
            await asyncio.gather(*(self._client(session, shape, until) for _ in range(shape.outstanding)))
        self._result.seconds = time.perf_counter() - since
        return self._result

    async def _client(self, session: aiohttp.ClientSession, shape: Shape, until: float) -> None:
        while time.perf_counter() < until:
            items = [_item() for _ in range(shape.batch)]
            body = json.dumps({"items": items}).encode()
            begun = time.perf_counter()
            async with session.post(self._url, data=body) as answer:
                document = await answer.read()
            if answer.status in {429, 503}:
                self._result.slow_downs += 1
                await asyncio.sleep(_RETRY_S)
                continue
            if answer.status not in {200, 202}:
                raise RuntimeError(f"the gateway answered {answer.status}: {document[:300]!r}")
            states = {item.get("state") for item in json.loads(document)["items"]}
            if states != {"final"}:
                raise RuntimeError(f"not all final after 30 s: {states}")
            self._result.records += shape.batch
            self._result.final_s.append(time.perf_counter() - begun)


def _item() -> dict[str, object]:
    return {
        "ref": f"bench-{secrets.token_hex(8)}",
        "commitment": secrets.token_hex(32),
        "source": "BENCH",
        "source_seq": None,
        "template": "BENCH-01",
        "template_version": 1,
    }
