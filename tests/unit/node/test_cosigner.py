"""The signing rule: which heights, in which order, under which mark, and what is sent of them."""

import random
from itertools import pairwise

import pytest
from attest_world import World

from node.cosigner import BATCH_MAX, FOREVER_S, Pace, Point, Schedule, worth_sending
from node.errors import HaltedError


def sign_all(schedule: Schedule, applied: int, final: int, now: float) -> list[int]:
    """Let the rule sign until nothing is due; return the heights."""
    heights: list[int] = []
    while points := schedule.begin(applied, final, now):
        heights += [point.height for point in points]
        schedule.done(now)
    return heights


def test_every_height_is_signed_in_rising_order() -> None:
    """With attest_every 1 nothing is skipped, however the heights arrive."""
    schedule = Schedule(World().chain(), Pace(), None, 0.0)
    assert sign_all(schedule, 0, -1, 0.0) == [0]
    assert sign_all(schedule, 5, -1, 0.0) == [1, 2, 3, 4, 5]
    assert sign_all(schedule, 5, -1, 0.0) == []
    assert schedule.mark == World().points[5]


def test_one_batch_at_a_time_and_its_highest_is_the_mark() -> None:
    """While a mark is being written nothing more begins; the mark moves only when the batch is done."""
    world = World()
    schedule = Schedule(world.chain(), Pace(), world.points[2], 0.0)
    points = schedule.begin(6, -1, 0.0)
    assert [point.height for point in points] == [3, 4, 5, 6]
    assert schedule.begin(7, -1, 0.0) == ()
    assert schedule.mark == world.points[2]
    schedule.done(0.0)
    assert schedule.mark == world.points[6]


def test_an_abandoned_batch_is_due_again_unless_it_is_skipped() -> None:
    """A batch that could not be persisted comes back; one without a key does not."""
    world = World()
    schedule = Schedule(world.chain(), Pace(), None, 0.0)
    schedule.begin(3, -1, 0.0)
    schedule.abandon(skip=False)
    assert [point.height for point in schedule.begin(3, -1, 0.0)] == [0, 1, 2, 3]
    schedule.abandon(skip=True)
    assert schedule.begin(3, -1, 0.0) == ()
    assert schedule.mark is None
    assert sign_all(schedule, 4, -1, 0.0) == [4]


def test_only_multiples_are_due_and_the_newest_after_silence() -> None:
    """attest_every 4: heights 0, 4, 8; height 10 only once nothing was applied for 50 ms."""
    schedule = Schedule(World(every=4).chain(), Pace(), None, 0.0)
    schedule.applied(1.0)
    assert sign_all(schedule, 10, -1, 1.01) == [0, 4, 8]
    assert schedule.wake_in(10, 1.01) == pytest.approx(0.04)
    assert sign_all(schedule, 10, -1, 1.049) == []
    assert sign_all(schedule, 10, -1, 1.051) == [10]
    assert sign_all(schedule, 13, -1, 1.051) == [12, 13]


@pytest.mark.parametrize(("behind", "first"), [(1_000, 1), (1_001, 1_001)])
def test_only_a_node_far_behind_jumps(behind: int, first: int) -> None:
    """1,000 heights behind: each is signed. 1,001 behind: only the newest one that is due."""
    points = [
        Point(height, 2 * height + 2, height.to_bytes(32, "big"), era_end=False) for height in range(1_100)
    ]
    chain = World().chain()
    chain = type(chain)(points.__getitem__, lambda _: 1, lambda _: None)
    schedule = Schedule(chain, Pace(), points[0], 0.0)
    signed = sign_all(schedule, behind, -1, 0.0)
    assert signed == list(range(first, behind + 1))


def test_a_jump_lands_on_a_height_that_others_sign_too() -> None:
    """With attest_every 4 a node far behind goes to the newest multiple of 4, not to the newest height."""
    schedule = Schedule(World(every=4).chain(), Pace(jump_heights=10), World().points[0], 0.0)
    schedule.applied(0.0)
    assert sign_all(schedule, 31, -1, 0.0) == [28]


def test_the_end_of_an_era_is_never_jumped_over_nor_left_before_it_is_final() -> None:
    """A governance block is signed though no multiple, by a node far behind too, and holds everybody until
    final.
    """
    world = World(every=4, era_ends=frozenset({21}))
    schedule = Schedule(world.chain(), Pace(jump_heights=10), world.points[0], 0.0)
    schedule.applied(0.0)
    assert sign_all(schedule, 40, 0, 0.0) == [20, 21]
    assert sign_all(schedule, 40, 20, 0.0) == []
    assert sign_all(schedule, 40, 21, 0.0) == [40]


def test_a_second_change_holds_again() -> None:
    """Two governance blocks in a row are two ends of eras."""
    world = World(era_ends=frozenset({3, 4}))
    schedule = Schedule(world.chain(), Pace(), world.points[1], 0.0)
    assert sign_all(schedule, 9, -1, 0.0) == [2, 3]
    assert sign_all(schedule, 9, 3, 0.0) == [4]
    assert sign_all(schedule, 9, 4, 0.0) == [5, 6, 7, 8, 9]


def test_long_stretches_are_cut_into_batches() -> None:
    """A batch is bounded, so that the loop stays responsive."""
    points = [Point(height, height + 1, bytes(32), era_end=False) for height in range(400)]
    chain = type(World(length=1).chain())(points.__getitem__, lambda _: 1, lambda _: None)
    schedule = Schedule(chain, Pace(), None, 0.0)
    assert len(schedule.begin(399, -1, 0.0)) == BATCH_MAX


def test_the_mark_never_falls() -> None:
    """A node whose applied chain is (still) shorter than its mark signs nothing."""
    world = World()
    schedule = Schedule(world.chain(), Pace(), world.points[9], 0.0)
    assert schedule.begin(7, -1, 0.0) == ()
    assert schedule.again(7, 1_000.0) is None
    assert sign_all(schedule, 10, -1, 0.0) == [10]


def test_a_chain_without_the_mark_is_never_signed() -> None:
    """If the chain holds another root at the marked size, the rule refuses, also for repeating."""
    world, other = World(), World(salt="other", fork_at=4)
    schedule = Schedule(other.chain(), Pace(), world.points[9], 0.0)
    with pytest.raises(HaltedError, match="E_MARK_CONTRADICTED"):
        schedule.begin(12, -1, 0.0)
    with pytest.raises(HaltedError, match="E_MARK_CONTRADICTED"):
        schedule.again(12, 1_000.0)


def test_an_idle_chain_is_signed_again_on_a_timer() -> None:
    """Right after a start, and after each `resign_s`, the mark's own size is signed once more."""
    world = World()
    schedule = Schedule(world.chain(), Pace(resign_s=60.0), world.points[5], 100.0)
    assert schedule.again(5, 100.0) == world.points[5]
    schedule.repeated(100.0)
    assert schedule.again(5, 159.0) is None
    assert schedule.wake_in(5, 159.0) == pytest.approx(1.0)
    assert schedule.again(5, 160.0) == world.points[5]


def test_only_events_can_wake_a_rule_that_has_nothing_to_wait_for() -> None:
    """Held at the end of an era, or without any block, time alone makes nothing due (and so nobody spins)."""
    world = World(era_ends=frozenset({2}))
    schedule = Schedule(world.chain(), Pace(), None, 0.0)
    assert sign_all(schedule, 5, -1, 0.0) == [0, 1, 2]
    assert schedule.wake_in(5, 10.0) == pytest.approx(20.0)
    assert Schedule(world.chain(), Pace(), None, 0.0).wake_in(-1, 10.0) == FOREVER_S


def test_what_is_sent_of_a_batch_is_little() -> None:
    """Of n heights go out the newest and at most three that are aligned."""
    world = World(length=64)
    for low in range(30):
        for high in range(low + 1, 64):
            sent = worth_sending(tuple(world.points[low:high]), 1)
            assert sent[-1] == world.points[high - 1]
            assert len(sent) <= 4
    assert worth_sending((), 1) == ()


def test_ends_of_eras_are_always_sent() -> None:
    """The note on which the next era's trust hangs goes out whatever its height."""
    world = World(length=16, era_ends=frozenset({5}))
    assert world.points[5] in worth_sending(tuple(world.points[1:12]), 1)


@pytest.mark.parametrize("seed", range(20))
def test_signers_of_any_speed_send_common_sizes(seed: int) -> None:
    """Whatever batches four signers cut the heights into, all four send a common one at least every 2 *
    BATCH_MAX.
    """
    rng = random.Random(seed)
    length = 2_000
    points = [Point(height, height + 1, bytes(32), era_end=False) for height in range(length)]
    common: set[int] | None = None
    for _ in range(4):
        longest = rng.choice([1, 2, 5, 30, BATCH_MAX])
        sent: set[int] = set()
        at = 0
        while at < length:
            count = rng.randint(1, longest)
            sent |= {point.height for point in worth_sending(tuple(points[at : at + count]), 1)}
            at += count
        common = sent if common is None else common & sent
    assert common is not None
    ordered = [0, *sorted(common)]
    assert max(b - a for a, b in pairwise(ordered)) <= 2 * BATCH_MAX
