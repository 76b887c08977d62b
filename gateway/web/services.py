"""What handlers are given: use cases and settings, under one typed key of the application."""

from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from gateway.config import Limits
from gateway.domain.access import ApiKey
from gateway.domain.quota import Bucket
from gateway.metrics import Metrics
from gateway.ports import Clock, Telemetry, Trust
from gateway.usecases.collect import Collect
from gateway.usecases.retrieve import Retrieve
from gateway.usecases.waiting import Waiting


@dataclass(slots=True)
class Services:
    """Everything a handler may use. `buckets` and `bodies_bytes` are the door's own state, one owner: the event loop."""

    collect: Collect
    waiting: Waiting
    retrieve: Retrieve
    find_key: Callable[[str], ApiKey | None]
    trust: Trust
    clock: Clock
    telemetry: Telemetry
    metrics: Metrics
    limits: Limits
    institution: str
    version: str
    buckets: dict[str, Bucket] = field(default_factory=dict)
    bodies_bytes: int = 0


SERVICES: web.AppKey[Services] = web.AppKey("services", Services)
