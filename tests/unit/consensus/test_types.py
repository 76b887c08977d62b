"""The words of the room are values: frozen, comparable, and measured the same on both ends of the wire."""

from dataclasses import FrozenInstanceError

import pytest

from consensus.types import ENTRY_OVERHEAD_BYTES, Config, Entry, EntryKind, HardState, Offer


def test_an_entry_and_its_offer_cost_the_same() -> None:
    """Windows count alike for sender and receiver."""
    entry = Entry(1, 1, EntryKind.NORMAL, 0, b"abc", bytes(32))
    assert entry.cost() == Offer(1, b"abc").cost() == 3 + ENTRY_OVERHEAD_BYTES


def test_values_do_not_change() -> None:
    """Nobody can alter what was handed out."""
    with pytest.raises(FrozenInstanceError):
        HardState().term = 1  # type: ignore[misc]


def test_heartbeats_fit_into_an_election_timeout() -> None:
    """The defaults leave room for lost heartbeats."""
    config = Config("a")
    assert 3 * config.heartbeat_ms <= config.election_timeout_ms
