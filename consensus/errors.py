"""Every way in which this room says no, so that a host maps each once.

Two kinds of wrong are kept apart. Somebody else's fault (a peer's malformed message, a caller who asks the
wrong node, a payload that does not parse) is one of the errors below. A fault of our own is an `assert` and
ends the process: a replica that doubts its own state must not go on speaking.

    ConsensusError
    ├── StartError            what the host hands over at the start contradicts itself
    ├── MessageError          a message from the wire outside the ranges that honest peers keep
    ├── PayloadError          raised by the host: these bytes are no payload
    ├── MembershipError       a change of voters that is more than one step
    └── ProposalError         this proposal is not taken, and why
        ├── NotLeaderError        ask `leader` (None: nobody is known to lead)
        ├── NotReadyError         leader, but its own term's first entry is not applied yet
        ├── BarrierError          a governance entry is in the log and not applied yet
        ├── BusyError             the window of uncommitted entries is full: slow down
        ├── TransferringError     leadership is being handed over
        ├── ClockAheadError       this node's clock is so far ahead that no quorum would accept its stamp
        ├── RefusedError          the payload fails the host's own check (`code`)
        └── HaltedError           this node's own state was contradicted; it takes part in nothing

Refuses: to carry text made for people in another language, or objects of the caller; codes are stable words.
"""

from __future__ import annotations


class ConsensusError(Exception):
    """The family: whatever this room raises on purpose."""


class StartError(ConsensusError):
    """The stored state handed to `Raft(...)` contradicts itself (for example, commit beyond the last entry)."""


class MessageError(ConsensusError):
    """A message whose numbers no honest peer sends. Nothing was changed; `code` names the rule."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code


class PayloadError(ConsensusError):
    """Raised by `Host.entry` when bytes are no payload at all; `code` travels back to the leader."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code


class MembershipError(ConsensusError):
    """A new set of voters that differs from the old one by more than one member, or is empty."""


class ProposalError(ConsensusError):
    """The proposal was not taken; nothing of it is in the log."""


class NotLeaderError(ProposalError):
    """This node does not lead. `leader` is the node to ask, or None when nobody is known to lead."""

    def __init__(self, leader: str | None) -> None:
        super().__init__(f"not the leader; the leader is {leader or 'not known'}")
        self.leader = leader


class NotReadyError(ProposalError):
    """The leader has not yet applied the first entry of its own term, so what it inherited is not complete."""


class BarrierError(ProposalError):
    """A governance entry is not applied yet, and nothing may be appended behind it until it is."""


class BusyError(ProposalError):
    """A window is full. Try again after a delay; nothing is wrong."""


class TransferringError(ProposalError):
    """Leadership is on its way to another node."""


class ClockAheadError(ProposalError):
    """So many voters would refuse this node's next timestamp that no quorum remains."""


class RefusedError(ProposalError):
    """The payload fails a rule that the leader checks as its followers do; `code` names it."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class HaltedError(ProposalError):
    """The node's own state was contradicted. It votes, acknowledges and proposes nothing any more."""
