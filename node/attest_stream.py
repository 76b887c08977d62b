"""Signed notes between nodes: the Attest streams of both directions behind one `AttestChannel`.

Why: observers dial voters and are not dialled, voters dial each other, and the cosigner should not care who
dialled whom. A session is a stream in either direction; a note to a peer goes over its newest session.

Rules kept here
- Best effort: a full session drops its oldest notes, a new session starts empty and is announced (`on_peer`).
- A note is opaque here; the cosigner parses and verifies it. Its size is limited by the wire codec.

Refuses: storing notes, retrying, judging.
"""

from collections.abc import Callable, Sequence

from node.outbox import Outbox
from node.wire import encode_note

_NOTES_MAX = 64
_BYTES_MAX = 1024 * 1024


class AttestHub:
    """Implements `ports.AttestChannel`. Owned by the loop's thread."""

    def __init__(self) -> None:
        """No sessions yet."""
        self._sessions: dict[str, list[Outbox]] = {}
        self._on_note: list[Callable[[str, bytes], None]] = []
        self._on_peer: list[Callable[[str], None]] = []

    def peers(self) -> Sequence[str]:
        """Node ids with an open session."""
        return sorted(self._sessions)

    def send(self, node_id: str, note: bytes) -> bool:
        """Queue a note for a peer; False when there is no session."""
        sessions = self._sessions.get(node_id)
        return sessions[-1].put(encode_note(note)) if sessions else False

    def on_note(self, callback: Callable[[str, bytes], None]) -> None:
        """Call `callback(node_id, note)` for each note received."""
        self._on_note.append(callback)

    def on_peer(self, callback: Callable[[str], None]) -> None:
        """Call `callback(node_id)` for each session that begins."""
        self._on_peer.append(callback)

    def new_outbox(self) -> Outbox:
        """A box for a session that is about to begin."""
        return Outbox(_NOTES_MAX, _BYTES_MAX)

    def opened(self, node_id: str, box: Outbox) -> None:
        """A session with an authenticated peer begins."""
        box.open()
        self._sessions.setdefault(node_id, []).append(box)
        for callback in self._on_peer:
            callback(node_id)

    def closed(self, node_id: str, box: Outbox) -> None:
        """A session is over; an unknown one is none of our concern."""
        box.close()
        sessions = self._sessions.get(node_id, [])
        if box in sessions:
            sessions.remove(box)
        if not sessions:
            self._sessions.pop(node_id, None)

    def received(self, node_id: str, note: bytes) -> None:
        """A note came in from an authenticated peer."""
        for callback in self._on_note:
            callback(node_id, note)
