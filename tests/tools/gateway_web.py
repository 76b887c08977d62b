"""The API in this process over a real store, with a scripted chain behind it: what web tests and docs/api.md are made of."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from gateway_fakes import FakeClock, FakeDoor, FakeTelemetry, FakeTrust, new_store

from gateway.adapters.store import SqlStore
from gateway.config import Limits
from gateway.domain.access import ApiKey
from gateway.domain.anchoring import Placement, State
from gateway.domain.finality import Unproven
from gateway.metrics import Metrics
from gateway.usecases.collect import Collect
from gateway.usecases.retrieve import Retrieve
from gateway.usecases.waiting import Waiting
from gateway.web.routes import api_application
from gateway.web.services import Services

KEYS = {
    "key-all": ApiKey("all", b"a" * 32, None),
    "key-sms": ApiKey("sms", b"s" * 32, frozenset({"PUSH.SMS"})),
    "key-slow": ApiKey("slow", b"l" * 32, None, records_per_s=1.0, burst=2),
}


@dataclass(slots=True)
class Answer:
    """An HTTP answer, read."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The decoded body."""
        return json.loads(self.body)


@dataclass(slots=True)
class Api:
    """The API and everything behind it."""

    client: "TestClient[Any, Any]"
    store: SqlStore
    services: Services
    clock: FakeClock
    door: FakeDoor
    telemetry: FakeTelemetry = field(default_factory=FakeTelemetry)

    async def call(self, method: str, path: str, *, key: str | None = "key-all", **more: Any) -> Answer:
        """Make one request; `key` None sends none."""
        headers = dict(more.pop("headers", {}))
        if key is not None:
            headers.setdefault("Authorization", f"Bearer {key}")
        async with self.client.request(method, path, headers=headers, **more) as answer:
            return await self._read(answer)

    async def post(
        self, document: Any, *, key: str = "key-all", headers: dict[str, str] | None = None
    ) -> Answer:
        """POST /v1/commitments with a JSON document, or with bytes as they are."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        more = {"Content-Type": "application/json", **(headers or {})}
        return await self.call("POST", "/v1/commitments", key=key, data=body, headers=more)

    async def _read(self, answer: ClientResponse) -> Answer:
        return Answer(answer.status, answer.headers, await answer.read())

    async def commit(self, batch_id: int, count: int, *, index: int = 100, final: bool = True) -> None:
        """Give the records of a batch their places, and finality."""
        await self.store.place(
            [(batch_id, Placement(0, count, State.COMMITTED, 12, index, 1_764_000_001_000))]
        )
        if final:
            await self.store.finalise([Unproven(batch_id, 0, count, index)], None)
        self.services.waiting.changed([batch_id])

    async def fail(self, batch_id: int, code: str) -> None:
        """Fail the first record of a batch."""
        await self.store.place([(batch_id, Placement(0, 1, State.FAILED, code=code))])
        self.services.waiting.changed([batch_id])


@asynccontextmanager
async def api(folder: Path, limits: Limits | None = None) -> AsyncIterator[Api]:
    """Serve the API over a new database in `folder`."""
    clock = FakeClock()
    store, database = new_store(folder, clock)
    limits = limits or Limits()
    door, telemetry, metrics = FakeDoor("broker-1"), FakeTelemetry(), Metrics("1.2.3")
    trust = FakeTrust()
    services = Services(
        collect=Collect(store, "BROKER", limits.outbox_max_records),
        waiting=Waiting(store),
        retrieve=Retrieve(store, [door], trust, telemetry, metrics),
        find_key=KEYS.get,
        trust=trust,
        clock=clock,
        telemetry=telemetry,
        metrics=metrics,
        limits=limits,
        institution="BROKER",
        version="1.2.3",
    )
    server = TestServer(api_application(services))
    await server.start_server(
        access_log=None, auto_decompress=False, max_line_size=8_190, max_field_size=8_190
    )
    client = TestClient(server, auto_decompress=False)
    try:
        yield Api(client, store, services, clock, door, telemetry)
    finally:
        await client.close()
        await store.close()
        database.close()


def item(number: int = 1, **changes: Any) -> dict[str, Any]:
    """Return the commitment item number `number`, changed."""
    made = {
        "ref": f"PUSH-20251125-{number:06d}",
        "commitment": sha256(b"item %d" % number).hexdigest(),
        "source": "PUSH.SMS",
        "source_seq": 1_000 + number,
        "template": "SMS-NTC-01",
        "template_version": 1,
    }
    made.update(changes)
    return made
