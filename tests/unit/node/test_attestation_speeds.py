"""Signing rule and collection together, under delays and losses: a little deterministic simulation."""

import random
from itertools import pairwise

import pytest
from attest_world import World, electorate

from node.cosigner import Pace, Schedule, worth_sending
from node.findings import Finalized
from node.gathering import Gathering


def gathering_of(world: World, me: str) -> Gathering:
    """The collection of one node that has applied genesis."""
    own = world.parties[me]
    found = Gathering(world.book(), {own.line_name: own.signer.public}, ())
    found.set_applied(world.points[0].size, 0.0)
    return found


def sign_own(found: Gathering, world: World, me: str, height: int) -> None:
    """Let the node count its own signatures of a height."""
    own, point = world.parties[me], world.points[height]
    public = next(iter(electorate([own], 1).logs.values()))
    found.set_mark(point.size)
    found.own_signed(own.seen(point, 1_700_000_000), point, public, own.log_line(point))


@pytest.mark.parametrize("seed", range(8))
def test_finality_never_starves(seed: int) -> None:
    """Four signers of very different speed, notes delayed, reordered and lost: everybody's final size keeps
    rising, and the end of the chain becomes final everywhere once it is quiet. A little deterministic
    simulation.
    """
    rng = random.Random(seed)
    world = World(length=160)
    names = list(world.parties)
    pace = {name: rng.choice([1, 2, 7, 40]) for name in names}
    schedules = {name: Schedule(world.chain(), Pace(), None, 0.0) for name in names}
    founds = {name: gathering_of(world, name) for name in names}
    applied = dict.fromkeys(names, 0)
    wire: list[tuple[float, str, str, bytes]] = []
    history: dict[str, list[int]] = {name: [] for name in names}
    for step in range(400):
        now = step * 0.01
        for name in names:
            target = min(world.length - 1, step)
            if step % pace[name] == 0 and applied[name] < target:
                applied[name] = target
                founds[name].set_applied(world.points[target].size, now)
            points = schedules[name].begin(applied[name], founds[name].final_height, now)
            for point in points:
                sign_own(founds[name], world, name, point.height)
            if points:
                schedules[name].done(now)
            for point in worth_sending(points, 1):
                raw = world.parties[name].note(point)
                others = [other for other in names if other != name and rng.random() > 0.1]
                wire += [(now + rng.random() * 0.2, name, other, raw) for other in others]
        due = [item for item in wire if item[0] <= now]
        wire = [item for item in wire if item[0] > now]
        rng.shuffle(due)
        for _, sender, receiver, raw in due:
            founds[receiver].receive(sender, raw, now)
        for name in names:
            history[name] += [
                f.attested.point.height for f in founds[name].settle() if isinstance(f, Finalized)
            ]
    for name in names:
        steps = [0, *history[name]]
        assert steps == sorted(steps)
        assert max(b - a for a, b in pairwise(steps)) <= 90, (name, pace, steps)
        assert steps[-1] >= 119, (name, pace, steps)
