"""A connection is shut by the address of its far end, and no other."""

import socket
from collections.abc import Iterator

import pytest

from node.cut import cut, host_and_port


@pytest.fixture
def pairs() -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    """Two connections between this process and itself: (near, far) of each."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        made = []
        for _ in range(2):
            far = socket.create_connection(listening.getsockname())
            made.append((listening.accept()[0], far))
        yield made
        for near, far in made:
            near.close()
            far.close()


def test_exactly_the_named_connection_ends(pairs: list[tuple[socket.socket, socket.socket]]) -> None:
    """Its far side reads an end of file; the other connection works on."""
    (_, first), (near, second) = pairs
    host, port = first.getsockname()
    assert cut(f"ipv4:{host}:{port}")
    assert first.recv(1) == b""
    near.sendall(b"x")
    assert second.recv(1) == b"x"


def test_an_ipv4_caller_of_an_ipv6_listener_is_found() -> None:
    """The kernel shows its address in IPv6's clothes, gRPC does not."""
    try:
        listening = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    except OSError:
        pytest.skip("no IPv6 here")
    with listening, socket.create_connection(("127.0.0.1", listening.getsockname()[1])) as far:
        near, _ = listening.accept()
        with near:
            assert cut(f"ipv4:127.0.0.1:{far.getsockname()[1]}")
            assert far.recv(1) == b""


@pytest.mark.parametrize("peer", ["ipv4:127.0.0.1:1", "unix:", "unix:/run/admin.sock", "", "ipv4:", "x:1:2"])
def test_what_is_not_there_is_not_cut(peer: str) -> None:
    """Nor anything else in its place."""
    assert not cut(peer)


@pytest.mark.parametrize(
    ("peer", "where"),
    [
        ("ipv4:127.0.0.1:55264", ("127.0.0.1", 55264)),
        ("ipv6:%5B::1%5D:7", ("::1", 7)),
        ("ipv6:[fe80::1%eth0]:7", ("fe80::1", 7)),
        ("unix:/x:1", None),
        ("ipv4:127.0.0.1", None),
        ("ipv4:127.0.0.1:x", None),
    ],
)
def test_grpc_s_spellings_are_read(peer: str, where: tuple[str, int] | None) -> None:
    """Percent-encoded brackets and zones included."""
    assert host_and_port(peer) == where
