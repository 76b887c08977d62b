"""The words of consensus scenarios: one small function per command, and an example line for each.

A script names nodes by number. Lists are comma-separated (`1,2`); options are `key=value`. Unless `quiet` is on, a
command prints what happened because of it. See tests/scenarios/consensus/README.md.
"""

from __future__ import annotations

from collections.abc import Callable

import toyhost
from consensus_stage import Stage, describe

import consensus
from consensus import messages
from consensus.progress import Sending


class Script:
    """One scenario file's state: the stage, and whether it speaks."""

    def __init__(self) -> None:
        self._stage: Stage | None = None
        self.quiet = False

    @property
    def stage(self) -> Stage:
        """The stage, once `nodes` has built it."""
        assert self._stage is not None, "a script begins with `nodes`"
        return self._stage

    def run(self, line: str) -> str:
        """Run one command line; answers its output."""
        word, *rest = line.split()
        options = dict(part.split("=", 1) for part in rest if "=" in part)
        command = WORDS.get(word)
        assert command is not None, f"no such word: {word}"
        if word == "nodes":
            self._stage = _nodes(rest, options)
            return ""
        if word in ("quiet", "loud"):
            self.quiet = word == "quiet"
            return ""
        self.stage.log.clear()
        try:
            told = command(self.stage, [part for part in rest if "=" not in part], options)
        except consensus.ConsensusError as error:
            told = f"{type(error).__name__}: {error}"
        if word in _SHOWING:
            return told
        lines = [*self.stage.log, *([told] if told else [])]
        return "" if self.quiet else "\n".join(lines)


Args = list[str]
Options = dict[str, str]


def _names(stage: Stage, args: Args) -> list[str]:
    """The nodes named, or all that run."""
    if not args or args == ["all"]:
        return [actor.name for actor in stage.alive()]
    return [name for part in args for name in part.split(",")]


def _nodes(args: Args, options: Options) -> Stage:
    """`nodes 3 voters=1,2 inflight-max-messages=3 apply=hand`: numbers of Config by their names, with dashes."""
    names = [str(n) for n in range(1, int(args[0]) + 1)]
    voters = options["voters"].split(",") if "voters" in options else None
    figures = {
        key.replace("-", "_"): int(value) for key, value in options.items() if key not in ("voters", "apply")
    }
    return Stage(names, voters=voters, apply_by_hand=options.get("apply") == "hand", **figures)


def _given(stage: Stage, args: Args, options: Options) -> str:
    """`given 5 terms=1,1,4 commit=1 term=7`: this node starts with a log of these terms on its disk."""
    name = args[0]
    actor = stage[name]
    entries: list[consensus.Entry] = []
    previous = actor.disk.entries(0, 1, 1)[0]
    for index, text in enumerate(options["terms"].split(","), 1):
        term = int(text)
        first = term != previous.term
        payload = toyhost.empty(0, "term") if first else toyhost.normal(0, f"{index}.{term}")
        previous = actor.host.entry(previous.hash, index, term, payload)
        entries.append(previous)
    stage.crash(name)
    state = consensus.HardState(int(options["term"]), None, int(options["commit"]))
    actor.disk.write(None, entries, state)
    stage.start(name)
    return ""


def _campaign(stage: Stage, args: Args, _options: Options) -> str:
    """`campaign 2`."""
    actor = stage[args[0]]
    before = actor.core.status()
    actor.core.campaign(actor.now, actor.wall)
    after = actor.core.status()
    return "" if (before.role, before.term) != (after.role, after.term) else f"{actor.name} may not campaign"


def _elect(stage: Stage, args: Args, options: Options) -> str:
    """`elect 2 votes=5,6,7`: an election in which only these hear the candidate; its first entry has not left yet."""
    name, voters = args[0], options["votes"].split(",")
    for other in (name, *voters):
        stage[other].now += 3 * stage[other].config.election_timeout_ms
    for attempt in range(6):
        if (
            attempt % 2 == 0
        ):  # pre-votes, then votes; a first attempt may only teach the candidate a higher term
            stage[name].core.campaign(stage[name].now, stage[name].wall)
        stage.wire.clear()
        while stage.ready(name):
            pass
        while stage.sync(name):
            pass
        for voter in voters:
            while stage.deliver(voter):
                pass
            while stage.ready(voter):
                pass
            while stage.sync(voter):
                pass
        while stage.deliver(name):
            pass
        if stage[name].core.status().role is consensus.Role.LEADER:
            break
    stage.wire.clear()
    return f"{name} is {stage[name].core.status().role.name}"


def _propose(stage: Stage, args: Args, _options: Options) -> str:
    """`propose 1 a b c`."""
    entries = stage.propose(args[0], *args[1:])
    return f"{args[0]} appended {', '.join(f'{e.index}/{e.term}' for e in entries)}"


def _govern(stage: Stage, args: Args, options: Options) -> str:
    """`govern 1 voters=1,2`."""
    entry = stage.govern(args[0], options["voters"].split(","))
    return f"{args[0]} appended {entry.index}/{entry.term}"


def _ready(stage: Stage, args: Args, _options: Options) -> str:
    """`ready 1,2`: carry out what these nodes have ready (their disks and hosts stay where they are)."""
    for name in _names(stage, args):
        while stage.ready(name):
            pass
    return ""


def _sync(stage: Stage, args: Args, options: Options) -> str:
    """`sync 1 batches=1`."""
    for name in _names(stage, args[:1]):
        for _ in range(int(options.get("batches", "1000"))):
            if not stage.sync(name):
                break
    return ""


def _apply(stage: Stage, args: Args, _options: Options) -> str:
    """`apply 1`: the host applies what it was handed out."""
    for name in _names(stage, args):
        while stage.apply(name):
            pass
    return ""


def _deliver(stage: Stage, args: Args, options: Options) -> str:
    """`deliver 2,3 from=1 count=1`."""
    return _receive(stage, args, options, drop=False)


def _drop(stage: Stage, args: Args, options: Options) -> str:
    """`drop 3 from=1`."""
    return _receive(stage, args, options, drop=True)


def _receive(stage: Stage, args: Args, options: Options, *, drop: bool) -> str:
    sender, count = options.get("from"), int(options.get("count", "1000"))
    for name in _names(stage, args):
        waiting = [m for m in stage.wire if m.recipient == name and sender in (None, m.sender)][:count]
        held_back = [m for m in stage.wire if m not in waiting]
        for message in waiting:
            stage.wire.remove(message)
        stage.wire[:0] = waiting
        for _ in waiting:
            stage.deliver(name, drop=drop)
        assert stage.wire == held_back, "only the chosen messages moved"
    return ""


def _stabilize(stage: Stage, args: Args, _options: Options) -> str:
    """`stabilize 1,2`: deliver, write, sync, apply among these until nothing moves."""
    stage.settle(_names(stage, args) if args else None)
    return ""


def _tick(stage: Stage, args: Args, _options: Options) -> str:
    """`tick 1,2 100`: time passes and timers run."""
    for name in _names(stage, args[:1]):
        stage.tick(name, int(args[1]))
    return ""


def _wait(stage: Stage, args: Args, _options: Options) -> str:
    """`wait 2,3 100`: time passes, seen with the next message or tick; timers do not run."""
    for name in _names(stage, args[:1]):
        stage[name].now += int(args[1])
    return ""


def _partition(stage: Stage, args: Args, _options: Options) -> str:
    """`partition 1,2 3`: no message passes between the groups."""
    groups = [part.split(",") for part in args]
    stage.cut = [(a, b) for one in groups for other in groups if one is not other for a in one for b in other]
    return ""


def _heal(stage: Stage, _args: Args, _options: Options) -> str:
    """`heal`."""
    stage.cut = []
    return ""


def _crash(stage: Stage, args: Args, options: Options) -> str:
    """`crash 1 keep=1`."""
    stage.crash(args[0], keep=int(options.get("keep", "0")))
    return ""


def _restart(stage: Stage, args: Args, options: Options) -> str:
    """`restart 1 applied=all`."""
    stage.start(args[0], replay=options.get("applied") != "all")
    status = stage[args[0]].core.status()
    return f"{args[0]} starts: term {status.term} vote {status.vote or 'none'} last {status.last} commit {status.commit}"


def _clock(stage: Stage, args: Args, options: Options) -> str:
    """`clock 1 wall=5000`: this node's wall clock is off by so much."""
    for name in _names(stage, args):
        stage[name].wall_offset = int(options["wall"])
    return ""


def _refuse(stage: Stage, args: Args, _options: Options) -> str:
    """`refuse 2,3 text E_CODE`."""
    for name in _names(stage, args[:1]):
        stage[name].host.refuse[args[1]] = args[2]
    return ""


def _accept(stage: Stage, args: Args, _options: Options) -> str:
    """`accept 2,3`: these nodes refuse nothing any more."""
    for name in _names(stage, args):
        stage[name].host.refuse.clear()
    return ""


def _read(stage: Stage, args: Args, _options: Options) -> str:
    """`read 1 name`."""
    stage[args[0]].core.read_index(args[1].encode())
    return ""


def _transfer(stage: Stage, args: Args, _options: Options) -> str:
    """`transfer 1 2`."""
    actor = stage[args[0]]
    target = actor.core.transfer(args[1] if len(args) > 1 else None, actor.now, actor.wall)
    return f"{actor.name} hands over to {target}"


def _unreachable(stage: Stage, args: Args, _options: Options) -> str:
    """`unreachable 1 2`."""
    stage[args[0]].core.unreachable(args[1])
    return ""


def _forge(stage: Stage, args: Args, options: Options) -> str:
    """`forge 2 1 term=3 behind=4 entry=x hash=wrong`: an AppendEntries that 1 seems to get from 2."""
    sender, recipient = args
    core = stage[recipient].core
    prev = int(options["behind"])
    log = core.replica.log
    kind = toyhost.empty if options.get("kind") == "empty" else toyhost.normal
    offer = consensus.Offer(
        int(options.get("of", options["term"])), kind(core.replica.wall_ms, options.get("entry", "forged"))
    )
    message = messages.AppendEntries(
        sender=sender,
        recipient=recipient,
        term=int(options["term"]),
        prev_index=prev,
        prev_term=int(options.get("prev-term", str(log.term(prev)))),
        prev_hash=bytes(32) if options.get("hash") == "wrong" else log.hash(prev),
        commit=int(options.get("commit", "0")),
        entries=() if "entry" not in options else (offer,),
    )
    stage.log.append(describe(message))
    stage.step(message)
    return ""


def _log(stage: Stage, args: Args, _options: Options) -> str:
    """`log 1`: what is on this node's disk."""
    disk = stage[args[0]].disk
    return "\n".join(
        f"{e.index}/{e.term} {e.payload[:1].decode()} {toyhost.text_of(e.payload)}"
        for e in disk.entries(0, disk.last_index() + 1, 1 << 30)
    )


def _wire(stage: Stage, _args: Args, _options: Options) -> str:
    """`wire`: messages on their way."""
    return "\n".join(describe(message) for message in stage.wire) or "nothing"


def _state(stage: Stage, _args: Args, _options: Options) -> str:
    """`state`: one line per node."""
    lines = []
    for actor in stage.actors.values():
        if actor.raft is None:
            lines.append(f"{actor.name} is down")
            continue
        s = actor.raft.status()
        voter = "" if s.node_id in s.voters else " (no voter)"
        lines.append(
            f"{s.node_id} {s.role.name}{voter} term {s.term} leader {s.leader or 'unknown'} "
            f"last {s.last} durable {s.durable} commit {s.commit} applied {s.applied}"
        )
    return "\n".join(lines)


def _progress(stage: Stage, args: Args, _options: Options) -> str:
    """`progress 1`: what a leader knows of its followers."""
    config = stage[args[0]].config
    lines = []
    for peer in stage[args[0]].core.status().peers:
        full = peer.inflight_messages >= config.inflight_max_messages or (
            peer.inflight_bytes >= config.inflight_max_bytes
        )
        flags = [
            *(["paused"] if peer.paused else []),
            *(
                [f"inflight {peer.inflight_messages}{' full' if full else ''}"]
                if peer.inflight_messages
                else []
            ),
            *([f"refuses {peer.refused}"] if peer.refused else []),
        ]
        sending = Sending(peer.sending).name
        lines.append(" ".join([f"{peer.node_id} {sending} match {peer.match} next {peer.next}", *flags]))
    return "\n".join(lines)


WORDS: dict[str, Callable[[Stage, Args, Options], str]] = {
    "nodes": lambda _stage, _args, _options: "",
    "quiet": lambda _stage, _args, _options: "",
    "loud": lambda _stage, _args, _options: "",
    "given": _given,
    "campaign": _campaign,
    "elect": _elect,
    "propose": _propose,
    "govern": _govern,
    "ready": _ready,
    "sync": _sync,
    "apply": _apply,
    "deliver": _deliver,
    "drop": _drop,
    "stabilize": _stabilize,
    "tick": _tick,
    "wait": _wait,
    "partition": _partition,
    "heal": _heal,
    "crash": _crash,
    "restart": _restart,
    "clock": _clock,
    "refuse": _refuse,
    "accept": _accept,
    "read": _read,
    "transfer": _transfer,
    "unreachable": _unreachable,
    "forge": _forge,
    "log": _log,
    "wire": _wire,
    "state": _state,
    "progress": _progress,
}
#: Words that show something and are never quiet.
_SHOWING = ("log", "wire", "state", "progress")
