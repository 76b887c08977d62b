"""A host for consensus tests: payloads of a few readable bytes instead of blocks.

A payload is one letter (N normal, E empty, G governance), the stamp as eight bytes, and the rest: free text for N,
the reason for E, the new voters (comma-separated) for G. `X...` is no payload at all; a normal payload whose text
begins with `bad` fails the host's check. Names are resolved through a module argument, so that the same host
serves a patched copy of the core.

Refuses: to be realistic about cost; hashing is real (SHA-256), because the hash chain is what oracles compare.
"""

from __future__ import annotations

import struct
from hashlib import sha256
from typing import Any

STAMP = struct.Struct(">q")
_HEAD = struct.Struct(">32sqq")


def normal(stamp_ms: int, text: str) -> bytes:
    """A normal payload."""
    return b"N" + STAMP.pack(stamp_ms) + text.encode()


def empty(stamp_ms: int, reason: str) -> bytes:
    """An empty payload; the reason is `term` or `era`."""
    return b"E" + STAMP.pack(stamp_ms) + reason.encode()


def governance(stamp_ms: int, voters: list[str]) -> bytes:
    """A change of voters."""
    return b"G" + STAMP.pack(stamp_ms) + ",".join(voters).encode()


def text_of(payload: bytes) -> str:
    """The readable part of a payload."""
    return payload[9:].decode()


def voters_of(payload: bytes) -> list[str]:
    """The voters a governance payload names."""
    return payload[9:].decode().split(",")


class ToyHost:
    """The three questions consensus asks; `refuse` maps a text to a refusal code, to play a host that objects."""

    def __init__(self, core: Any) -> None:
        self._core = core
        self._kinds = {
            ord("N"): core.EntryKind.NORMAL,
            ord("E"): core.EntryKind.EMPTY,
            ord("G"): core.EntryKind.GOVERNANCE,
        }
        self.refuse: dict[str, str] = {}

    def entry(self, prev_hash: bytes, index: int, term: int, payload: bytes) -> Any:
        """Parse and hash."""
        kind = self._kinds.get(payload[0]) if len(payload) >= 9 else None
        if kind is None:
            raise self._core.PayloadError("E_PAYLOAD")
        (stamp,) = STAMP.unpack_from(payload, 1)
        digest = sha256(_HEAD.pack(prev_hash, index, term) + payload).digest()
        return self._core.Entry(index, term, kind, stamp, payload, digest)

    def check(self, entry: Any, proposer: str | None) -> str | None:
        """Refuse what `refuse` names, and texts that begin with `bad`."""
        if entry.kind is self._core.EntryKind.NORMAL:
            text = text_of(entry.payload)
            if text in self.refuse:
                return self.refuse[text]
            if text.startswith("bad"):
                return "E_BAD"
        return None

    def empty(self, stamp_ms: int, *, new_term: bool) -> bytes:
        """Build an empty payload."""
        return empty(stamp_ms, "term" if new_term else "era")


def root(core: Any, stamp_ms: int = 0) -> Any:
    """The entry at index 0 that every node holds."""
    payload = empty(stamp_ms, "root")
    return core.Entry(0, 0, core.EntryKind.EMPTY, stamp_ms, payload, sha256(payload).digest())
