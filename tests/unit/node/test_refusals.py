"""Refusals: all are counted, few are told."""

import io
import json
from collections.abc import Iterator

import pytest
import structlog

from node import telemetry
from node.ports import NodeStats
from node.refusals import Refusals, code_in


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """What telemetry writes."""
    out = io.StringIO()
    telemetry.set_up("info", "json", "a", out)
    yield out
    structlog.reset_defaults()


def test_all_are_counted_and_one_in_a_while_is_told(stream: io.StringIO) -> None:
    """A thousand refusals of one kind are one line in ten seconds."""
    stats, now = NodeStats(), [0.0]
    refusals = Refusals(stats, lambda: now[0])
    for _ in range(1_000):
        refusals.note("E_PEER_UNKNOWN", "somebody", "words")
    refusals.note("E_PEER_CHAIN", "somebody", "words")
    assert stats.peer_refusals == {"E_PEER_UNKNOWN": 1_000, "E_PEER_CHAIN": 1}
    assert len(stream.getvalue().splitlines()) == 2
    now[0] = 10.0
    refusals.note("E_PEER_UNKNOWN", "somebody", "words")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["code"] for line in lines] == ["E_PEER_UNKNOWN", "E_PEER_CHAIN", "E_PEER_UNKNOWN"]


def test_strangers_do_not_fill_the_memory(stream: io.StringIO) -> None:
    """Who was told of is remembered up to a limit."""
    refusals = Refusals(NodeStats(), lambda: 0.0)
    for at in range(2_000):
        refusals.note("E_PEER_UNKNOWN", f"stranger {at}", "words")
    assert len(refusals._told) <= 512


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("E_PEER_CHAIN", "E_PEER_CHAIN"),
        ("E_PEER_CHAIN: words", "E_PEER_CHAIN"),
        ("words E_PEER_CHAIN", "E_OTHER"),
        ("", "E_OTHER"),
        (None, "E_OTHER"),
    ],
)
def test_a_peers_status_text_is_believed_only_as_a_code(text: str | None, code: str) -> None:
    """What a peer writes beyond a code is not repeated."""
    assert code_in(text, "E_OTHER") == code
