"""Lines of native code become telemetry: counted, told sparingly, and nobody is held up."""

import asyncio
import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from node import telemetry
from node.native_words import NativeWords
from node.ports import NodeStats
from node.refusals import Refusals

REFUSED = (
    b"I1125 15:46:40.414282    6179 ssl_transport_security.cc:2563] Handshake failed with error SSL_ERROR_SSL: "
    b"error:100000c0:SSL routines:OPENSSL_internal:PEER_DID_NOT_RETURN_A_CERTIFICATE: Invalid context\n"
)
OTHER = (
    b"E1125 15:46:40.414871    6178 ssl_transport_security.cc:3238] No match found for server name: SECRET\n"
)


@pytest.fixture
def said() -> Iterator[io.StringIO]:
    """Where telemetry goes."""
    stream = io.StringIO()
    telemetry.set_up("info", "json", "broker-1", stream)
    yield stream
    structlog.reset_defaults()


def _words(stats: NodeStats) -> NativeWords:
    return NativeWords(Refusals(stats, time.monotonic))


def _lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110 - it has no event to wait for
            await asyncio.sleep(0.01)


async def test_refused_handshakes_are_counted_and_told_once(said: io.StringIO) -> None:
    """By a stable code and OpenSSL's name for the reason, however many there are."""
    stats = NodeStats()
    with _words(stats):
        for _ in range(200):
            os.write(2, REFUSED)
        await _until(lambda: stats.peer_refusals.get("E_DOOR_TLS", 0) == 200)
    (told,) = _lines(said)
    assert (told["event"], told["code"]) == ("peer_refused", "E_DOOR_TLS")
    assert told["detail"] == "PEER_DID_NOT_RETURN_A_CERTIFICATE"


async def test_other_words_are_told_by_their_place(
    said: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    """What they say may be a stranger's; lines of others, and Python's own, pass as they are."""
    with _words(NodeStats()):
        for _ in range(50):
            os.write(2, OTHER)
        os.write(2, b"free(): invalid pointer\n")
        sys.stderr.write("a word of Python's\n")
        os.write(2, b"half a line")
        await asyncio.sleep(0.05)
        os.write(2, b" and its end\n")
    (told,) = _lines(said)
    assert (told["library"], told["words"]) == ("grpc", "ssl_transport_security.cc:3238")
    words = capfd.readouterr().err
    assert "SECRET" not in words + said.getvalue()
    passed = ["a word of Python's", "free(): invalid pointer", "half a line and its end"]
    assert sorted(words.splitlines()) == passed


def _fill() -> None:
    for _ in range(10_000):
        os.write(2, REFUSED)


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_nobody_is_held_up_and_everything_is_given_back(
    said: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    """A pipe that nobody reads for a while takes what it can; afterwards descriptor 2 is what it was."""
    before, files, stream = os.fstat(2), _descriptors(), sys.stderr
    with _words(NodeStats()), pytest.raises(BlockingIOError):
        _fill()
    assert (os.fstat(2), _descriptors(), sys.stderr) == (before, files, stream)
    os.write(2, b"free again\n")
    assert capfd.readouterr().err == "free again\n"
    assert "E_DOOR_TLS" in said.getvalue()
