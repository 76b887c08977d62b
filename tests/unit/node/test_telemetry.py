"""Telemetry: one object a line, stable names, bounded values, a level that can change."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from node import telemetry
from node.errors import ConfigError


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    yield
    structlog.reset_defaults()
    telemetry.set_level("info")


def _lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_has_event_time_level_node_and_module() -> None:
    """What an operator filters by is always there."""
    stream = io.StringIO()
    telemetry.set_up("info", "json", "broker-1", stream)
    telemetry.get("writer").warning("disk_slow", seconds=2)
    (line,) = _lines(stream)
    assert line["event"] == "disk_slow"
    assert (line["node"], line["module"], line["level"], line["seconds"]) == (
        "broker-1",
        "writer",
        "warning",
        2,
    )
    assert str(line["time"]).endswith("Z")


def test_values_from_outside_are_cut_and_cannot_forge_lines() -> None:
    """Control characters are escaped, long texts cut, bytes shortened to hex."""
    stream = io.StringIO()
    telemetry.set_up("info", "text", "a", stream)
    telemetry.get("m").info("x", detail="one\nINFO forged\x1b[31m" + "y" * 5_000, raw=b"\x00" * 100)
    assert len(stream.getvalue().splitlines()) == 1
    assert "\x1b" not in stream.getvalue()
    assert len(stream.getvalue()) < 2_000


def test_the_level_can_change_while_running() -> None:
    """Below the level nothing is written, from the next line on."""
    stream = io.StringIO()
    telemetry.set_up("info", "json", "a", stream)
    log = telemetry.get("m")
    log.debug("hidden")
    telemetry.set_level("debug")
    log.debug("shown")
    telemetry.set_level("error")
    log.warning("hidden")
    assert [line["event"] for line in _lines(stream)] == ["shown"]
    assert telemetry.level() == "error"


def test_an_exception_keeps_its_trace() -> None:
    """The one thing that may be long."""
    stream = io.StringIO()
    telemetry.set_up("error", "json", "a", stream)
    try:
        raise ValueError("boom")
    except ValueError:
        telemetry.get("m").exception("died")
    (line,) = _lines(stream)
    assert "ValueError: boom" in str(line["exception"])


def test_a_library_that_complains_repeats_nothing_and_fills_no_disk() -> None:
    """What it filled in came from somebody; about the same thing one line is written in a while."""
    stream = io.StringIO()
    telemetry.set_up("info", "json", "a", stream)
    library = logging.getLogger("some.library")
    for number in range(500):
        try:
            raise ValueError(f"SECRET {number}")
        except ValueError:
            library.exception("Error handling request from %s", "SECRET")
    library.error("another thing")
    first, second = _lines(stream)
    assert (first["event"], first["library"]) == ("library_complained", "some.library")
    assert first["words"] == "Error handling request from %s"
    assert str(first["error"]).startswith("ValueError at test_telemetry.py:")
    assert (second["words"], second["untold"]) == ("another thing", 0)
    assert "SECRET" not in stream.getvalue()


def test_what_was_not_told_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next line of its kind says how often it happened since."""
    stream = io.StringIO()
    telemetry.set_up("info", "json", "a", stream)
    for _ in range(3):
        logging.getLogger("lib").warning("full")
    monkeypatch.setattr(telemetry, "LIBRARY_EVERY_S", 0.0)
    logging.getLogger("lib").warning("full")
    assert [line["untold"] for line in _lines(stream)] == [0, 2]


def test_an_unknown_level_is_refused() -> None:
    """Nothing changes then."""
    with pytest.raises(ConfigError):
        telemetry.set_level("loud")
    assert telemetry.level() == "info"
