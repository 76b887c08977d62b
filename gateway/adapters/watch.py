"""Once a second: disk space, API keys file, event loop's lag, oldest waiting record.

Why a loop of its own: each of these changes behind the gateway's back, none of them may cost a request anything.

Rules kept here: what is found out is put where requests look (`Collect.disk_low`), and into figures; a threshold that
flaps needs twice the reserve to recover.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from gateway.adapters.api_keys import ApiKeyFile
from gateway.metrics import Metrics
from gateway.ports import Clock, Telemetry
from gateway.usecases.collect import Collect

PERIOD_S: Final = 1.0
MIB: Final = 1 << 20


class Watch:
    """The loop. Owner of nothing but its last findings."""

    def __init__(
        self,
        *,
        collect: Collect,
        keys: ApiKeyFile,
        metrics: Metrics,
        telemetry: Telemetry,
        clock: Clock,
        oldest_ms: Callable[[], Awaitable[int]],
        folder: Path,
        reserve_mib: int,
    ) -> None:
        """`folder` lies on the disk that is watched; `oldest_ms` tells when the oldest waiting record came, 0 if none."""
        self._collect = collect
        self._keys = keys
        self._metrics = metrics
        self._telemetry = telemetry
        self._clock = clock
        self._oldest_ms = oldest_ms
        self._folder = folder
        self._reserve = reserve_mib * MIB

    async def run(self) -> None:
        """Look once a second, for ever."""
        while True:
            await self.look()
            before_s = self._clock.monotonic_s()
            await asyncio.sleep(PERIOD_S)
            self._metrics.loop_lag.set(max(0.0, self._clock.monotonic_s() - before_s - PERIOD_S))

    async def look(self) -> None:
        """Look once."""
        facts = os.statvfs(self._folder)
        free = facts.f_bavail * facts.f_frsize
        self._metrics.disk_free.set(free)
        low = free < (2 * self._reserve if self._collect.disk_low else self._reserve)
        if low != self._collect.disk_low:
            self._collect.disk_low = low
            say = self._telemetry.error if low else self._telemetry.info
            say("disk_low" if low else "disk_recovered", free_mib=free // MIB)
        problem = self._keys.problem
        if self._keys.refresh():
            self._telemetry.info("api_keys_read_again")
        if self._keys.problem and self._keys.problem != problem:
            self._telemetry.error("api_keys_unusable", reason=self._keys.problem)
        self._metrics.oldest.set(await self._oldest_ms() / 1_000)
