"""The node's error family and its exit codes: what may go wrong around the ledger, each with a stable code.

Why: operators alarm on numbers and codes, not on sentences. A code, once released, keeps its meaning.

Rules kept here
- Every error carries `code` (``E_[A-Z0-9_]+``) and `message`, plain words for a person.
- Our own bugs are `assert`, never one of these.
- What the ledger or consensus refuses keeps their own classes; doors translate (`submit_api`, `admin_api`).

Refuses: codes of another shape (our bug, hence an assert).
"""

import re
from enum import IntEnum

_CODE = re.compile(r"E_[A-Z0-9]+(?:_[A-Z0-9]+)*")


class ExitCode(IntEnum):
    """How the process ends; the same numbers as the command line's table (docs/exit-codes.md)."""

    OK = 0
    FAILURE = 1  # a task died, or a start-up step failed for a reason not listed below
    USAGE = 2  # configuration or keys cannot be used
    HALTED = 14  # stopped cleanly, but in the halted state: somebody has to look
    DISK_FAILED = 15  # a write failed; nothing after it was promised


class NodeError(Exception):
    """Root of everything this room refuses. `code` is stable for machines, `message` is for people."""

    def __init__(self, code: str, message: str) -> None:
        """Store both parts; `code` must look like E_CONFIG_UNKNOWN_KEY."""
        assert _CODE.fullmatch(code), f"malformed error code {code!r}"
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        """Return ``E_CODE: words``."""
        return f"{self.code}: {self.message}"


class ConfigError(NodeError):
    """The configuration file cannot be used: unreadable, unknown key, wrong type, out of range."""


class KeyFileError(NodeError):
    """A key file is missing, malformed, too widely readable, or not the key that governance names."""


class StartError(NodeError):
    """The data folder cannot be opened as this node's: missing, foreign, of another chain, locked."""


class WireError(NodeError):
    """A peer's message that is malformed, oversized, or claims what its sender may not claim."""


class PeerRefusedError(NodeError):
    """A connection that is not from, or not to, whom it should be."""


class DoorError(NodeError):
    """A request at a door (submission, admin) that is refused before anything was done."""


class DiskError(NodeError):
    """A write failed. The process ends; nothing that depended on the write was said to anybody."""


class HaltedError(NodeError):
    """The node is halted: it answers reads and refuses everything else, with its reason in words."""


class ReadError(NodeError):
    """A question at a read door that cannot be answered: malformed, about what is not there, beyond a limit,
    or about something that this node holds damaged (E_READ_DAMAGED).
    """


class FollowError(NodeError):
    """What a node sent to an observer is not the chain, or not covered by the voters' signatures, or it
    stopped.
    """
