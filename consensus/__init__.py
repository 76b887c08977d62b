"""Pure Raft: events in, effects out. It knows nothing of blocks, disks, sockets or clocks.

The contract, for whoever writes a host (the node does, the simulator does, scenario tests do).

**Start.** The durable log already holds its root at index 0. Build the core with what the store says::

    raft = Raft(
        config, host, storage, hard_state=..., applied=..., voters=..., rng=..., now_ms=..., wall_ms=...
    )

`hard_state` is the stored one, with `commit` raised to anything known to be committed. `applied` is how far the host's
own state has come (<= commit) and `voters` who votes there. A new node and a restarted one start alike.

**Events.** `tick`, `step(message)`, `propose`, `propose_governance`, `read_index`, `transfer`, `unreachable`, and two
reports of work done: `synced(batch)` and `applied(index, ...)`. None of them waits, reads a clock or draws randomness.

**Effects.** After events, call `ready()` until it answers None, and for each Ready, in this order:

1. If `must_sync`, hand the batch to the one disk writer: delete entries from `truncate_from` on (if not None), put
   `entries`, put `hard_state`; atomically, in the order of batch numbers, synced. Several batches may be in flight.
2. Send `messages` at once: they are the leader's AppendEntries, the one thing that may leave before its own sync.
3. Keep `after_sync` until batch `batch` is synced, then call `synced(batch)` *and then* send them. When that batch has
   been reported already (a Ready without `must_sync` carries the last batch's number), send them at once.
   Votes, acknowledgements, heartbeats, refusals: each is a promise, or rests on one.
4. Apply `committed`, in order; they are committed and in this node's own synced store. Then `applied(last index)`,
   with the new voters if that entry changed them. A Ready's `committed` ends with a governance entry, if it holds
   one, and nothing more is handed out before that one is reported applied.
5. Answer `reads` once their index is applied; tell those of `dropped_reads` to ask again.
6. `soft` tells a change of role, leader or term; `refused` and `evidence` are for the operator and the evidence
   file; when `halted` is not None this node takes part in nothing any more, and whatever it still holds back
   (step 3) must not be sent.

A write that failed ends the process: what is durable is then not known. Messages may be lost, doubled and reordered.

**Reading order.** types, messages, ready (the words); quorum, log, pipeline, progress (the parts); state (the fields);
election, leading, replication, following (the algorithm); membership, clock, reads, transfer (the additions);
raft (dispatch); invariants (what must hold, asked by tests); storage (a log in memory, for tests).
"""

from consensus import errors, messages
from consensus.errors import (
    BarrierError,
    BusyError,
    ClockAheadError,
    ConsensusError,
    HaltedError,
    MembershipError,
    MessageError,
    NotLeaderError,
    NotReadyError,
    PayloadError,
    ProposalError,
    RefusedError,
    StartError,
    TransferringError,
)
from consensus.messages import Message
from consensus.raft import Raft
from consensus.ready import Evidence, EvidenceKind, Ready, Refused
from consensus.status import PeerStatus, Status
from consensus.storage import MemoryStorage
from consensus.types import (
    Config,
    Entry,
    EntryKind,
    HardState,
    Host,
    Index,
    NodeId,
    Offer,
    ReadState,
    Rng,
    Role,
    SoftState,
    Storage,
    Term,
)

__all__ = [
    "BarrierError",
    "BusyError",
    "ClockAheadError",
    "Config",
    "ConsensusError",
    "Entry",
    "EntryKind",
    "Evidence",
    "EvidenceKind",
    "HaltedError",
    "HardState",
    "Host",
    "Index",
    "MembershipError",
    "MemoryStorage",
    "Message",
    "MessageError",
    "NodeId",
    "NotLeaderError",
    "NotReadyError",
    "Offer",
    "PayloadError",
    "PeerStatus",
    "ProposalError",
    "Raft",
    "ReadState",
    "Ready",
    "Refused",
    "RefusedError",
    "Rng",
    "Role",
    "SoftState",
    "StartError",
    "Status",
    "Storage",
    "Term",
    "TransferringError",
    "errors",
    "messages",
]
