"""Is the process alive, and is this node useful? Judged by what the node's role promises.

Why by role: an observer that follows well is ready although it never votes, and a voter that knows no leader
is not, however well it follows. A probe that fails for a learner would have a healthy regulator restarted for
ever.

Rules kept here
- Every check says in words what it saw; the failing one is named, so an alarm needs no second look.
- `alive` fails only for what a restart can mend. A halted node is alive: it serves reads and must be looked
  at.
- `ready` fails for what makes the node's promise void at the moment, and says when that is nobody's fault yet
  (catching up).

Source: the split into livez and readyz with one path per check follows common practice of cluster software.
Refuses: measuring; it judges a `Standing` and a few numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from node.ports import Role
from node.standing import Standing

LAG_MAX_HEIGHTS: Final = 64
"""How far applied may be behind what is known to be committed."""

LOOP_LAG_MAX_S: Final = 5.0
FREE_MIN_BYTES: Final = 1024**3


@dataclass(frozen=True, slots=True)
class Vitals:
    """What is measured beside the standing: the loop's newest lag in seconds, free bytes where the stores
    lie.
    """

    loop_lag_s: float
    disk_free_bytes: int


@dataclass(frozen=True, slots=True)
class Check:
    """One judged question. `words` say what was seen, for people."""

    name: str
    ok: bool
    words: str


def alive(vitals: Vitals) -> tuple[Check, ...]:
    """Return the checks of /livez."""
    lag = vitals.loop_lag_s
    return (Check("loop", lag <= LOOP_LAG_MAX_S, f"the event loop answers within {lag:.3f} s"),)


def ready(standing: Standing, vitals: Vitals) -> tuple[Check, ...]:
    """Return the checks of /readyz for the role that the node has."""
    judges: list[Callable[[Standing, Vitals], Check]] = [_state, _storage]
    judges += [_follows, _observer_lag] if standing.following is not None else [_leader, _voter_lag]
    return tuple(judge(standing, vitals) for judge in judges)


def _state(standing: Standing, _: Vitals) -> Check:
    ok = standing.role not in (Role.HALTED, Role.WAITING)
    return Check("state", ok, f"{standing.role}{': ' + standing.reason if standing.reason else ''}")


def _storage(_: Standing, vitals: Vitals) -> Check:
    free = vitals.disk_free_bytes
    return Check("storage", free >= FREE_MIN_BYTES, f"{free // 1024**2} MiB free where the stores lie")


def _leader(standing: Standing, _: Vitals) -> Check:
    words = f"the leader is {standing.leader}" if standing.leader else "no leader is known"
    return Check("leader", bool(standing.leader), words)


def _voter_lag(standing: Standing, _: Vitals) -> Check:
    behind = standing.commit_height - standing.applied_height
    return Check("lag", behind <= LAG_MAX_HEIGHTS, f"applied is {behind} heights behind commit")


def _follows(standing: Standing, _: Vitals) -> Check:
    following = standing.following
    assert following is not None
    if following.connected:
        return Check("source", ok=True, words=f"following {following.source}")
    return Check(
        "source", ok=False, words=f"no node can be followed ({following.last_error or 'connecting'})"
    )


def _observer_lag(standing: Standing, _: Vitals) -> Check:
    following = standing.following
    assert following is not None
    behind = following.tip_height - standing.applied_height
    words = f"verified and applied is {behind} heights behind {following.source or 'the source'}"
    return Check("lag", behind <= LAG_MAX_HEIGHTS, words)
