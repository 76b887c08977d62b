"""The outgoing side: whom it dials, what it drops, and how it comes back."""

import asyncio
import time
from collections.abc import AsyncIterator
from functools import partial

import pytest
from node_cluster import free_port_base

from consensus.messages import AppendEntries, Message, TimeoutNow
from consensus.types import Entry, EntryKind, Offer
from node.attest_stream import AttestHub
from node.config import Limits
from node.inbox import Inbox
from node.peer_book import PeerBook
from node.peer_door import PeerDoor
from node.ports import NodeStats
from node.refusals import Refusals
from node.tls_certs import new_identity, pem_to_der
from node.transport import Transport

NOW_S = int(time.time())
NAMES = ("a-1", "b-1", "watch-1")
IDENTITIES = {name: new_identity(None, name, NOW_S, 1) for name in NAMES}
PINS = {name: (pem_to_der(identity.cert_pem),) for name, identity in IDENTITIES.items()}
APPEND = AppendEntries(
    "a-1", "b-1", 5, 1, 1, bytes(32), 1, (Entry(2, 5, EntryKind.NORMAL, 1, b"body", bytes(32)),)
)


class Side:
    """One node's door and transport."""

    def __init__(self, own_id: str, addresses: dict[str, str], voters: frozenset[str]) -> None:
        self.own_id = own_id
        self.book = PeerBook("test-00000000", own_id, voters, PINS)
        self.hub = AttestHub()
        self.stats = NodeStats()
        self.inbox: Inbox[Message] = Inbox(100, 1 << 20, lambda: None)
        self.down: list[str] = []
        refusals = Refusals(self.stats, time.monotonic)
        common = {
            "attest": self.hub,
            "refusals": refusals,
            "limits": Limits(),
            "identity": IDENTITIES[own_id],
        }
        self.door = PeerDoor(book=lambda: self.book, inbox=self.inbox, **common)  # type: ignore[arg-type]
        self.transport = Transport(
            book=lambda: self.book,
            addresses={name: address for name, address in addresses.items() if name != own_id},
            instance=own_id.encode().ljust(16, b"."),
            stats=self.stats,
            on_down=self.down.append,
            **common,  # type: ignore[arg-type]
        )
        self.address = addresses[own_id]
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the door and dial."""
        await self.door.start(self.address)
        self._task = asyncio.create_task(self.transport.run())

    async def stop(self) -> None:
        """Hang up and close."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        await self.door.stop()

    def link(self, name: str) -> tuple[bool, str]:
        """How the connection to a node fares."""
        return next(
            (link.connected, link.last_error) for link in self.transport.links() if link.node_id == name
        )


async def _until(true: object, seconds: float = 8.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # type: ignore[operator]  # noqa: ASYNC110 - many things change, none of them tells
            await asyncio.sleep(0.01)


@pytest.fixture
async def sides() -> AsyncIterator[dict[str, Side]]:
    """Three nodes: two voters, one observer. Nothing runs yet."""
    base = free_port_base(3)
    addresses = {name: f"127.0.0.1:{base + 10 * at}" for at, name in enumerate(NAMES)}
    made = {name: Side(name, addresses, frozenset({"a-1", "b-1"})) for name in NAMES}
    yield made
    for side in made.values():
        await side.stop()


async def test_messages_go_over_their_own_streams(sides: dict[str, Side]) -> None:
    """Control and data arrive with the sender's identity; entries arrive as offers."""
    for side in sides.values():
        await side.start()
    await _until(lambda: sides["a-1"].link("b-1") == (True, ""))
    sides["a-1"].transport.send(TimeoutNow("a-1", "b-1", 7))
    sides["a-1"].transport.send(APPEND)
    inbox = sides["b-1"].inbox
    await _until(lambda: len(inbox) == 2)
    assert inbox.take(10) == [
        TimeoutNow("a-1", "b-1", 7),
        AppendEntries("a-1", "b-1", 5, 1, 1, bytes(32), 1, (Offer(5, b"body"),)),
    ]


def _hear(heard: list[tuple[str, str, bytes]], own: str, who: str, note: bytes) -> None:
    heard.append((own, who, note))


async def test_everybody_meets_everybody_once_for_notes(sides: dict[str, Side]) -> None:
    """Observers dial voters, voters dial each other by name, and notes go both ways."""
    heard: list[tuple[str, str, bytes]] = []
    for name, side in sides.items():
        side.hub.on_note(partial(_hear, heard, name))
        await side.start()
    await _until(lambda: all(len(side.hub.peers()) == 2 for side in sides.values()))
    for name, side in sides.items():
        for peer in side.hub.peers():
            assert side.hub.send(peer, name.encode())
    await _until(lambda: len(heard) == 6)
    assert sorted(heard) == sorted((b, a, a.encode()) for a in NAMES for b in NAMES if a != b)


async def test_what_cannot_be_sent_is_dropped(sides: dict[str, Side]) -> None:
    """Nothing waits for a peer that is away, and a stranger's name is nobody."""
    transport = sides["a-1"].transport
    for _ in range(10_000):
        transport.send(APPEND)
    transport.send(TimeoutNow("a-1", "nobody-1", 7))
    link = transport._links["b-1"]
    assert (len(link.data), len(link.control)) == (0, 0)


async def test_a_peer_that_comes_back_is_found_again(sides: dict[str, Side]) -> None:
    """Its absence is told by a code, its end of streaming to consensus, and its return takes about a
    second.
    """
    for side in sides.values():
        await side.start()
    await _until(lambda: sides["a-1"].link("b-1")[0])
    await sides["b-1"].door.stop()
    await _until(lambda: not sides["a-1"].link("b-1")[0])
    assert sides["a-1"].link("b-1")[1].startswith("E_PEER_")
    await _until(lambda: "b-1" in sides["a-1"].down)
    await sides["b-1"].door.start(sides["b-1"].address)
    await _until(lambda: sides["a-1"].link("b-1") == (True, ""))


async def test_a_server_with_another_certificate_is_not_believed(sides: dict[str, Side]) -> None:
    """Whoever listens at the address must show the pinned certificate."""
    a = sides["a-1"]
    other = pem_to_der(new_identity(None, "b-1", NOW_S, 1).cert_pem)
    a.book = PeerBook(a.book.chain_id, "a-1", a.book.voters, {**PINS, "b-1": (other,)})
    await sides["b-1"].start()
    await a.start()
    await _until(lambda: a.link("b-1")[1] in {"E_PEER_TLS", "E_PEER_UNREACHABLE"})
    await asyncio.sleep(0.2)
    assert not a.link("b-1")[0]


async def test_a_changed_book_is_followed_at_once(sides: dict[str, Side]) -> None:
    """A node that stops voting no longer speaks about ordering."""
    for side in sides.values():
        await side.start()
    a = sides["a-1"]
    await _until(lambda: a.link("b-1")[0])
    a.book = PeerBook(a.book.chain_id, "a-1", frozenset({"a-1"}), PINS)
    a.transport.book_changed()
    await _until(lambda: not a.transport._links["b-1"].control.is_open)
    assert a.link("b-1") == (True, ""), "not wanted is not an error"
