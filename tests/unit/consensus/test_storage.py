"""The model store keeps the contract: atomic batches in order, no gaps, the root for ever."""

import pytest
import toyhost

import consensus
from consensus.storage import MemoryStorage
from consensus.types import Entry, HardState

HOST = toyhost.ToyHost(consensus)


def entries(storage: MemoryStorage, term: int, *texts: str) -> list[Entry]:
    """Entries that continue what is stored."""
    made: list[Entry] = []
    index, previous = storage.last_index(), storage.hash(storage.last_index())
    for n, text in enumerate(texts, 1):
        made.append(HOST.entry(previous, index + n, term, toyhost.normal(0, text)))
        previous = made[-1].hash
    return made


def test_a_batch_truncates_appends_and_sets_the_state() -> None:
    """All three together."""
    storage = MemoryStorage(toyhost.root(consensus))
    first = entries(storage, 1, "a", "b")
    storage.write(None, first, HardState(1, "x", 0))
    storage.write(2, [], None)
    second = entries(storage, 2, "c")
    storage.write(None, second, HardState(2, None, 1))
    assert storage.last_index() == 2
    assert [storage.term(i) for i in range(3)] == [0, 1, 2]
    assert storage.hash(2) == second[0].hash
    assert storage.hard_state == HardState(2, None, 1)


def test_reading_is_bounded_but_gives_at_least_one() -> None:
    """As many entries as fit, never none."""
    storage = MemoryStorage(toyhost.root(consensus))
    made = entries(storage, 1, "a", "b", "c")
    storage.write(None, made, None)
    assert storage.entries(1, 4, 1) == made[:1]
    assert storage.entries(1, 4, 2 * made[0].cost()) == made[:2]
    assert storage.entries(1, 3, 1 << 20) == made[:2]


def test_gaps_and_the_root_are_refused() -> None:
    """A host that would leave a hole, or cut the root, has a bug."""
    storage = MemoryStorage(toyhost.root(consensus))
    made = entries(storage, 1, "a", "b")
    with pytest.raises(AssertionError):
        storage.write(None, made[1:], None)
    with pytest.raises(AssertionError):
        storage.write(0, [], None)
    with pytest.raises(AssertionError):
        MemoryStorage(made[0])
