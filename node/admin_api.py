"""The operator's door: a unix socket of mode 0600 in the data folder.

Why: handing leadership over, ordering a signed proposal and turning the telemetry up are for whoever runs
this node, and the file system already knows who that is. No network port, no password.

Rules kept here
- The socket lies in the data folder (mode 0700) and has mode 0600 itself.
- Every wait has a limit; every refusal a stable code in the status' details, bytes that are no request
  included.
- A path longer than the kernel takes (107 bytes) leaves the door closed, with a warning: the node works
  without it.

Refuses: being reachable from another machine.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NoReturn

import grpc
import grpc.aio
from google.protobuf.message import Message as Proto

from node import telemetry
from node.config import NODE_ID
from node.doors import P, parse, server_options
from node.errors import ConfigError, DoorError, NodeError, WireError
from node.runtime import Runtime
from protos import admin_pb2 as pb

SERVICE = "tiezheng.admin.v1.Admin"
PATH_MAX_BYTES = 100
_MESSAGE_MAX_BYTES = 1024 * 1024
_PROPOSE_WAIT_S = 30.0
_CALLS_MAX = 16

_log = telemetry.get("admin_api")
Context = grpc.aio.ServicerContext[Any, Any]


class AdminDoor:
    """The server side for the operator. Owned by the loop's thread."""

    def __init__(self, runtime: Runtime) -> None:
        """Nothing is opened yet."""
        self._runtime = runtime
        self._server: grpc.aio.Server | None = None

    async def start(self, path: Path) -> bool:
        """Listen on the socket; False when its path is too long for one."""
        if len(os.fsencode(path)) > PATH_MAX_BYTES:
            _log.warning("admin_closed", code="E_ADMIN_PATH", path_bytes=len(os.fsencode(path)))
            return False
        options = server_options(_MESSAGE_MAX_BYTES, _MESSAGE_MAX_BYTES)
        server = grpc.aio.server(options=options, maximum_concurrent_rpcs=_CALLS_MAX)
        handlers = {
            "TransferLeadership": _method(pb.TransferRequest, self._transfer),
            "Propose": _method(pb.ProposeRequest, self._propose),
            "SetTelemetryLevel": _method(pb.TelemetryLevelRequest, self._set_level),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        server.add_insecure_port(f"unix:{path}")
        await server.start()
        os.chmod(path, 0o600)  # noqa: PTH101 - one quick call, in an async function
        self._server = server
        return True

    async def stop(self) -> None:
        """Close the socket."""
        if self._server is not None:
            await self._server.stop(grace=None)
            self._server = None

    async def _transfer(self, request: pb.TransferRequest, context: Context) -> pb.TransferReply:
        try:
            if request.target and not NODE_ID.fullmatch(request.target):
                raise DoorError("E_TRANSFER_TARGET", "that is no node id")
            return pb.TransferReply(leader=self._runtime.transfer(request.target))
        except DoorError as error:
            await _refuse(context, grpc.StatusCode.FAILED_PRECONDITION, error)

    async def _propose(self, request: pb.ProposeRequest, context: Context) -> pb.ProposeReply:
        try:
            waiting = self._runtime.ordering.proposals.hand_in(request.content)
            self._runtime.wake()
            async with asyncio.timeout(_PROPOSE_WAIT_S):
                return pb.ProposeReply(height=await waiting)
        except DoorError as error:
            await _refuse(context, grpc.StatusCode.FAILED_PRECONDITION, error)
        except TimeoutError:
            unknown = DoorError(
                "E_OUTCOME_UNKNOWN", "not applied in time; look at the chain before repeating"
            )
            await _refuse(context, grpc.StatusCode.DEADLINE_EXCEEDED, unknown)

    async def _set_level(self, request: pb.TelemetryLevelRequest, context: Context) -> pb.TelemetryLevelReply:
        try:
            telemetry.set_level(request.level)
        except ConfigError as error:
            await _refuse(context, grpc.StatusCode.INVALID_ARGUMENT, DoorError(error.code, error.message))
        return pb.TelemetryLevelReply(level=telemetry.level())


def _method(
    kind: type[P], work: Callable[[P, Context], Awaitable[Proto]]
) -> "grpc.RpcMethodHandler[bytes, bytes]":
    """The handler of a method with requests of `kind`."""

    async def serve(frame: bytes, context: Context) -> bytes:
        try:
            request = parse(kind, frame)
        except WireError as error:
            await _refuse(context, grpc.StatusCode.INVALID_ARGUMENT, error)
        return (await work(request, context)).SerializeToString()

    return grpc.unary_unary_rpc_method_handler(serve)


async def _refuse(context: Context, status: grpc.StatusCode, error: NodeError) -> NoReturn:
    _log.warning("admin_refused", code=error.code, detail=error.message)
    await context.abort(status, str(error))
    raise AssertionError("abort does not return")
