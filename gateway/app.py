"""The composer: the only module that knows all adapters, use cases and doors, and joins them in order.

Why one: a program's shape must be readable on a page. Resources are started in the order below and stopped in reverse,
each by the pair of lines around its `yield` (aiohttp's cleanup contexts); the doors open last and close first.

Rules kept here:
- `init_gateway` creates the database, `run_gateway` refuses to: a wrong path must never start an empty outbox.
- The first loop or database that fails ends the process with code 1; SIGTERM and SIGINT end it with code 0. A kill at any
  point loses nothing that was answered.

Source: aiohttp documentation, "Cleanup Context". Refuses: business rules.
"""

import asyncio
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from aiohttp import web

from gateway import telemetry
from gateway.adapters.api_keys import ApiKeyFile
from gateway.adapters.clock import SystemClock
from gateway.adapters.database import Database, open_database
from gateway.adapters.node_channel import NodeAddress
from gateway.adapters.read_client import GrpcReadDoor
from gateway.adapters.secret_files import (
    SubmitterKey,
    TlsIdentity,
    load_submitter,
    load_tls,
    read_cert,
    read_secret,
)
from gateway.adapters.store import SqlStore
from gateway.adapters.submit_client import LeaderClient
from gateway.adapters.supervisor import Supervisor
from gateway.adapters.trust_file import FileTrust
from gateway.adapters.watch import Watch
from gateway.config import GatewayConfig, load_config, split_address
from gateway.domain.anchoring import Placement, State
from gateway.errors import ConfigError, GatewayError
from gateway.metrics import Metrics
from gateway.ports import Telemetry
from gateway.usecases.anchor import Anchor, AnchorLimits
from gateway.usecases.collect import Collect
from gateway.usecases.finality import Finality
from gateway.usecases.retrieve import Retrieve
from gateway.usecases.waiting import Waiting
from gateway.web.listener import Listener
from gateway.web.ops import Check, ops_application
from gateway.web.routes import api_application
from gateway.web.services import Services


def _installed_version() -> str:
    """Return the program's version as installed; a checkout that is not installed has none."""
    try:
        return version("tiezheng")
    except PackageNotFoundError:
        return "0+unknown"


VERSION: Final = _installed_version()

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_CONFIG: Final = 2
OUTBOX_NEARLY_FULL: Final = 0.8
OPS_CONNECTIONS_MAX: Final = 64


@dataclass(slots=True)
class Gateway:
    """Everything of one running gateway, joined. Owner: the event loop that made it."""

    config: GatewayConfig
    telemetry: Telemetry
    metrics: Metrics
    supervisor: Supervisor
    trust: FileTrust
    keys: ApiKeyFile
    sealer: SubmitterKey
    store: SqlStore
    ledger: LeaderClient
    doors: list[GrpcReadDoor]
    collect: Collect
    waiting: Waiting
    anchor: Anchor
    finality: Finality
    services: Services
    clock: SystemClock = field(default_factory=SystemClock)

    def checks(self) -> list[Check]:
        """Return what `/readyz` shows."""
        store = "" if self.store.alive() else "the database has failed"
        lost = self.store.backlog() > 0 and not self.ledger.leader
        leader = "records wait, and no node answers as the leader" if lost else ""
        full = self.store.backlog() > OUTBOX_NEARLY_FULL * self.config.limits.outbox_max_records
        return [
            Check("storage", vital=True, words=store),
            Check("disk", vital=True, words="the disk is nearly full" if self.collect.disk_low else ""),
            Check("outbox", vital=False, words="the outbox is nearly full" if full else ""),
            Check("leader", vital=False, words=leader),
            Check("anchoring", vital=False, words=self.finality.halted),
            Check("api_keys", vital=False, words=self.keys.problem),
        ]


@dataclass(frozen=True, slots=True)
class _Files:
    """What the configuration points at, read and checked before anything starts."""

    trust: FileTrust
    keys: ApiKeyFile
    sealer: SubmitterKey
    identity: TlsIdentity
    nodes: list[NodeAddress]


def _read_files(config: GatewayConfig) -> _Files:
    """Read everything that must be there. Raises ConfigError."""
    trust = FileTrust.load(config.path(config.trust_file))
    sealer = load_submitter(config.path(config.submitter.key), trust.chain_id, config.institution)
    identity = load_tls(config.path(config.submitter.tls_cert), config.path(config.submitter.tls_key))
    nodes = [
        NodeAddress(node_id, node.submit, node.read, read_cert(config.path(node.tls_cert)))
        for node_id, node in config.nodes.items()
    ]
    return _Files(trust, ApiKeyFile(config.path(config.api_keys)), sealer, identity, nodes)


def _compose(
    config: GatewayConfig, files: _Files, database: Database, out: Telemetry, supervisor: Supervisor
) -> Gateway:
    """Join everything; nothing runs yet but the database's threads."""
    clock = SystemClock()
    metrics = Metrics(VERSION)
    store = SqlStore(database, config.institution, clock, config.path(config.evidence))
    metrics.watch_backlog(store.backlog)
    ledger = LeaderClient(
        files.nodes,
        files.identity,
        clock=clock,
        telemetry=out,
        reply_timeout_s=config.anchoring.reply_timeout_s,
    )
    doors = [GrpcReadDoor(node) for node in files.nodes if node.read]
    collect = Collect(store, config.institution, config.limits.outbox_max_records)
    waiting = Waiting(store)
    retrieve = Retrieve(store, doors, files.trust, out, metrics)

    def placed(runs: Sequence[tuple[int, Placement]]) -> None:
        """Failed records are settled; the others are when they are final."""
        waiting.changed({batch_id for batch_id, run in runs if run.state is State.FAILED})
        finality.placed([run for _, run in runs if run.state is State.COMMITTED])

    limits = AnchorLimits(config.anchoring.in_flight_max, config.anchoring.envelope_max_records)
    anchor = Anchor(
        outbox=store, ledger=ledger, sealer=files.sealer, clock=clock, telemetry=out, meter=metrics,
        limits=limits, on_placed=placed,
    )  # fmt: skip
    finality = Finality(
        store=store, doors=doors, trust=files.trust, clock=clock, telemetry=out, meter=metrics,
        on_final=waiting.changed, on_halt=anchor.halt,
    )  # fmt: skip
    collect.on_stored = anchor.wake
    services = Services(
        collect=collect,
        waiting=waiting,
        retrieve=retrieve,
        find_key=files.keys.find,
        trust=files.trust,
        clock=clock,
        telemetry=out,
        metrics=metrics,
        limits=config.limits,
        institution=config.institution,
        version=VERSION,
    )
    return Gateway(
        config, out, metrics, supervisor, files.trust, files.keys, files.sealer, store, ledger, doors, collect, waiting,
        anchor, finality, services, clock,
    )  # fmt: skip


async def serve(config: GatewayConfig, out: Telemetry, stop: asyncio.Event) -> int:
    """Run a gateway until `stop` is set or something fails; return the exit code.

    Raises ConfigError before anything is served.
    """
    files = _read_files(config)
    tls = _server_tls(config)
    database = open_database(config.path(config.database), now_ms=SystemClock().wall_ms(), create=False)
    supervisor = Supervisor()
    gateway = _compose(config, files, database, out, supervisor)
    application = api_application(gateway.services)

    async def storage(_: web.Application) -> AsyncIterator[None]:
        yield
        await gateway.store.close()
        database.close()

    async def nodes(_: web.Application) -> AsyncIterator[None]:
        yield
        await gateway.ledger.close()
        for door in gateway.doors:
            await door.close()

    async def loops(_: web.Application) -> AsyncIterator[None]:
        await gateway.finality.load()
        watch = Watch(
            collect=gateway.collect,
            keys=gateway.keys,
            metrics=gateway.metrics,
            telemetry=out,
            clock=gateway.clock,
            oldest_ms=gateway.store.oldest_pending_ms,
            folder=config.path(config.database).parent,
            reserve_mib=config.limits.disk_reserve_mib,
        )
        await watch.look()
        tasks = [
            supervisor.start(gateway.finality.run(), "finality"),
            supervisor.start(gateway.anchor.run(), "anchor"),
            supervisor.start(watch.run(), "watch"),
        ]
        yield
        for task in reversed(tasks):
            await supervisor.stop(task)

    application.cleanup_ctx.extend([storage, nodes, loops])
    return await _serve_doors(gateway, application, tls, stop)


async def _serve_doors(
    gateway: Gateway, application: web.Application, tls: ssl.SSLContext | None, stop: asyncio.Event
) -> int:
    """Open the doors, wait for an end, close them first."""
    config, out = gateway.config, gateway.telemetry
    stop_max_s = float(config.stop_max_s)
    limit = config.limits.connections_max
    api = Listener(application, out, connections_max=limit, stop_max_s=stop_max_s, tls=tls)
    watched = ops_application(gateway.metrics, VERSION, gateway.checks)
    ops = Listener(watched, out, connections_max=OPS_CONNECTIONS_MAX, stop_max_s=1.0)
    await api.prepare()
    try:
        if config.listen.ops:
            await ops.prepare()
            await ops.open(*split_address(config.listen.ops))
        await api.open(*split_address(config.listen.http))
        out.info(
            "gateway_started", version=VERSION, http=config.listen.http, chain=gateway.trust.chain_id,
            trust_file_sha256=gateway.trust.fingerprint, backlog=gateway.store.backlog(),
        )  # fmt: skip
        return await _until_end(gateway, stop)
    finally:
        out.info("gateway_stopping")
        await api.close()
        await ops.close()
        out.info("gateway_stopped")


async def _until_end(gateway: Gateway, stop: asyncio.Event) -> int:
    """Wait for a stop or a failure; return the exit code."""
    stopped = asyncio.create_task(stop.wait(), name="stop-signal")
    ends: set[asyncio.Future[object]] = {stopped, gateway.supervisor.failure, gateway.store.failed}  # type: ignore[arg-type]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    for failed in (gateway.store.failed, gateway.supervisor.failure):
        if failed.done():
            error = failed.result()
            words = str(error) if isinstance(error, GatewayError) else telemetry.places(error)
            gateway.telemetry.error("gateway_failed", reason=words)
            return EXIT_FAILED
    return EXIT_OK


def _server_tls(config: GatewayConfig) -> ssl.SSLContext | None:
    """Return the API's TLS settings, None for plain HTTP. Raises ConfigError E_TLS_CERT."""
    if not config.listen.tls_cert:
        return None
    cert, key = config.path(config.listen.tls_cert), config.path(config.listen.tls_key)
    read_secret(key)
    read_cert(cert)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(cert, key)
    except ssl.SSLError as error:
        raise ConfigError("E_TLS_CERT", f"{cert} and {key} do not belong together") from error
    return context


async def _run(config: GatewayConfig, out: Telemetry) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return await serve(config, out, stop)


def run_gateway(config_path: Path) -> int:
    """Run the gateway of a configuration until it is told to stop; return the process's exit code.

    0 after SIGTERM or SIGINT, 1 after a failure, 2 when the configuration or a file it names is refused; then one line on
    standard error says why.
    """
    if not __debug__:
        sys.stderr.write("tiezheng does not run under `python -O`: its assertions are part of it\n")
        return EXIT_CONFIG
    try:
        config = load_config(config_path)
        out = telemetry.set_up(config.telemetry.level, config.telemetry.style)
        return asyncio.run(_run(config, out))
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_CONFIG
    except OSError as error:
        sys.stderr.write(f"E_LISTEN: {error}\n")
        return EXIT_FAILED


def init_gateway(config_path: Path) -> Path:
    """Create the database of a configuration, once, and return its path. Raises ConfigError, also when it exists."""
    config = load_config(config_path)
    path = config.path(config.database)
    if path.exists():
        raise ConfigError("E_DATABASE_EXISTS", f"{path} is there already")
    path.parent.mkdir(parents=True, exist_ok=True)
    open_database(path, now_ms=SystemClock().wall_ms(), create=True).close()
    config.path(config.evidence).mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def resume_anchoring(config_path: Path) -> str:
    """Let anchoring go on after a halt, deliberately, with the gateway stopped; return the reason that stood, "" if none.

    The evidence stays. Raises ConfigError.
    """
    config = load_config(config_path)

    async def resume() -> str:
        database = open_database(config.path(config.database), now_ms=SystemClock().wall_ms(), create=False)
        store = SqlStore(database, config.institution, SystemClock(), config.path(config.evidence))
        try:
            reason = await store.halted()
            if reason:
                await store.resume()
            return reason
        finally:
            with suppress(GatewayError):
                await store.close()
            database.close()

    return asyncio.run(resume())
