"""What goes wrong, and what clients do, on the timers of the seed's options.

Each kind of event draws its own next time, so that switching one off leaves the others where they were.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

import toyhost

from tests.simulation.options import stream

if TYPE_CHECKING:
    from tests.simulation.node import SimNode
    from tests.simulation.world import World


def schedule(world: World) -> None:
    """Set every timer that the options switch on."""
    o = world.options
    kinds: list[tuple[str, int, Callable[[World, Random], str | None], bool]] = [
        ("crash", o.crash_every_ms, _crash_any, True),
        ("pause", o.pause_every_ms, _pause, True),
        ("partition", o.partition_every_ms, _partition, True),
        ("jump", o.wall_jump_every_ms, _jump, True),
        ("unreachable", o.unreachable_every_ms, _unreachable, True),
        ("transfer", o.transfer_every_ms, _transfer, True),
        ("change", o.change_every_ms, _change, True),
        ("propose", o.propose_every_ms, _propose, False),
        ("read", o.read_every_ms, _read, False),
    ]
    for name, mean, act, is_fault in kinds:
        if mean:
            rng = stream(world.seed, f"when {name}")
            world.at(_soon(rng, mean), _again, world, rng, mean, act, is_fault)


def _soon(rng: Random, mean: int) -> int:
    return 1 + int(rng.random() * 2 * mean)


def _again(
    world: World,
    rng: Random,
    mean: int,
    act: Callable[[World, Random], str | None],
    is_fault: bool,
) -> str | None:
    """Do it, and set the next time."""
    if is_fault and world.healed_at is not None:
        return None
    world.at(_soon(rng, mean), _again, world, rng, mean, act, is_fault)
    return act(world, rng)


def heal(world: World) -> None:
    """The second phase: nothing fails any more, everybody is back; in every other world but a minority, gone for good."""
    world.healed_at = world.now
    world.cut.clear()
    rng = stream(world.seed, "heal")
    voters = world.voters()
    spare = (len(voters) - 1) // 2 - (1 if world.options.change_every_ms else 0)  # a change may still be open
    if spare > 0 and rng.random() < 0.5:
        world.buried = sorted(rng.sample(voters, spare))
    for node in world.order:
        if node.id in world.buried:
            if node.alive:
                world.stop(node)
        elif not node.alive:
            world.start(node)
        elif node.paused_until:
            world.pause(node, world.now)


def crash(world: World, node: SimNode, life: int) -> str | None:
    """This process dies, and comes back later."""
    if not node.alive or node.life != life or world.healed_at is not None:
        return None
    world.stop(node)
    world.at(1 + int(world.crash.random() * 2 * world.options.down_ms), _restart, world, node, life)
    return f"{node.id} crashes"


def _restart(world: World, node: SimNode, life: int) -> str | None:
    if node.alive or node.life != life or node.id in world.buried:
        return None
    world.start(node)
    return world.line(node, "restarts")


def _crash_any(world: World, rng: Random) -> str | None:
    """One dies, or (one time in eight) all of them: a power cut."""
    running = [node for node in world.order if node.alive]
    if not running:
        return None
    if rng.random() < 0.125:
        for node in running:
            crash(world, node, node.life)
        world.counts["power cuts"] += 1
        return "power cut"
    node = rng.choice(running)
    return crash(world, node, node.life)


def _pause(world: World, rng: Random) -> str | None:
    """A process stands still for up to three election timeouts; what arrives meanwhile waits."""
    node = rng.choice(world.order)
    if not node.alive or node.paused_until:
        return None
    world.pause(node, world.now + 1 + int(rng.random() * 3 * world.options.election_ms))
    return f"{node.id} pauses until {node.paused_until}"


def _partition(world: World, rng: Random) -> str:
    """Cut links for a while: two halves, one node alone (often the leader), single directions, one node half deaf."""
    until = world.now + 1 + int(rng.random() * 2 * world.options.partition_ms)
    names = [node.id for node in world.order]
    leaders = [node.id for node in _leading(world)]
    one = rng.choice(leaders) if leaders and rng.random() < 0.7 else rng.choice(names)
    kind = rng.choice(["halves", "alone", "alone", "links", "deaf", "mute"])
    if kind == "halves":
        left = [name for name in names if rng.random() < 0.5]
        pairs = [(a, b) for a in names for b in names if (a in left) != (b in left)]
    elif kind == "alone":
        pairs = [(a, b) for a in names for b in names if one in (a, b)]
    elif kind == "links":
        pairs = [(a, b) for a in names for b in names if rng.random() < 0.3]
    else:
        pairs = [(a, one) if kind == "deaf" else (one, a) for a in names]
    for pair in pairs:
        world.cut[pair] = until
    return f"cut {kind} {one}: {len(pairs)} links until {until}"


def _jump(world: World, rng: Random) -> str:
    """A wall clock jumps."""
    node = rng.choice(world.order)
    spread = world.options.wall_spread_ms
    node.wall_offset = rng.randrange(-spread, spread + 1)
    return f"{node.id} wall clock offset {node.wall_offset}"


def _unreachable(world: World, rng: Random) -> str | None:
    node, peer = rng.choice(world.order), rng.choice(world.order)
    if not node.alive or node.paused_until:
        return None
    node.raft.unreachable(peer.id)
    world.settle(node)
    return f"{node.id} cannot reach {peer.id}"


def _leading(world: World) -> list[SimNode]:
    """Whoever believes to lead."""
    leader = world.core.Role.LEADER
    return [
        node
        for node in world.order
        if node.alive and not node.paused_until and node.raft.replica.role is leader
    ]


def _transfer(world: World, rng: Random) -> str | None:
    leaders = _leading(world)
    if not leaders:
        return None
    node = rng.choice(leaders)
    target = rng.choice([None, *node.raft.replica.progress])
    world.counts["hand-overs"] += 1
    node.raft.transfer(target, world.now, world.now + node.wall_offset)
    world.settle(node)
    return world.line(node, f"hands over to {target}")


def _propose(world: World, _rng: Random) -> str | None:
    """A client asks a node; mostly one that believes to lead."""
    leaders = _leading(world)
    node = world.work.choice(leaders or world.order)
    if not node.alive or node.paused_until:
        return None
    wall = world.now + node.wall_offset
    payloads = []
    for _ in range(world.work.choice([1, 1, 1, 2, 5])):
        world.proposals += 1
        text = f"{world.proposals} @{node.host.era} ".ljust(world.options.payload_bytes, ".")
        payloads.append(toyhost.normal(node.raft.next_stamp(wall), text))
    try:
        entries = node.raft.propose(payloads, world.now, wall)
    except world.core.ProposalError as error:
        world.counts["slow down"] += isinstance(error, world.core.BusyError)
        world.settle(node)
        return world.line(node, type(error).__name__)
    world.settle(node)
    return world.line(node, f"proposes {entries[0].index}..{entries[-1].index}")


def _read(world: World, _rng: Random) -> str | None:
    leaders = _leading(world)
    if not leaders:
        return None
    node = world.work.choice(leaders)
    context = f"{node.id} {world.now}".encode()
    try:
        node.raft.read_index(context)
    except world.core.ConsensusError as error:
        return world.line(node, type(error).__name__)
    node.reading[context] = world.oracles.applied_max
    world.settle(node)
    return world.line(node, "reads")


def _change(world: World, rng: Random) -> str | None:
    """Add a spare or remove a voter, one at a time; a removed node never comes back."""
    leaders = _leading(world)
    if not leaders:
        return None
    node = rng.choice(leaders)
    voters = list(node.voters)
    ever = [name for _, names in world.oracles.changes for name in names]
    fresh = [name for name in world.spares if name not in ever and name not in voters]
    if fresh and (len(voters) < 3 or rng.random() < 0.6):
        voters.append(fresh[0])
    elif len(voters) > 1:
        voters.remove(rng.choice(voters))
    else:
        return None
    wall = world.now + node.wall_offset
    payload = toyhost.governance(node.raft.next_stamp(wall), voters)
    try:
        entry = node.raft.propose_governance(payload, world.now, wall)
    except world.core.ProposalError as error:
        world.settle(node)
        return world.line(node, type(error).__name__)
    world.settle(node)
    return world.line(node, f"proposes voters {','.join(voters)} at {entry.index}")
