"""Ends the connection of somebody who takes nothing: the one way to get back what waits for him.

Why: an answer that gRPC has been given stays in memory until the other side takes it or the connection ends;
neither a deadline of ours nor the end of a handler changes that. A stranger who opens streams and never reads
would hold as much as he likes for as long as he likes. So his connection is shut, found by its address among
the descriptors of this process; gRPC then sees an end of file and lets everything go.

Rules kept here: only a connected internet socket whose other end has exactly this address is shut; a copy of
the descriptor is looked at and shut, so that one that is closed and given away in between is never hit.

Source: proc(5) for /proc/self/fd, shutdown(2); gRPC's naming document for the spelling of addresses.
Refuses: unix sockets, other systems than Linux (False: the caller has to wait for keepalive).
"""

import os
import socket
from pathlib import Path
from urllib.parse import unquote

_DESCRIPTORS = Path("/proc/self/fd")
_FAMILIES = (socket.AF_INET, socket.AF_INET6)


def host_and_port(peer: str) -> tuple[str, int] | None:
    """Host and port of an address as gRPC spells it (``ipv4:127.0.0.1:5``, ``ipv6:%5B::1%5D:5``), or None."""
    kind, _, rest = unquote(peer).partition(":")
    host, _, port = rest.rpartition(":")
    if kind not in ("ipv4", "ipv6") or not port.isdecimal():
        return None
    return host.strip("[]").partition("%")[0], int(port)


def cut(peer: str) -> bool:
    """Shut the connection with `peer`; whether it was found."""
    where = host_and_port(peer)
    if where is None or not _DESCRIPTORS.is_dir():
        return False
    return sum(_shut(int(entry.name), where) for entry in _DESCRIPTORS.iterdir()) > 0


def _shut(descriptor: int, where: tuple[str, int]) -> bool:
    try:
        copy = os.dup(descriptor)
    except OSError:
        return False  # it was the listing's own, or closed meanwhile
    try:
        found = socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        return False
    with found:
        try:
            if found.family not in _FAMILIES or _far_end(found) != where:
                return False
            found.shutdown(socket.SHUT_RDWR)
        except OSError:
            return False  # not connected, or not any more
    return True


def _far_end(connection: socket.socket) -> tuple[str, int]:
    """The other side's address; an IPv4 one in IPv6's clothes is spelled as gRPC spells it."""
    host, port = connection.getpeername()[:2]
    return host.removeprefix("::ffff:").partition("%")[0], port
