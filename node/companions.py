"""Everything that lives beside the core: the attestor, the observer, the read doors; made here, started by
`service`.

Why a list of its own: the core knows nothing of who watches it, and whoever reads `service` should see one
line for all of them. The order of the list is the order of starting, and its reverse that of stopping.

Rules kept here
- The doors share one reader, one standing and one bell, so three places never show three truths.
- An answer that does not check is told and counted. If it is the chain store that is damaged, the node
  halts: it must not vote or sign any more. If it is what can be derived again, the next start makes it
  anew.

Refuses: being asked by the core for anything.
"""

import asyncio
import shutil
from collections.abc import Callable, Sequence

from cryptography import x509

from ledger.errors import StoreError
from ledger.store_prepare import condemn
from node import standing, telemetry
from node.attest_net import Attestor
from node.bell import Bell
from node.errors import StartError
from node.findings import Seen
from node.health import Vitals
from node.http_door import HttpDoor
from node.metrics import NodeMetrics, folder_bytes
from node.observer import Observer
from node.ops_http import OpsHttp
from node.ports import Companion, Parts
from node.read_api import ReadApi, ReadDoor
from node.read_http import ReadHttp
from node.reader import Reader
from node.start import CHAIN, DERIVED

_log = telemetry.get("companions")


def build(parts: Parts) -> Sequence[Companion]:
    """Return the companions of a node in the order in which they start."""
    core, config = parts.core, parts.config
    metrics = NodeMetrics()
    attestor = Attestor(parts, metrics)
    observer = Observer(parts, attestor, metrics)

    core.show_signed(lambda node_id: _signed_size(attestor.seen(), node_id))

    def now() -> standing.Standing:
        return standing.take(core, attestor, observer.following())

    def vitals() -> Vitals:
        return Vitals(core.stats().loop_lag_s, shutil.disk_usage(config.data_path).free)

    def sizes() -> dict[str, int]:
        found = {name: folder_bytes(config.data_path / name) for name in (CHAIN, DERIVED)}
        return {**found, "free": shutil.disk_usage(config.data_path).free}

    metrics.show(now, core.stats, sizes, _certificate_ends(parts))
    bell = Bell()
    core.on_applied(lambda _: bell.ring())
    attestor.on_change(bell.ring)
    reader = Reader(core, _damaged(parts, metrics))
    doors = config.doors
    built: list[Companion] = [attestor, observer]
    if doors.read:
        api = ReadApi(core, reader, attestor, now, bell)
        built.append(_Door(ReadDoor(api, parts.keys.tls, config.limits, doors.read), doors.read))
    if doors.read_http:
        built.append(_Door(ReadHttp(core, reader, attestor, now).door(doors.read_http), doors.read_http))
    if doors.ops:
        built.append(_Door(OpsHttp(now, vitals, metrics).door(doors.ops), doors.ops))
    return built


class _Door:
    """A listener as a companion: it works by itself once it is started."""

    def __init__(self, door: ReadDoor | HttpDoor, address: str) -> None:
        self._door = door
        self._address = address

    async def start(self) -> None:
        """Listen. Raises StartError E_START_PORT."""
        try:
            await self._door.start()
        except (OSError, RuntimeError) as error:
            raise StartError("E_START_PORT", f"cannot listen on {self._address}; is it taken?") from error

    async def run(self) -> None:
        """The listener's tasks are its server's."""
        await asyncio.Event().wait()

    async def stop(self) -> None:
        """Stop listening."""
        await self._door.stop()


def _damaged(parts: Parts, metrics: NodeMetrics) -> Callable[[str, bool], None]:
    """What happens when an answer of the reader does not check."""

    def tell(words: str, chain: bool) -> None:  # noqa: FBT001 - the reader's callback
        metrics.verify_failed("E_READ_DAMAGED")
        _log.error("damaged", what=words, store=CHAIN if chain else DERIVED)
        if chain:
            parts.core.halt(f"the chain store is damaged: {words}", words.encode())
            return
        try:
            condemn(parts.config.data_path / DERIVED)
        except StoreError as error:
            _log.error("not_condemned", code=error.code, reason=error.message)

    return tell


def _certificate_ends(parts: Parts) -> dict[str, int]:
    """When this node's own certificate ends, for the alarm before it does."""
    cert = x509.load_pem_x509_certificate(parts.keys.tls.cert_pem)
    return {"tls": int(cert.not_valid_after_utc.timestamp())}


def _signed_size(seen: Sequence[Seen], node_id: str) -> int:
    """The newest size that a node has signed; 0 for none."""
    return max((row.size for row in seen if row.signer.node_id == node_id), default=0)
