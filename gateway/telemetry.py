"""The gateway's words about itself: structured lines on standard output, with stable event names.

Why: an operator greps for an event's name and alarms on codes; the words may be improved any day.

Rules kept here:
- Never references, commitments, keys, payloads or callers' addresses; ids of our own, counts, codes and node ids are
  enough. An exception is written as its type and places in the program, never with its message: messages repeat values.
- Values are cut to a fixed length and control characters escaped (log injection).
- A library that complains is told of once in `LIBRARY_EVERY_S` for each kind of complaint: a stranger who provokes it must
  not fill the disk.
- UTC with milliseconds; one line is one object (style "json"), or a line for people (style "text").

Refuses: files and rotation. Standard output belongs to whoever started the process.
"""

import logging
import sys
import time
import traceback
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import structlog

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
VALUE_MAX: Final = 512
LIBRARY_EVERY_S: Final = 10.0
_TOLD_MAX: Final = 256
_CONTROLS: Final = {code: f"\\x{code:02x}" for code in (*range(32), 127)}


def set_up(level: str, style: str, stream: TextIO | None = None) -> Any:
    """Configure structlog for this process and return its logger. `stream` defaults to standard output."""
    threshold = LEVELS[level]

    def below_threshold(_: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if LEVELS.get(method, LEVELS["error"]) < threshold:
            raise structlog.DropEvent
        return event

    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[
            below_threshold,
            structlog.processors.TimeStamper(fmt="%Y-%m-%dT%H:%M:%S.%fZ", utc=True, key="time"),
            structlog.processors.add_log_level,
            _bound_values,
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(file=stream or sys.stdout),
        cache_logger_on_first_use=False,
    )
    out = structlog.get_logger(program="gateway")
    logging.basicConfig(level=logging.WARNING, handlers=[_Libraries(out)], force=True)
    return out


class _Libraries(logging.Handler):
    """Says that a library complained, and about what kind of thing; its words may repeat what a caller sent."""

    def __init__(self, out: Any) -> None:
        super().__init__(logging.WARNING)
        self._out = out
        self._told: dict[tuple[str, str], tuple[float, int]] = {}  # (library, words) -> when, how often since

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line: the library, the unfilled first line of its message, the exception without its message."""
        words = str(record.msg).split("\n", 1)[0][:80]
        now = time.monotonic()
        at, since = self._told.get((record.name, words), (-LIBRARY_EVERY_S, 0))
        if now - at < LIBRARY_EVERY_S:
            self._told[record.name, words] = at, since + 1
            return
        if len(self._told) >= _TOLD_MAX:
            self._told.clear()
        self._told[record.name, words] = now, 0
        error = record.exc_info[1] if record.exc_info else None
        reason = places(error) if error is not None else ""
        self._out.warning("library_complained", library=record.name, words=words, error=reason, untold=since)


def places(error: BaseException) -> str:
    """Return an exception's type and where it came from, without its message."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    trail = " < ".join(
        f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}" for frame in reversed(frames)
    )
    return f"{type(error).__name__} at {trail}" if trail else type(error).__name__


def _bound_values(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        assert not isinstance(value, bytes), "bytes are digests or payloads, neither of which is written"
        if isinstance(value, str):
            event[key] = value[:VALUE_MAX].translate(_CONTROLS)
    return event
