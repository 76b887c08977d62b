"""Connections to nodes: pinned certificates, limits, and one place that knows gRPC's options.

Why pins: a node is recognised by the exact certificate that governance names, given to the gateway as a file. Who issued
it, and what the system's trust store thinks, decides nothing. The certificate's name is the node id, so an address may
change without anybody else's certificate fitting.

Rules kept here: message size, metadata and keepalive are limited; no proxy from the environment; gRPC's own retries and
reconnect pauses are off or short, since `domain.routing` decides when to try again.

Source: the gRPC core channel arguments. Refuses: plain-text connections, system trust roots.
"""

from dataclasses import dataclass
from typing import Final

import grpc
import grpc.aio

from gateway.adapters.secret_files import TlsIdentity

MESSAGE_MAX_BYTES: Final = 6 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class NodeAddress:
    """Where a node is and which certificate (PEM) it must show. An empty address: the node has no such door."""

    node_id: str
    submit: str
    read: str
    cert_pem: bytes


def open_channel(node: NodeAddress, address: str, identity: TlsIdentity | None) -> grpc.aio.Channel:
    """Return a channel to a door of `node`; `identity` is shown where the door asks for it."""
    assert address, "this node has no such door"
    if identity is None:
        credentials = grpc.ssl_channel_credentials(node.cert_pem)
    else:
        credentials = grpc.ssl_channel_credentials(node.cert_pem, identity.key_pem, identity.cert_pem)
    options = (
        ("grpc.ssl_target_name_override", node.node_id),
        ("grpc.max_receive_message_length", MESSAGE_MAX_BYTES),
        ("grpc.max_send_message_length", MESSAGE_MAX_BYTES),
        ("grpc.max_metadata_size", 8_192),
        ("grpc.keepalive_time_ms", 10_000),
        ("grpc.keepalive_timeout_ms", 5_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.enable_http_proxy", 0),
        ("grpc.enable_retries", 0),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1_000),
    )
    return grpc.aio.secure_channel(address, credentials, options=options)
