"""The operator's door: a socket for its owner only, with codes for every refusal."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from node import telemetry
from node.admin_api import SERVICE, AdminDoor
from node.errors import DoorError
from protos import admin_pb2 as pb
from protos.admin_pb2_grpc import AdminStub


class FakeNode:
    """Stands for the runtime."""

    def __init__(self) -> None:
        self.ordering = self
        self.proposals = self
        self.target: str | None = None
        self.content = b""

    def wake(self) -> None:
        """Nothing to wake."""

    def transfer(self, target: str) -> str:
        """Leads unless asked to hand over to nobody's node."""
        if target == "nobody-1":
            raise DoorError("E_TRANSFER_TARGET", "nobody-1 is no other voter")
        self.target = target
        return target or "market-1"

    def hand_in(self, content: bytes) -> "asyncio.Future[int]":
        """Applied at height 9, unless it is junk."""
        if content == b"junk":
            raise DoorError("E_PROPOSAL_FORM", "junk")
        self.content = content
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        future.set_result(9)
        return future


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path: sockets have at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="tz") as name:
        yield Path(name)


@pytest.fixture
async def door(folder: Path) -> AsyncIterator[tuple[FakeNode, Path]]:
    """An open door."""
    fake = FakeNode()
    admin = AdminDoor(fake)  # type: ignore[arg-type]
    assert await admin.start(folder / "admin.sock")
    yield fake, folder / "admin.sock"
    await admin.stop()
    telemetry.set_level("info")


async def test_the_socket_is_its_owners_alone(door: tuple[FakeNode, Path]) -> None:
    """Mode 0600."""
    assert door[1].stat().st_mode & 0o777 == 0o600


async def test_every_request_has_its_answer(door: tuple[FakeNode, Path]) -> None:
    """Hand over, order, turn up."""
    fake, path = door
    async with grpc.aio.insecure_channel(f"unix:{path}") as channel:
        stub = AdminStub(channel)
        assert (await stub.TransferLeadership(pb.TransferRequest())).leader == "market-1"
        assert fake.target == ""
        assert (await stub.Propose(pb.ProposeRequest(content=b"signed"))).height == 9
        assert fake.content == b"signed"
        assert (await stub.SetTelemetryLevel(pb.TelemetryLevelRequest(level="debug"))).level == "debug"
        assert telemetry.level() == "debug"


async def test_refusals_carry_a_stable_code(door: tuple[FakeNode, Path]) -> None:
    """In the status' details."""
    _, path = door
    async with grpc.aio.insecure_channel(f"unix:{path}") as channel:
        stub = AdminStub(channel)
        for call, code in (
            (stub.TransferLeadership(pb.TransferRequest(target="nobody-1")), "E_TRANSFER_TARGET"),
            (stub.TransferLeadership(pb.TransferRequest(target="x" * 100_000)), "E_TRANSFER_TARGET"),
            (stub.Propose(pb.ProposeRequest(content=b"junk")), "E_PROPOSAL_FORM"),
            (stub.SetTelemetryLevel(pb.TelemetryLevelRequest(level="loud")), "E_CONFIG_VALUE"),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call
            assert (caught.value.details() or "").startswith(f"{code}: ")


async def test_bytes_that_are_no_request_are_refused(door: tuple[FakeNode, Path]) -> None:
    """With a code, and without a word of our inside."""
    async with grpc.aio.insecure_channel(f"unix:{door[1]}") as channel:
        for method in ("TransferLeadership", "Propose", "SetTelemetryLevel"):
            call: Any = channel.unary_unary(f"/{SERVICE}/{method}")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call(b"\xff" * 40)
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert (caught.value.details() or "").startswith("E_WIRE_FRAME: bytes that are no ")


async def test_a_path_too_long_for_a_socket_leaves_the_door_closed(folder: Path) -> None:
    """The node works without it."""
    admin = AdminDoor(FakeNode())  # type: ignore[arg-type]
    assert not await admin.start(folder / ("x" * 120))
    await admin.stop()
