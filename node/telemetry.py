"""The node's words about itself: structured lines on standard output, with stable event names.

Why: an operator greps for an event's name and alarms on codes; a sentence may be improved any day. So every
line has `event` (lower snake case, stable), and what varies stands in fields of its own.

Rules kept here
- Record content, customers, keys and whole messages are never logged; ids, heights, sizes, codes and counts
  are.
- Values that came from outside are cut to a fixed length and control characters are escaped (log injection).
- A library that complains is told of without its filled-in words, which may repeat what a stranger sent, and
  at most every `LIBRARY_EVERY_S` about the same thing: a stranger must not fill the disk.
- Times are UTC with milliseconds. One line is one object (style "json"), or a line for people (style "text").
- The level can be changed while the node runs (the admin door).

Refuses: files and rotation. Standard output belongs to whoever started the process.
"""

import logging
import sys
import time
import traceback
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, TextIO

import structlog

from node.errors import ConfigError

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
VALUE_MAX = 512
LIBRARY_EVERY_S = 10.0
_TOLD_MAX = 256

_threshold = {"level": LEVELS["info"]}  # one process, one level; changed by `set_level` only


def set_up(level: str, style: str, node_id: str, stream: TextIO | None = None) -> None:
    """Configure structlog for this process. `stream` defaults to standard output.

    Raises ConfigError E_CONFIG_VALUE for an unknown level.
    """
    set_level(level)
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[
            _below_threshold,
            structlog.processors.TimeStamper(fmt="%Y-%m-%dT%H:%M:%S.%fZ", utc=True, key="time"),
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            _name_node(node_id),
            _bound_values,
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(file=stream or sys.stdout),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=logging.WARNING, handlers=[_Libraries()], force=True)


class _Libraries(logging.Handler):
    """Tells that a library which uses the standard logging has complained, and about what kind of thing."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._told: dict[tuple[str, str], tuple[float, int]] = {}  # (library, words) -> when, how often since

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line: the library, its unfilled words, the exception without its message."""
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
        get("telemetry").warning(
            "library_complained", library=record.name, words=words, error=reason, untold=since
        )


def places(error: BaseException) -> str:
    """Return an exception's type and where it came from, without its message."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    trail = " < ".join(f"{Path(one.filename).name}:{one.lineno} {one.name}" for one in reversed(frames))
    return f"{type(error).__name__} at {trail}" if trail else type(error).__name__


def set_level(level: str) -> None:
    """Set the lowest level that is written. Raises ConfigError E_CONFIG_VALUE for an unknown one."""
    if level not in LEVELS:
        raise ConfigError("E_CONFIG_VALUE", f"no telemetry level is called {level[:16]!r}")
    _threshold["level"] = LEVELS[level]


def level() -> str:
    """The level in force."""
    return next(name for name, number in LEVELS.items() if number == _threshold["level"])


def get(module: str) -> Any:
    """Return the logger of one module."""
    return structlog.get_logger(module=module)


def _below_threshold(_: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if LEVELS.get(method, LEVELS["error"]) < _threshold["level"]:
        raise structlog.DropEvent
    return event


def _name_node(node_id: str) -> Any:
    def add(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["node"] = node_id
        return event

    return add


def _bound_values(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if isinstance(value, bytes):
            event[key] = value[:32].hex()
        elif isinstance(value, str) and key != "exception":
            event[key] = value[:VALUE_MAX].translate(_CONTROLS)
    return event


_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), 127)}
