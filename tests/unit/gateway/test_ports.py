"""The adapters are what the ports ask for."""

import inspect
from typing import Any

import pytest

from gateway import ports
from gateway.adapters.clock import SystemClock
from gateway.adapters.read_client import GrpcReadDoor
from gateway.adapters.secret_files import SubmitterKey
from gateway.adapters.store import SqlStore
from gateway.adapters.submit_client import LeaderClient
from gateway.adapters.trust_file import FileTrust
from gateway.metrics import Metrics

PAIRS = [
    (ports.Clock, SystemClock),
    (ports.Meter, Metrics),
    (ports.IntakeStore, SqlStore),
    (ports.Outbox, SqlStore),
    (ports.FinalityStore, SqlStore),
    (ports.RecordReader, SqlStore),
    (ports.Ledger, LeaderClient),
    (ports.Sealer, SubmitterKey),
    (ports.ReadDoor, GrpcReadDoor),
    (ports.Trust, FileTrust),
]


@pytest.mark.parametrize(("port", "adapter"), PAIRS, ids=lambda one: one.__name__)
def test_an_adapter_has_every_method_of_its_port(port: Any, adapter: Any) -> None:
    """Same names, same parameters."""
    for name, wanted in vars(port).items():
        if name.startswith("_"):
            continue
        found = inspect.getattr_static(adapter, name)
        assert isinstance(found, property) == isinstance(wanted, property)
        if not isinstance(wanted, property):
            assert list(inspect.signature(found).parameters) == list(inspect.signature(wanted).parameters), (
                name
            )
