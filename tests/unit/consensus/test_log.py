"""The log's three marks, against a plain list that remembers everything."""

from random import Random

import pytest
import toyhost

import consensus
from consensus.errors import StartError
from consensus.log import Log, hint
from consensus.pipeline import Pipeline
from consensus.storage import MemoryStorage
from consensus.types import Entry, EntryKind, HardState

HOST = toyhost.ToyHost(consensus)


def make(cache: int = 1 << 20) -> tuple[MemoryStorage, Log]:
    """An empty log over an empty store."""
    storage = MemoryStorage(toyhost.root(consensus))
    return storage, Log(storage, cache)


def add(log: Log, term: int, text: str = "x", kind: str = "N") -> Entry:
    """Append one entry."""
    payload = toyhost.governance(0, [text]) if kind == "G" else toyhost.normal(0, text)
    entry: Entry = HOST.entry(log.last.hash, log.last_index + 1, term, payload)
    log.append(entry)
    return entry


def flush(storage: MemoryStorage, log: Log) -> None:
    """Write and sync everything."""
    cut, entries = log.take_writes()
    storage.write(cut, entries, None)
    log.mark_durable(log.last_index)


def test_a_new_log_holds_the_root() -> None:
    """Index 0 is there from the start, and durable."""
    _, log = make()
    assert (log.last_index, log.durable, log.term(0)) == (0, 0, 0)
    assert log.take_writes() == (None, ())


def test_entries_are_handed_out_once() -> None:
    """A batch holds what the disk has not been told, and nothing twice."""
    _, log = make()
    first, second = add(log, 1), add(log, 1)
    assert log.take_writes() == (None, (first, second))
    third = add(log, 1)
    assert log.take_writes() == (None, (third,))
    assert log.take_writes() == (None, ())


def test_truncation_of_what_was_never_handed_out_leaves_no_trace() -> None:
    """The disk need not hear of entries it never had."""
    _, log = make()
    first = add(log, 1)
    add(log, 1)
    log.truncate(2)
    assert log.take_writes() == (None, (first,))


def test_truncation_is_handed_out_with_the_lowest_place() -> None:
    """Two truncations before the next batch are one."""
    storage, log = make()
    for _ in range(4):
        add(log, 1)
    flush(storage, log)
    log.truncate(4)
    add(log, 2)
    log.truncate(3)
    entry = add(log, 3)
    assert log.take_writes() == (3, (entry,))
    assert log.durable == 2


def test_only_followers_one_another() -> None:
    """A gap, a falling term or a cut below the root is our own bug."""
    _, log = make()
    entry = add(log, 2)
    with pytest.raises(AssertionError):
        log.append(entry)
    with pytest.raises(AssertionError):
        log.append(HOST.entry(entry.hash, 2, 1, toyhost.normal(0, "old term")))
    with pytest.raises(AssertionError):
        log.truncate(0)
    with pytest.raises(AssertionError):
        log.term(2)


@pytest.mark.parametrize(
    ("term", "index", "good"), [(2, 2, True), (2, 3, True), (3, 1, True), (2, 1, False), (1, 9, False)]
)
def test_up_to_date(term: int, index: int, good: bool) -> None:
    """Paper 5.4.1: the later last term wins, then the longer log."""
    _, log = make()
    add(log, 1)
    add(log, 2)
    assert log.is_up_to_date(term, index) is good


def test_a_slice_ends_with_a_governance_entry() -> None:
    """What stands behind one cannot be taken yet."""
    _, log = make()
    for kind in "NNGNG":
        add(log, 1, kind=kind)
    assert [e.index for e in log.slice_to_barrier(1, 6, 1 << 20)] == [1, 2, 3]
    assert log.slice_to_barrier(4, 6, 1 << 20)[-1].kind is EntryKind.GOVERNANCE
    assert [e.index for e in log.slice_to_barrier(4, 5, 1 << 20)] == [4]


def test_the_cache_is_bounded_and_reading_goes_on() -> None:
    """Durable entries leave memory; they are read from the store, also in one slice with newer ones."""
    storage, log = make(cache=1000)
    made = [add(log, 1, str(n)) for n in range(100)]
    flush(storage, log)
    assert log.bytes_above(0) <= 1000 + made[0].cost()
    made += [add(log, 2, str(n)) for n in range(100, 110)]
    assert log.slice(1, 111, 1 << 20) == made
    assert log.slice(50, 60, 1) == made[49:50]
    assert [log.term(1), log.term(100), log.term(101)] == [1, 1, 2]
    assert log.hash(3) == made[2].hash
    assert log.entry(7) == made[6]
    # Entries that are not durable never leave memory.
    assert log.bytes_above(log.durable) == sum(e.cost() for e in made[100:])


def test_a_store_that_lost_its_last_entry_is_refused() -> None:
    """The start checks that the store can read what it says it holds."""

    class Broken(MemoryStorage):
        __slots__ = ()

        def last_index(self) -> int:
            return 5

    with pytest.raises(StartError):
        Log(Broken(toyhost.root(consensus)), 1000)


@pytest.mark.parametrize("seed", range(30))
def test_against_a_list(seed: int) -> None:
    """Random appends, truncations, batches and syncs: the view equals a list, `durable` never promises too much."""
    rng = Random(seed)
    storage, log = make(cache=rng.choice([0, 500, 1 << 20]))
    pipeline = Pipeline(HardState())
    model = [log.last]
    writes: list[tuple[int, int | None, tuple[Entry, ...]]] = []
    for step in range(300):
        action = rng.random()
        if action < 0.5:
            model.append(add(log, step // 10 + 1, f"{step}"))
        elif action < 0.6 and len(model) > 1:
            cut = rng.randrange(max(1, len(model) - 4), len(model))
            log.truncate(cut)
            pipeline.cut(cut)
            del model[cut:]
        elif action < 0.8:
            truncate_from, entries = log.take_writes()
            if entries or truncate_from is not None:
                batch = pipeline.hand_out(log.last_index, HardState(), step)
                writes.append((batch, truncate_from, entries))
        elif writes:
            batch, truncate_from, entries = writes.pop(0)
            storage.write(truncate_from, entries, None)
            log.mark_durable(pipeline.synced(batch))
        assert log.slice(0, len(model), 1 << 30) == model
        # What is durable is in the store as it is now, and stays so whatever is still on its way.
        assert storage.entries(0, log.durable + 1, 1 << 30) == model[: log.durable + 1]
        assert all(cut is None or cut > log.durable for _, cut, _ in writes)


def test_hint_skips_terms_that_cannot_agree() -> None:
    """The walk stops at the first term that is not newer, or at what is known to agree."""
    _, log = make()
    for term in (1, 1, 3, 3, 3, 5):
        add(log, term)
    assert hint(log, 6, 4, 0) == 5
    assert hint(log, 6, 2, 0) == 2
    assert hint(log, 9, 5, 0) == 6
    assert hint(log, 6, 2, 4) == 4
    assert hint(log, 6, 0, 0) == 0
