"""The node's words about itself: structured lines on standard output, with stable event names.

Why: an operator greps for an event's name and alarms on codes; a sentence may be improved any day. So every
line has `event` (lower snake case, stable), and what varies stands in fields of its own.

Rules kept here
- Record content, customers, keys and whole messages are never logged; ids, heights, sizes, codes and counts
  are.
- Values that came from outside are cut to a fixed length and control characters are escaped (log injection).
- Times are UTC with milliseconds. One line is one object (style "json"), or a line for people (style "text").
- The level can be changed while the node runs (the admin door).

Refuses: files and rotation. Standard output belongs to whoever started the process.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

from node.errors import ConfigError

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
VALUE_MAX = 512

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
    # Libraries that use the standard logging speak only when something is wrong.
    logging.basicConfig(level=logging.WARNING, stream=stream or sys.stdout, force=True)


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
