"""Linearizable reads without writing to the log (ReadIndex, dissertation 6.4).

A leader notes its commit index, makes sure by a heartbeat round that left *after* the request that it still
leads, and answers with that index; the host reads once it has applied it. Two published systems served stale
reads by reusing an old round for a new or repeated request, so every request waits for a round of its own time. A
leader that has not committed in its own term does not know its commit index yet, and says so.

Refuses: leases (they trust clocks), and reads at followers (the host forwards to the leader).
"""

from __future__ import annotations

from consensus import quorum
from consensus.errors import BusyError, NotLeaderError, NotReadyError
from consensus.state import Replica
from consensus.types import ReadState, Role


def request(r: Replica, context: bytes) -> None:
    """Register a read; its answer comes as a ReadState with this context, or in `dropped_reads`.

    Raises NotLeaderError, NotReadyError (nothing committed in the own term yet) or BusyError (too many waiting).
    """
    if r.role is not Role.LEADER:
        raise NotLeaderError(r.leader)
    if not 0 < r.term_start <= r.commit:
        raise NotReadyError("nothing is committed in this term yet")
    if len(r.reads) >= r.config.reads_max:
        raise BusyError("too many reads wait for their round")
    r.reads.append((context, r.commit, r.round + 1))
    r.round_wanted = True


def confirm(r: Replica) -> None:
    """Answer the reads whose round a majority has answered."""
    if not r.reads:
        return
    rounds = {peer: p.round for peer, p in r.progress.items()}
    rounds[r.id] = r.round
    confirmed = quorum.committed(r.voters, rounds)
    while r.reads and r.reads[0][2] <= confirmed:
        context, index, _ = r.reads.popleft()
        r.read_states.append(ReadState(context, index))
