"""What gRPC's native code writes to standard error, turned into telemetry: counted, and told once in a while.

Why: that a handshake was refused (no certificate, a foreign one, no TLS at all) is known to gRPC's core alone,
which writes a line for each. A stranger provokes thousands in a second: the lines would fill the disk, and
without them nobody would notice a partner who comes with the wrong certificate. So descriptor 2 becomes a
pipe that the event loop reads.

Rules kept here
- A refused handshake is noted as E_DOOR_TLS with OpenSSL's name for the reason. Any other line of gRPC is
  told by its place in gRPC's source, once in a while; its words may be a stranger's.
- Whoever writes is never held up: what the pipe cannot take is lost. Lines are bounded.
- Python's own words (`sys.stderr`) go where they went before, and so does every line that is not gRPC's.

Source: the abseil logging library's line prefix; BoringSSL's names of reasons.
Refuses: hiding crashes on purpose. The last line of native code that aborts may stay in the pipe; a core dump
has it.
"""

import asyncio
import os
import re
import sys
from types import TracebackType
from typing import Self, TextIO

from node import telemetry
from node.refusals import Refusals

_STANDARD_ERROR = 2
_READ_BYTES = 65_536
_LINE_MAX_BYTES = 4_096
_GRPC = re.compile(rb"[IWEF]\d{4} [0-9:.]+ +\d+ ([a-z0-9_.]{1,60}:\d{1,6})\] (.*)", re.DOTALL)
_REASON = re.compile(rb"Handshake failed .*?OPENSSL_internal:([A-Z0-9_]{1,60})")
_EVERY_S = 10.0
_PLACES_MAX = 256

_log = telemetry.get("native_words")


class NativeWords:
    """Holds descriptor 2 while it is entered. Owned by the event loop's thread."""

    def __init__(self, refusals: Refusals) -> None:
        """Refused handshakes are noted with `refusals`."""
        self._refusals = refusals
        self._kept = self._reading = -1
        self._python: TextIO | None = None
        self._half = b""
        self._told: dict[str, tuple[float, int]] = {}  # place -> when, how often since

    def __enter__(self) -> Self:
        """Take descriptor 2. Needs a running event loop."""
        self._kept = os.dup(_STANDARD_ERROR)
        self._reading, writing = os.pipe()
        for end in (self._reading, writing):
            os.set_blocking(end, False)
        self._python, sys.stderr = sys.stderr, os.fdopen(os.dup(self._kept), "w", buffering=1)
        os.dup2(writing, _STANDARD_ERROR)
        os.close(writing)
        asyncio.get_running_loop().add_reader(self._reading, self._read)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give descriptor 2 back, with what is still in the pipe read."""
        asyncio.get_running_loop().remove_reader(self._reading)
        os.dup2(self._kept, _STANDARD_ERROR)
        self._read()
        assert self._python is not None, "it was entered"
        sys.stderr.close()
        sys.stderr = self._python
        os.close(self._reading)
        os.close(self._kept)

    def _read(self) -> None:
        try:
            data = self._half + os.read(self._reading, _READ_BYTES)
        except BlockingIOError:
            return
        *lines, self._half = data.split(b"\n")
        self._half = self._half[:_LINE_MAX_BYTES]
        for line in lines:
            self._line(line)

    def _line(self, line: bytes) -> None:
        found = _GRPC.match(line)
        if found is None:
            os.write(self._kept, line + b"\n")
            return
        reason = _REASON.match(found[2])
        if reason is not None:
            name = reason[1].decode()  # told for each reason: scanners must not hide a partner's mistake
            self._refusals.note("E_DOOR_TLS", f"a stranger ({name})", name)
        else:
            self._tell(found[1].decode())

    def _tell(self, place: str) -> None:
        now = asyncio.get_running_loop().time()
        at, since = self._told.get(place, (-_EVERY_S, 0))
        if now - at < _EVERY_S:
            self._told[place] = at, since + 1
            return
        if len(self._told) >= _PLACES_MAX:
            self._told.clear()
        self._told[place] = now, 0
        _log.warning("library_complained", library="grpc", words=place, untold=since)
