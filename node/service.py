"""A node from start to stop: everything opened in order, closed in reverse, and an exit code that says how it
ended.

Order of a start
    configuration and keys, telemetry; stores (`start.open_node`); facts and loop, with the disk thread; peer
    door and outgoing streams; companions (attestor, observer, read doors); submission and admin doors; then
    the tasks.
Order of a stop (a signal, or a task that died)
    intake closes; leadership is handed over; tasks are cancelled; doors close; what is queued for the disk is
    written; stores close. It takes at most `stop_max_s`; then the process ends anyway, which must be as safe
    as a power cut.

Rules kept here
- All tasks live in one group: one that dies ends the node, loudly. Nothing runs in the background unheard.
- A failed disk write ends the process at once (`os._exit`), from whatever thread, after one line of
  telemetry.
- `init` and `run` are different acts. `run` refuses `python -O`: assertions are part of the product.

Refuses: restarting itself, daemonising, writing pid files. That is the supervisor's.
"""

import asyncio
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TypeAlias

from ledger.errors import DerivedDamagedError, LedgerError, StoreDamagedError, StoreFatalError
from node import companions, telemetry
from node.admin_api import AdminDoor
from node.attest_stream import AttestHub
from node.config import NodeConfig, load_config
from node.core_view import CoreView
from node.errors import ConfigError, ExitCode, KeyFileError, NodeError, StartError
from node.evidence import EvidenceBox
from node.keys import NodeKeys, Purpose, load_node_keys
from node.native_words import NativeWords
from node.peer_door import PeerDoor
from node.ports import Companion, NodeStats, Parts
from node.refusals import Refusals
from node.runtime import Runtime
from node.start import Opened, init_node, open_node
from node.submit_api import SubmitDoor
from node.transport import Transport

_STAND_DOWN_SHARE = 0.4  # of stop_max_s
_LAG_EVERY_S = 0.05
_DISK_EVERY_S = 1.0

_log = telemetry.get("service")
Die: TypeAlias = Callable[[BaseException], None]
_Work: TypeAlias = Callable[[], Coroutine[object, object, None]]


class NodeService:
    """One node in one event loop. The tests run several of them side by side; `run` below runs one."""

    def __init__(self, config: NodeConfig, keys: NodeKeys, opened: Opened, die: Die) -> None:
        """Everything that can be refused without an event loop has been: see `load`."""
        self._config = config
        self._keys = keys
        self._opened = opened
        self._die = die
        box = EvidenceBox(config.data_path)
        self.view = CoreView(config.node_id, opened, box, die)
        self._runtime: Runtime | None = None
        self.started = asyncio.Event()
        self._stop = asyncio.Event()

    def ask_to_stop(self) -> None:
        """Begin a clean stop."""
        self._stop.set()

    async def run(self) -> None:
        """Start, work until asked to stop, stop. Raises what a start refuses, or what killed a task."""
        async with AsyncExitStack() as stack:
            stack.callback(self._opened.close)
            runtime, tasks = await self._open_doors(stack)
            self._runtime = runtime
            async with asyncio.TaskGroup() as group:
                running = [group.create_task(work(), name=name) for name, work in tasks]
                self.started.set()
                _log.info("started", chain=self.view.chain_id, height=self.view.applied_height)
                await self._stop.wait()
                _log.info("stopping")
                await self._stand_down(runtime)
                for task in running:
                    task.cancel()

    async def _open_doors(self, stack: AsyncExitStack) -> tuple[Runtime, list[tuple[str, _Work]]]:
        """Start everything in order; what has started is on the stack, to be stopped in reverse."""
        config, view, keys = self._config, self.view, self._keys
        refusals = Refusals(view.stats(), time.monotonic)
        hub = AttestHub()
        runtime = Runtime(config, self._opened, view, refusals=refusals, die=self._die)
        stack.push_async_callback(runtime.stop)
        peer_door = PeerDoor(
            book=lambda: view.book,
            identity=keys.tls,
            inbox=runtime.inbox,
            attest=hub,
            refusals=refusals,
            limits=config.limits,
        )
        transport = Transport(
            book=lambda: view.book,
            addresses={node_id: peer.peer for node_id, peer in config.peers.items()},
            identity=keys.tls,
            instance=self._opened.chain_store.meta.instance,
            attest=hub,
            refusals=refusals,
            limits=config.limits,
            stats=view.stats(),
            on_down=runtime.unreachable,
        )
        runtime.attach(_Network(transport, peer_door))
        view.show_links(transport.links)
        parts = Parts(view, hub, keys, config)
        built = companions.build(parts)
        if config.doors.peer:
            await _listening(peer_door.start(config.doors.peer), config.doors.peer)
            stack.push_async_callback(peer_door.stop)
        for companion in built:
            await companion.start()
            stack.push_async_callback(companion.stop)
        await self._open_own_doors(stack, runtime, refusals)
        return runtime, _tasks(config, runtime, transport, built, view.stats())

    async def _open_own_doors(self, stack: AsyncExitStack, runtime: Runtime, refusals: Refusals) -> None:
        config, view = self._config, self.view
        if config.doors.submit:
            submit = SubmitDoor(runtime, view, self._keys.tls, refusals, config.limits)
            await _listening(submit.start(config.doors.submit), config.doors.submit)
            stack.push_async_callback(submit.stop, 0.5)
        if config.doors.admin:
            admin = AdminDoor(runtime)
            await admin.start(config.data_path / config.doors.admin)
            stack.push_async_callback(admin.stop)

    async def _stand_down(self, runtime: Runtime) -> None:
        await runtime.stand_down(self._config.stop_max_s * _STAND_DOWN_SHARE)


class _Network:
    """What the loop speaks to: messages go to the transport, a changed book to both sides."""

    def __init__(self, transport: Transport, door: PeerDoor) -> None:
        self.send = transport.send
        self._changed = (transport.book_changed, door.book_changed)

    def book_changed(self) -> None:
        """Roles or pins changed."""
        for tell in self._changed:
            tell()


def _tasks(
    config: NodeConfig, runtime: Runtime, transport: Transport, built: Sequence[Companion], stats: NodeStats
) -> list[tuple[str, _Work]]:
    """Name and coroutine function of every task of a node."""
    return [
        ("loop", runtime.run),
        ("transport", transport.run),
        ("lag", lambda: _watch_lag(stats)),
        ("disk", lambda: _watch_disk(config, runtime)),
        *((type(companion).__name__, companion.run) for companion in built),
    ]


async def _watch_lag(stats: NodeStats) -> None:
    """Measure how late the event loop runs what was due."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _LAG_EVERY_S
        await asyncio.sleep(_LAG_EVERY_S)
        stats.loop_lag_s = loop.time() - due
        if stats.loop_lag_s > 10 * _LAG_EVERY_S:
            _log.warning("loop_lag", seconds=round(stats.loop_lag_s, 3))


async def _watch_disk(config: NodeConfig, runtime: Runtime) -> None:
    """Stop taking envelopes in before the disk is full: the first failed write would end the process."""
    while True:
        free_mib = shutil.disk_usage(config.data_path).free >> 20
        low = free_mib < config.limits.disk_reserve_mib
        if low != runtime.ordering.disk_is_low:
            _log.warning("disk_low" if low else "disk_recovered", free_mib=free_mib)
        runtime.ordering.disk_is_low = low
        await asyncio.sleep(_DISK_EVERY_S)


async def _listening(starting: Coroutine[object, object, None], address: str) -> None:
    try:
        await starting
    except RuntimeError as error:
        raise StartError("E_START_PORT", f"cannot listen on {address}; is it taken?") from error


def load(config: NodeConfig) -> tuple[NodeKeys, Opened]:
    """Keys and stores of a configured node, checked.

    Raises KeyFileError, StartError, and the store's errors.
    """
    paths = config.keys
    keys = load_node_keys(
        [config.path(name) for name in paths.files], config.path(paths.tls_key), config.path(paths.tls_cert)
    )
    opened = open_node(config)
    try:
        _require_known_keys(config, keys, opened)
    except BaseException:
        opened.close()
        raise
    return keys, opened


def _require_known_keys(config: NodeConfig, keys: NodeKeys, opened: Opened) -> None:
    """Raise KeyFileError E_KEY_FILE_UNKNOWN if an open key of this node in governance is not held, or is
    another.
    """
    node = opened.applier.chain.state.node(config.node_id)
    if node is None:
        _log.warning("not_in_governance", hint="this node follows until governance adds it")
        return
    for purpose, rows in (
        (Purpose.NODE, node.node_keys),
        (Purpose.LOG, node.log_keys),
        (Purpose.COSIGNER, node.cosigner_keys),
    ):
        for row in rows:
            held = keys.find(purpose, row.key_id)
            if not row.until_height and (held is None or held.public != row.public):
                raise KeyFileError(
                    "E_KEY_FILE_UNKNOWN",
                    f"governance names the {purpose} key {row.key_id}, which is not here",
                )


def init(config_path: Path) -> str:
    """Make the data folder of the node configured in `config_path`; returns the chain id. Raises like
    `init_node`.
    """
    return init_node(load_config(config_path))


def run(config_path: Path) -> int:
    """Run the node configured in `config_path` until a signal; returns the exit code (`errors.ExitCode`)."""
    if not __debug__:
        sys.stderr.write("tiezheng runs with its assertions only: start it without python -O\n")
        return ExitCode.USAGE
    try:
        config = load_config(config_path)
        telemetry.set_up(config.telemetry.level, config.telemetry.style, config.node_id)
        keys, opened = load(config)
    except (NodeError, LedgerError) as error:
        _log.error("not_started", code=error.code, reason=error.message)
        return _code_of(error)
    return asyncio.run(_run_until_signal(config, keys, opened))


async def _run_until_signal(config: NodeConfig, keys: NodeKeys, opened: Opened) -> int:
    service = NodeService(config, keys, opened, _die)
    loop = asyncio.get_running_loop()

    def stop() -> None:
        service.ask_to_stop()
        timer = threading.Timer(config.stop_max_s, os._exit, (ExitCode.FAILURE,))
        timer.daemon = True
        timer.start()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        with NativeWords(Refusals(service.view.stats(), time.monotonic)):
            await service.run()
    except Exception as error:  # noqa: BLE001 - told below, and the process ends with its code
        return _tell_end(error)
    return ExitCode.HALTED if service.view.halted else ExitCode.OK


def _tell_end(error: BaseException) -> ExitCode:
    """One line about what ended the node; an error of ours by its code, anything else with its trace."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, NodeError | LedgerError):
        _log.error("ended", code=error.code, reason=error.message)
    else:
        _log.error("ended", code="E_TASK_DIED", reason=str(error), exc_info=error)
    return _code_of(error)


def _code_of(error: BaseException) -> ExitCode:
    """How a process that ends with this error ends."""
    if isinstance(error, StoreFatalError):
        return ExitCode.DISK_FAILED
    if isinstance(error, StoreDamagedError) and not isinstance(error, DerivedDamagedError):
        return ExitCode.HALTED
    if isinstance(error, ConfigError | KeyFileError):
        return ExitCode.USAGE
    return ExitCode.FAILURE


def _die(error: BaseException) -> None:
    """End the process now, from any thread: what is on the disk is not known, so nothing more may be said."""
    code = _code_of(error)
    _log.error(
        "died", code=getattr(error, "code", type(error).__name__), reason=str(error), exit_code=int(code)
    )
    sys.stdout.flush()
    os._exit(code)
