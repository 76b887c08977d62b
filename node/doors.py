"""What the gRPC doors share: options, credentials by pinned certificates, and who is on the other side.

Why: a certificate is believed here because governance pins it, byte for byte, and for no other reason: not
its issuer, not its name, not its dates alone. TLS does the first check (the pinned certificates are the trust
roots), and the handler does the second (`peer_der` against the pins of this moment), because a TLS root may
also have issued certificates to others.

Rules kept here
- Message sizes, streams, metadata and keepalive are limited explicitly on both sides; so is the number of
  connections of a door, handshakes included, since each one costs a descriptor. Nothing comes compressed: a
  few bytes would unfold to the largest message.
- Server credentials are dynamic: pins follow governance without a restart.
- Methods are registered with raw bytes; what the bytes mean is decided by strict readers of our own.

Source: the gRPC core channel arguments and keepalive documentation. Refuses: plain-text doors, system trust
roots.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import DecodeError
from google.protobuf.message import Message as Proto

from node.errors import WireError
from node.keys import TlsIdentity
from node.tls_certs import der_to_pem, pem_to_der

_METADATA_MAX_BYTES = 8 * 1024
_KEEPALIVE_MS = 10_000
_KEEPALIVE_TIMEOUT_MS = 5_000
_STREAMS_MAX = 256
CONNECTIONS_MAX = 512
"""Open connections of one door; `service` makes sure that the process may have so many descriptors."""
_ONLY_IDENTITY = 1  # the bit set of compressions that are understood

Option = tuple[str, int | str]
P = TypeVar("P", bound=Proto)


def server_options(message_max_bytes: int, window_bytes: int = 0) -> Sequence[Option]:
    """Options of a door that accepts messages of at most so many bytes.

    With `window_bytes` gRPC takes in about so much of a stream ahead of its handler, whatever the bandwidth;
    0 lets it guess, to many times the largest message: for doors whose callers are few and known.
    """
    fixed = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", window_bytes))
    return (
        *(fixed if window_bytes else ()),
        ("grpc.max_receive_message_length", message_max_bytes),
        ("grpc.max_send_message_length", message_max_bytes),
        ("grpc.max_metadata_size", _METADATA_MAX_BYTES),
        ("grpc.max_concurrent_streams", _STREAMS_MAX),
        ("grpc.max_allowed_incoming_connections", CONNECTIONS_MAX),
        ("grpc.compression_enabled_algorithms_bitset", _ONLY_IDENTITY),
        ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", _KEEPALIVE_MS // 2),
        ("grpc.http2.max_ping_strikes", 3),
        ("grpc.so_reuseport", 0),  # a second process on the same port is an error, not a sharer
        ("grpc.server_handshake_timeout_ms", 10_000),
    )


def channel_options(message_max_bytes: int, target_name: str) -> Sequence[Option]:
    """Options of a connection to the node whose certificate carries `target_name`."""
    return (
        ("grpc.max_receive_message_length", message_max_bytes),
        ("grpc.max_send_message_length", message_max_bytes),
        ("grpc.max_metadata_size", _METADATA_MAX_BYTES),
        ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.ssl_target_name_override", target_name),
        ("grpc.use_local_subchannel_pool", 1),  # one connection per channel: votes never wait behind blocks
        ("grpc.enable_http_proxy", 0),
        ("grpc.enable_retries", 0),  # repeating is consensus' business
    )


def mutual_server_credentials(
    identity: TlsIdentity, pins: Callable[[], Iterable[bytes]]
) -> grpc.ServerCredentials:
    """Credentials of a door that only holders of a certificate (DER) among `pins` get through.

    `pins` is asked at every handshake, on a thread of gRPC's: it must only read a value that the loop
    replaces whole.
    """
    state: dict[str, frozenset[bytes]] = {}

    def configuration() -> grpc.ServerCertificateConfiguration:
        current = frozenset(pins())
        state["pins"] = current
        # Without any pin nobody may come in: our own certificate as the only root admits ourselves at most.
        roots = b"".join(map(der_to_pem, sorted(current))) or identity.cert_pem
        return grpc.ssl_server_certificate_configuration(
            [(identity.key_pem, identity.cert_pem)], root_certificates=roots
        )

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        return None if frozenset(pins()) == state["pins"] else configuration()

    return grpc.dynamic_ssl_server_credentials(
        configuration(),
        fetch,  # type: ignore[arg-type]  # None means "unchanged", which the stubs do not know
        require_client_authentication=True,
    )


def plain_server_credentials(identity: TlsIdentity) -> grpc.ServerCredentials:
    """Credentials of a door that anybody may call: TLS on the server's side only."""
    return grpc.ssl_server_credentials([(identity.key_pem, identity.cert_pem)])


def channel_credentials(pins: Iterable[bytes], identity: TlsIdentity | None) -> grpc.ChannelCredentials:
    """Credentials for calling a node that must show one of the certificates (DER) in `pins`."""
    roots = b"".join(map(der_to_pem, pins))
    assert roots, "calling somebody whose certificate is not known"
    if identity is None:
        return grpc.ssl_channel_credentials(roots)
    return grpc.ssl_channel_credentials(roots, identity.key_pem, identity.cert_pem)


def parse(kind: type[P], frame: bytes) -> P:
    """Return the message of `kind` in a frame. Raises WireError E_WIRE_FRAME for bytes that are none."""
    try:
        return kind.FromString(frame)
    except DecodeError as error:
        raise WireError("E_WIRE_FRAME", f"bytes that are no {kind.DESCRIPTOR.name}") from error


def peer_der(context: grpc.aio.ServicerContext[Any, Any]) -> bytes | None:
    """The exact certificate (DER) that the other side has shown, or None."""
    shown = list(context.auth_context().get("x509_pem_cert", []))
    try:
        return pem_to_der(shown[0]) if shown else None
    except ValueError:
        return None


def peer_address(context: grpc.aio.ServicerContext[Any, Any]) -> str:
    """The other side's network address as gRPC spells it, cut to a length fit for telemetry."""
    return str(context.peer())[:64]
