"""Every door of a running development network, for those who come with bad intentions: raw HTTP, raw gRPC, strangers.

Why: what a hostile caller sees is only seen on the wire, so nothing here uses the product's clients. Certificates are made
by the network's own authority where a test needs one that looks right and is not pinned.

Every wait has a limit.
"""

import asyncio
import contextlib
import re
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ledger.votes import NONCE_BYTES, Hello, encode_hello
from node import wire
from node.doors import channel_credentials, channel_options
from node.keys import SigningKey, TlsIdentity, load_key, load_tls
from node.tls_certs import TlsAuthority, new_authority, new_identity, pem_to_der
from scripts import devnet, processes
from scripts.devfolder import DevNetwork

PEER, SUBMIT, READ, READ_HTTP, OPS = range(5)
"""Doors of a node, as offsets from its first port."""
GATEWAY_API, GATEWAY_OPS = 80, 84
_WAIT_S = 10.0
_HELLO = {
    "Control": wire.encode_control_hello,
    "Data": wire.encode_data_hello,
    "Attest": wire.encode_attest_hello,
}


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back over a raw connection; `code` is the stable one in its body, "" when there is none."""

    status: int
    code: str
    raw: bytes


def http(port: int, data: bytes, *, timeout_s: float = _WAIT_S) -> HttpAnswer:
    """Send bytes to a listener and read one answer, or what there is when it closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection:
        with contextlib.suppress(ConnectionError):  # refused meanwhile; the answer may be there all the same
            connection.sendall(data)
        got = b""
        while not _is_whole(got):
            try:
                part = connection.recv(65_536)
            except ConnectionError:
                break
            if not part:
                break
            got += part
    found = re.search(rb'"code": ?"(E_[A-Z0-9_]+)"', got)
    status = re.match(rb"HTTP/\S+ (\d{3})", got)
    return HttpAnswer(int(status[1]) if status else 0, found[1].decode() if found else "", got)


def _is_whole(got: bytes) -> bool:
    head, end, body = got.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    return bool(end) and length is not None and len(body) >= int(length[1])


def call(method: str, path: str, *fields: str, key: str = "", body: bytes = b"") -> bytes:
    """The bytes of an HTTP request; `fields` are header lines, sent as Latin-1."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *fields]
    if key:
        lines.append(f"Authorization: Bearer {key}")
    if body and not any(line.lower().startswith(("content-length", "transfer-enc")) for line in lines):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class Doors:
    """The doors of one network and the identities that are known in it."""

    def __init__(self, network: DevNetwork) -> None:
        """Read what a member, or a thief, would have."""
        self.network = network
        self.names = [place.name for place in network.nodes]
        keys = network.gateway_config.parent / "keys"
        self.submitter: SigningKey = load_key(keys / "submitter.key")
        self.gateway = load_tls(keys / "tls.key", keys / "tls.crt")
        now_s = int(time.time())
        authority = _authority(network.folder / "ca")
        self.unpinned = {name: new_identity(authority, name, now_s, 1) for name in ("gateway-1", "market-1")}
        foreign = new_authority("somebody", now_s, 1)
        self.foreign = {name: new_identity(foreign, name, now_s, 1) for name in ("gateway-1", "market-1")}

    def port(self, name: str, door: int) -> int:
        """The port of a node's door."""
        return self.network.port_base + 10 * self.names.index(name) + door

    def identity(self, name: str) -> TlsIdentity:
        """A node's own identity, as a thief of its keys has it."""
        keys = self.network.node(name).data / "keys"
        return load_tls(keys / "tls.key", keys / "tls.crt")

    def channel(
        self, name: str, door: int, identity: TlsIdentity | None, window_bytes: int = 0
    ) -> grpc.aio.Channel:
        """A connection to a node's door; with `window_bytes` it takes in no more than that before it reads."""
        pin = pem_to_der((self.network.node(name).data / "keys/tls.crt").read_bytes())
        narrow = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", window_bytes)]
        return grpc.aio.secure_channel(
            f"127.0.0.1:{self.port(name, door)}",
            channel_credentials([pin], identity),
            options=[*channel_options(64 << 20, name), *(narrow if window_bytes else [])],
        )

    def hello(self, kind: str, sender: str, receiver: str, chain_id: str = "") -> bytes:
        """The first frame of a peer stream, with an instance that nobody has."""
        chain_id = chain_id or self.network.chain_id
        return _HELLO[kind](encode_hello(Hello(chain_id, sender, receiver, bytes(16), bytes(NONCE_BYTES))))

    async def peer_end(self, to: str, kind: str, identity: TlsIdentity | None, *frames: bytes) -> str:
        """Open a peer stream, write frames, and say how it ended: status and details."""
        async with self.channel(to, PEER, identity) as channel:
            method = channel.stream_stream if kind == "Attest" else channel.stream_unary
            stream: Any = method(f"/tiezheng.peer.v1.Peer/{kind}")(timeout=_WAIT_S)
            return await _end(stream, frames)

    async def submit_end(self, to: str, identity: TlsIdentity | None, *frames: bytes) -> str:
        """Open a submission stream, write frames, and say how it ended."""
        async with self.channel(to, SUBMIT, identity) as channel:
            stream: Any = channel.stream_stream("/tiezheng.submit.v1.Submit/Submit")(timeout=_WAIT_S)
            return await _end(stream, frames)


async def _end(stream: Any, frames: tuple[bytes, ...]) -> str:
    try:
        for frame in frames:
            await stream.write(frame)
        await stream.done_writing()
    except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
        pass  # it ended while we wrote; how is asked below
    return f"{(await stream.code()).name} {await stream.details()}"


def _authority(folder: Path) -> TlsAuthority:
    key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey), "the development authority's key"
    return TlsAuthority(x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes()), key)


def resident_mib(network: DevNetwork) -> dict[str, int]:
    """The memory of every process of the network, in MiB; each of them has to be alive."""
    found = {}
    for name in devnet.names(network):
        pid = processes.running_pid(network.pid_file(name))
        assert pid is not None, f"{name} does not run any more"
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        (kib,) = re.findall(r"VmRSS:\s+(\d+) kB", status)
        found[name] = int(kib) // 1024
    return found
