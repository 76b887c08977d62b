"""The gateway's words about itself."""

import io
import json
import logging

import pytest

from gateway import telemetry


def test_one_line_is_one_object() -> None:
    """With event, level, time and fields; below the level nothing."""
    stream = io.StringIO()
    out = telemetry.set_up("info", "json", stream)
    out.debug("hidden")
    out.info("gateway_started", http="127.0.0.1:7680", backlog=3)
    (line,) = stream.getvalue().splitlines()
    document = json.loads(line)
    assert document.pop("time").endswith("Z")
    assert document == {
        "event": "gateway_started",
        "level": "info",
        "program": "gateway",
        "http": "127.0.0.1:7680",
        "backlog": 3,
    }


def test_values_cannot_forge_lines() -> None:
    """Control characters are escaped, long values cut."""
    stream = io.StringIO()
    telemetry.set_up("info", "json", stream).warning("x", reason="a\nb\x1b[31m", long="y" * 9_999)
    document = json.loads(stream.getvalue())
    assert document["reason"] == "a\\x0ab\\x1b[31m"
    assert len(document["long"]) == telemetry.VALUE_MAX


def test_bytes_are_never_written() -> None:
    """They are digests or payloads."""
    with pytest.raises(AssertionError):
        telemetry.set_up("info", "json", io.StringIO()).info("x", commitment=b"\x00" * 32)


def test_libraries_speak_without_values() -> None:
    """What they were given to say stays out: only the pattern of the message and the kind of exception."""
    stream = io.StringIO()
    telemetry.set_up("info", "json", stream)
    try:
        raise ValueError("13800001234")
    except ValueError:
        logging.getLogger("aiohttp.server").exception("Error handling request from %s", "13800001234")
    logging.getLogger("aiohttp.access").info("quiet")
    (line,) = stream.getvalue().splitlines()
    assert "13800001234" not in line
    document = json.loads(line)
    assert (document["event"], document["library"]) == ("library_complained", "aiohttp.server")
    assert document["words"] == "Error handling request from %s"
    assert document["error"].startswith("ValueError at test_telemetry.py:")


def test_the_same_complaint_is_told_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger who provokes it a thousand times writes one line; the next one counts the others."""
    stream = io.StringIO()
    telemetry.set_up("info", "json", stream)
    for _ in range(1_000):
        logging.getLogger("library").error("full")
    logging.getLogger("library").error("another thing")
    assert len(stream.getvalue().splitlines()) == 2
    monkeypatch.setattr(telemetry, "LIBRARY_EVERY_S", 0.0)
    logging.getLogger("library").error("full")
    assert [json.loads(line)["untold"] for line in stream.getvalue().splitlines()] == [0, 0, 999]


def test_people_may_read_text() -> None:
    """The other style is for terminals."""
    stream = io.StringIO()
    telemetry.set_up("debug", "text", stream).info("gateway_started", chain="test")
    assert "gateway_started" in stream.getvalue()


def test_an_exception_is_told_without_its_message() -> None:
    """Messages repeat values; type and places do not."""
    try:
        raise ValueError("13800001234")
    except ValueError as error:
        words = telemetry.places(error)
    assert "13800001234" not in words
    assert words.startswith("ValueError at test_telemetry.py:")
    assert telemetry.places(ValueError("x")) == "ValueError"
