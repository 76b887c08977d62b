"""What the gRPC doors share: limits in numbers, and identity by exact certificates."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any

import grpc
import grpc.aio
import pytest
from node_cluster import free_port_base

from node import doors
from node.doors import (
    channel_credentials,
    channel_options,
    mutual_server_credentials,
    parse,
    peer_address,
    peer_der,
    plain_server_credentials,
    server_options,
)
from node.errors import WireError
from node.keys import TlsIdentity
from node.tls_certs import new_authority, new_identity, pem_to_der
from protos.admin_pb2 import TransferRequest

NOW_S = int(time.time())
AUTHORITY = new_authority("CA", NOW_S, 2)
SERVER = new_identity(AUTHORITY, "server-1", NOW_S, 1)
CLIENT = new_identity(AUTHORITY, "client-1", NOW_S, 1)
OTHER = new_identity(AUTHORITY, "client-2", NOW_S, 1)


class Echo:
    """A door that answers with the certificate it was shown."""

    def __init__(self, credentials: grpc.ServerCredentials, message_max: int = 1 << 16) -> None:
        self.port = free_port_base(1)
        self.server = grpc.aio.server(options=server_options(message_max))
        handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(self._who)
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("t", {"Who": handler}),))
        self.server.add_secure_port(f"127.0.0.1:{self.port}", credentials)

    async def _who(self, request: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
        assert peer_address(context).startswith("ipv4:127.0.0.1")
        return peer_der(context) or b"nobody"

    async def ask(
        self, identity: TlsIdentity | None, pin: TlsIdentity = SERVER, size: int = 1, compression: Any = None
    ) -> bytes:
        """Call it with an identity, expecting a server certificate."""
        credentials = channel_credentials([pem_to_der(pin.cert_pem)], identity)
        options = channel_options(1 << 20, "server-1")
        async with grpc.aio.secure_channel(f"127.0.0.1:{self.port}", credentials, options=options) as channel:
            call: Any = channel.unary_unary("/t/Who")
            answer: bytes = await call(bytes(size), timeout=5, compression=compression)
            return answer


@pytest.fixture
async def pinned() -> AsyncIterator[tuple[Echo, list[bytes]]]:
    """A mutual door whose pins the test may change."""
    pins = [pem_to_der(CLIENT.cert_pem)]
    echo = Echo(mutual_server_credentials(SERVER, lambda: _copy(pins)))
    await echo.server.start()
    yield echo, pins
    await echo.server.stop(None)


def _copy(pins: Iterable[bytes]) -> list[bytes]:
    return list(pins)


async def test_the_handler_sees_the_exact_certificate(pinned: tuple[Echo, list[bytes]]) -> None:
    """Byte for byte what governance pins."""
    echo, pins = pinned
    assert await echo.ask(CLIENT) == pins[0]


async def test_only_pinned_certificates_get_through(pinned: tuple[Echo, list[bytes]]) -> None:
    """Not another one of the same authority, and not nobody."""
    echo, _ = pinned
    for identity in (OTHER, None):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await echo.ask(identity)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_pins_follow_governance_without_a_restart(pinned: tuple[Echo, list[bytes]]) -> None:
    """A rotated certificate works at the next handshake; the old one no longer."""
    echo, pins = pinned
    assert await echo.ask(CLIENT)
    pins[:] = [pem_to_der(OTHER.cert_pem)]
    assert await echo.ask(OTHER) == pins[0]
    with pytest.raises(grpc.aio.AioRpcError):
        await echo.ask(CLIENT)


async def test_without_pins_nobody_comes_in(pinned: tuple[Echo, list[bytes]]) -> None:
    """An empty list is not everybody."""
    echo, pins = pinned
    pins.clear()
    with pytest.raises(grpc.aio.AioRpcError):
        await echo.ask(CLIENT)


async def test_a_client_believes_only_the_pinned_server(pinned: tuple[Echo, list[bytes]]) -> None:
    """Another certificate, even of the right name and authority, is not the node."""
    echo, _ = pinned
    twin = new_identity(AUTHORITY, "server-1", NOW_S, 1)
    with pytest.raises(grpc.aio.AioRpcError):
        await echo.ask(CLIENT, pin=twin)


async def test_messages_above_the_limit_are_refused(pinned: tuple[Echo, list[bytes]]) -> None:
    """Before they are read."""
    echo, _ = pinned
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await echo.ask(CLIENT, size=(1 << 16) + 1)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_nothing_comes_compressed(pinned: tuple[Echo, list[bytes]]) -> None:
    """A few bytes that would unfold to the largest message are refused as they are."""
    echo, _ = pinned
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await echo.ask(CLIENT, size=1 << 15, compression=grpc.Compression.Gzip)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_connections_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit they are closed at once, half-open ones included; one that ends makes room."""
    monkeypatch.setattr(doors, "CONNECTIONS_MAX", 3)
    echo = Echo(plain_server_credentials(SERVER))
    await echo.server.start()
    silent = [socket.create_connection(("127.0.0.1", echo.port)) for _ in range(3)]
    await asyncio.sleep(0.2)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await echo.ask(None)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    for one in silent:
        one.close()
    await asyncio.sleep(0.2)
    assert await echo.ask(None) == b"nobody"
    await echo.server.stop(None)


def test_a_frame_is_a_message_or_refused() -> None:
    """With a stable code; the message says which kind was expected and nothing of the bytes."""
    assert parse(TransferRequest, TransferRequest(target="x").SerializeToString()).target == "x"
    with pytest.raises(WireError, match="E_WIRE_FRAME: bytes that are no TransferRequest"):
        parse(TransferRequest, b"\xff" * 10)


async def test_the_plain_door_lets_anybody_ask() -> None:
    """TLS on the server's side only."""
    echo = Echo(plain_server_credentials(SERVER))
    await echo.server.start()
    assert await echo.ask(None) == b"nobody"
    await echo.server.stop(None)


def test_limits_are_explicit() -> None:
    """Both sides name message size, metadata and keepalive; votes do not share a connection with blocks."""
    server, client = dict(server_options(5)), dict(channel_options(5, "n"))
    assert server["grpc.max_receive_message_length"] == client["grpc.max_receive_message_length"] == 5
    assert server["grpc.max_concurrent_streams"] == 256
    assert client["grpc.use_local_subchannel_pool"] == 1
    assert client["grpc.ssl_target_name_override"] == "n"
    assert server["grpc.so_reuseport"] == 0
    assert "grpc.http2.bdp_probe" not in server
    narrow = dict(server_options(5, 1_000))
    assert (narrow["grpc.http2.bdp_probe"], narrow["grpc.http2.lookahead_bytes"]) == (0, 1_000)
