"""The gateway's error family: what somebody else did wrong, or what we cannot do just now, with a stable code.

Why: callers script against codes, people read messages, and the HTTP answer is chosen in one place only
(`gateway.web.problems`). Nothing below `web` knows a status code.

Rules kept here:
- Every error carries `code`, matching ``E_[A-Z0-9_]+``, and `message`, plain words without any value that the caller
  sent: values may be personal data.
- Our own bugs are `assert`, never one of these.

Refuses: codes of another shape (our bug, hence an assert).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_CODE = re.compile(r"E_[A-Z0-9]+(?:_[A-Z0-9]+)*")


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with one field of a request. `path` is a JSON path such as ``items[3].commitment``."""

    path: str
    code: str
    message: str


class GatewayError(Exception):
    """Root of everything this room refuses. `code` is stable for machines, `message` is for people."""

    def __init__(self, code: str, message: str) -> None:
        """Store both parts; `code` must look like E_FIELD_TYPE."""
        assert _CODE.fullmatch(code), f"malformed error code {code!r}"
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        """Return ``E_CODE: words``."""
        return f"{self.code}: {self.message}"


class ConfigError(GatewayError):
    """A configuration, key or trust file that we do not start with."""


class RequestError(GatewayError):
    """A request that is refused as it stands; `errors` names the fields."""

    def __init__(self, code: str, message: str, errors: Sequence[FieldError] = ()) -> None:
        """Store the code, the words and the list of field errors."""
        super().__init__(code, message)
        self.errors = tuple(errors)


class AccessError(GatewayError):
    """A caller who is unknown, or known and not allowed."""


class BusyError(GatewayError):
    """A limit is reached: nothing was taken in, the same request is welcome in `retry_after_s` seconds."""

    def __init__(self, code: str, message: str, retry_after_s: float) -> None:
        """Store the code, the words and the delay to suggest."""
        super().__init__(code, message)
        self.retry_after_s = retry_after_s


class StorageError(GatewayError):
    """The database refuses a write for want of room: nothing was half done, and nothing was answered with 2xx."""


class FatalStorageError(StorageError):
    """The database is damaged, gone or failing. The process ends; a restart and a person decide."""


class LedgerUnreachableError(GatewayError):
    """No node answers just now. Never a reason to fail a record."""


class UntrustedAnswerError(GatewayError):
    """A node answered something that does not verify against our own trust file or our own records."""


class ContradictionError(GatewayError):
    """Two statements that cannot both be true and that bear the signatures our trust file demands.

    `evidence` maps a file name to the bytes that prove it.
    """

    def __init__(self, code: str, message: str, evidence: dict[str, bytes]) -> None:
        """Store the code, the words and the evidence."""
        super().__init__(code, message)
        self.evidence = evidence
