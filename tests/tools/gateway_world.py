"""A gateway's folder for tests: configuration, keys, certificates, trust file, API keys, as an operator would make them.

Also the means to run it: in this process (`running`), or as a process of its own that can be killed (`spawn`).
"""

import asyncio
import hashlib
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import ledger_world as world
from gateway_chain import MemoryChain
from gateway_nodes import FakeNode, identity

from gateway import app, telemetry
from gateway.config import load_config
from ledger import ed25519

ROOT = Path(__file__).parents[2]
API_KEY = "tz-test-key-for-everything"
SMS_KEY = "tz-test-key-for-sms-only"
RUN = "import sys, pathlib; from gateway.app import run_gateway; sys.exit(run_gateway(pathlib.Path(sys.argv[1])))"


@dataclass(slots=True)
class GatewayWorld:
    """One gateway's folder and the fake network it speaks to."""

    folder: Path
    chain: MemoryChain
    nodes: list[FakeNode]
    http_port: int
    ops_port: int

    @property
    def config_path(self) -> Path:
        """Path of gateway.toml."""
        return self.folder / "gateway.toml"

    @property
    def url(self) -> str:
        """Base address of the API."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def ops_url(self) -> str:
        """Base address of the ops listener."""
        return f"http://127.0.0.1:{self.ops_port}"

    def spawn(self, **more: Any) -> "subprocess.Popen[bytes]":
        """Start the gateway as a process of its own."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", RUN, str(self.config_path)]
        with (self.folder / "gateway.log").open("ab") as log:
            return subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, cwd=ROOT, start_new_session=True, **more
            )


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on just now."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def key_file(purpose: str, key_id: str, seed: bytes) -> str:
    """Return the text of a tiezheng key file."""
    public = ed25519.public_key(seed).hex()
    return f"tiezheng-key 1\npurpose {purpose}\nid {key_id}\nalg 1\npublic {public}\nseed {seed.hex()}\n"


def write_private(path: Path, data: str | bytes) -> None:
    """Write a file of mode 0600."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    path.chmod(0o600)


def api_keys_text() -> str:
    """Return an API keys file with one caller for everything and one for PUSH.SMS only."""
    everything, sms = (hashlib.sha256(key.encode()).hexdigest() for key in (API_KEY, SMS_KEY))
    return (
        f'[keys.everything]\nsha256 = "{everything}"\nsources = ["*"]\n'
        f'[keys.sms]\nsha256 = "{sms}"\nsources = ["PUSH.SMS"]\n'
    )


async def make_world(folder: Path, nodes: Sequence[str] = ("broker-1",), more: str = "") -> GatewayWorld:
    """Start fake nodes and write the folder of a gateway that knows them; `more` is appended to gateway.toml."""
    client = identity("gateway-1")
    chain = MemoryChain()
    fakes = [FakeNode(node_id, chain, client.cert_pem) for node_id in nodes]
    http_port, ops_port = free_ports(2)
    write_private(
        folder / "keys" / "submitter.key", key_file("submitter", "gateway-1", world.seed(*world.SUBMITTER))
    )
    write_private(folder / "keys" / "tls.key", client.key_pem)
    (folder / "keys" / "tls.crt").write_bytes(client.cert_pem)
    write_private(folder / "keys" / "api-keys.toml", api_keys_text())
    (folder / "policy.txt").write_bytes(chain.policy())
    tables = []
    for fake in fakes:
        await fake.start()
        (folder / f"{fake.node_id}.crt").write_bytes(fake.tls.cert_pem)
        tables.append(fake.toml(f"{fake.node_id}.crt"))
    (folder / "gateway.toml").write_text(
        'institution = "BROKER"\ntrust_file = "policy.txt"\n'
        f'[listen]\nhttp = "127.0.0.1:{http_port}"\nops = "127.0.0.1:{ops_port}"\n' + "".join(tables) + more,
        encoding="utf-8",
    )
    made = GatewayWorld(folder, chain, fakes, http_port, ops_port)
    app.init_gateway(made.config_path)
    return made


async def stop_nodes(made: GatewayWorld) -> None:
    """Stop every fake node."""
    for fake in made.nodes:
        await fake.stop()


@asynccontextmanager
async def running(made: GatewayWorld) -> AsyncIterator[aiohttp.ClientSession]:
    """Run the gateway in this process and give a client with the API key for everything."""
    stop = asyncio.Event()
    config = load_config(made.config_path)
    with (made.folder / "telemetry.log").open("a", encoding="utf-8") as stream:
        out = telemetry.set_up("debug", "json", stream)
        serving = asyncio.create_task(app.serve(config, out, stop))
        try:
            async with client_of(made) as client:
                await until_ready(made, serving)
                yield client
        finally:
            stop.set()
            await serving


def client_of(made: GatewayWorld, key: str = API_KEY) -> aiohttp.ClientSession:
    """Return an HTTP client that shows an API key."""
    return aiohttp.ClientSession(made.url, headers={"Authorization": f"Bearer {key}"})


async def until_ready(
    made: GatewayWorld, serving: "asyncio.Task[int] | None" = None, timeout_s: float = 15.0
) -> None:
    """Wait until the gateway answers /readyz with 200."""
    async with asyncio.timeout(timeout_s), aiohttp.ClientSession() as client:
        while True:
            if serving is not None and serving.done():
                serving.result()
                raise AssertionError("the gateway ended before it was ready")
            try:
                async with client.get(f"{made.ops_url}/readyz") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.02)


def item(number: int, *, ref: str | None = None, source: str = "PUSH.SMS") -> dict[str, Any]:
    """Return the commitment item number `number`."""
    return {
        "ref": ref or f"PUSH-20251125-{number:06d}",
        "commitment": hashlib.sha256(b"item %d" % number).hexdigest(),
        "source": source,
        "source_seq": number,
        "template": "SMS-NTC-01",
        "template_version": 1,
    }
