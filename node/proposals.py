"""Governance proposals on their way into the chain: handed in by the operator, ordered by the leader,
answered by height.

Why: a proposal is signed elsewhere, by institutions, and arrives complete; this node only puts it into the
log. One at a time is on its way, since consensus takes nothing behind a change that is not applied.

Rules kept here: an observer is promoted only if it has signed close enough behind the leader's commit (the
chain's `promote_lag_heights`): a voter that cannot follow yet would cost the quorum its reserve. What is
malformed is refused at the door; whether the state allows it, the chain's rules say, when it is proposed. Who
waits is told the height at which it was applied, or why it was not taken.

Refuses: signing, editing, retrying.
"""

import asyncio
from collections import deque
from typing import Protocol

from consensus import ConsensusError, NotLeaderError, Raft, RefusedError
from ledger.body import (
    BODY_BYTES_MAX,
    SignedProposal,
    encode_governance_body,
    parse_signed_proposal,
)
from ledger.chain import AppliedBlock
from ledger.encoding import as_array, unpack
from ledger.errors import LedgerError
from ledger.governance_proposal import PromoteNode, parse_proposal
from ledger.governance_state import State
from node.errors import DoorError

_WAITING_MAX = 16


class Followers(Protocol):
    """What a leader knows of itself and of who follows; `core_view` has it."""

    @property
    def node_id(self) -> str:
        """This node."""

    @property
    def governance(self) -> State:
        """The state that rules the next height."""

    def signed_lag(self, node_id: str) -> int:
        """Heights between this node's newest applied block and the newest one that a node has signed."""


class Proposals:
    """Owned by the loop's thread."""

    def __init__(self) -> None:
        """Nothing is on its way."""
        self._waiting: deque[tuple[SignedProposal, asyncio.Future[int]]] = deque()
        self._flying: dict[int, tuple[bytes, asyncio.Future[int]]] = {}  # height -> payload, waiter

    @property
    def waiting(self) -> bool:
        """Whether a proposal waits to be ordered."""
        return bool(self._waiting)

    def hand_in(self, content: bytes) -> asyncio.Future[int]:
        """Take the content of a governance body; the future gets the height at which it was applied.

        Raises DoorError: E_PROPOSAL_FORM with the ledger's words, E_PROPOSAL_BUSY.
        """
        if len(self._waiting) >= _WAITING_MAX:
            raise DoorError("E_PROPOSAL_BUSY", "too many proposals wait")
        try:
            proposal, signatures = as_array(
                unpack(content, max_bytes=BODY_BYTES_MAX, what="governance content"), "content", 2
            )
            signed = parse_signed_proposal(proposal, signatures)
        except LedgerError as error:
            raise DoorError("E_PROPOSAL_FORM", str(error)) from error
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append((signed, future))
        return future

    def order(self, raft: Raft, view: Followers, now_ms: int, wall_ms: int) -> bool:
        """Put what waits into the log; what is not taken is answered with why. Returns whether anything
        was.
        """
        taken = False
        while self._waiting:
            signed, future = self._waiting.popleft()
            if self._too_far_behind(signed, view):
                _fail(future, DoorError("E_PROMOTE_LAG", "the observer has not signed close enough behind"))
                continue
            payload = encode_governance_body(view.node_id, raft.next_stamp(wall_ms), signed)
            try:
                entry = raft.propose_governance(payload, now_ms, wall_ms)
            except RefusedError as error:
                _fail(future, DoorError(error.code, "the chain's rules refuse the proposal"))
            except NotLeaderError as error:
                _fail(future, DoorError("E_NOT_LEADER", error.leader or "no leader is known"))
            except ConsensusError as error:
                _fail(future, DoorError("E_PROPOSAL_BUSY", str(error)))
            else:
                self._flying[entry.index] = (payload, future)
                taken = True
        return taken

    def _too_far_behind(self, signed: SignedProposal, view: Followers) -> bool:
        """Whether it is a promotion of a node that has not caught up. What does not parse, the rules
        refuse.
        """
        try:
            action = parse_proposal(signed.proposal).action
        except LedgerError:
            return False
        if not isinstance(action, PromoteNode):
            return False
        return view.signed_lag(action.node_id) > view.governance.limits.promote_lag_heights

    def applied(self, block: AppliedBlock) -> None:
        """A block was applied: whoever waits for it hears its height, if it is theirs."""
        payload, future = self._flying.pop(block.height, (b"", None))
        if future is None or future.done():
            return
        if block.body.raw == payload:
            future.set_result(block.height)
        else:
            _fail(future, DoorError("E_PROPOSAL_LOST", "another leader ordered something else"))

    def lost(self, leader: str | None) -> None:
        """Leadership is lost: nothing that is on its way has a known outcome."""
        for _, future in (*self._waiting, *self._flying.values()):
            _fail(
                future,
                DoorError(
                    "E_OUTCOME_UNKNOWN",
                    f"leadership moved to {leader or 'nobody known'}; look before repeating",
                ),
            )
        self._waiting.clear()
        self._flying.clear()


def _fail(future: asyncio.Future[int], error: DoorError) -> None:
    if not future.done():
        future.set_exception(error)
