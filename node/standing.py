"""How a node stands at one moment: the one value that the read doors, the pages, health and metrics show.

Why one value: an operator who looks at three places must not see three truths. It is taken on the loop's
thread in one go, so its parts belong together.

Rules kept here
- Heights, sizes and times are numbers with their unit in the name; nothing is formatted here.
- What is not known is None or empty, never a number that could be real.

Refuses: judging (`health`), words for people (`pages`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import Protocol

from node.findings import Attested, Seen
from node.ports import LedgerView, PeerLink, Role

UNKNOWN_VERSION = "0+unknown"


class Attestation(Protocol):
    """What the attestor knows and the doors show. Everything in it is verified."""

    @property
    def final(self) -> Attested | None:
        """The newest checkpoint with a quorum of institutions."""

    @property
    def covered(self) -> Attested | None:
        """The newest checkpoint with a majority of voters."""

    @property
    def convicted(self) -> tuple[str, ...]:
        """Names of the cosigners whose key has contradicted itself."""

    def seen(self) -> tuple[Seen, ...]:
        """The newest cosignature of every key."""

    def era_note(self, height: int) -> tuple[int, bytes | None] | None:
        """The end of the era of `height` and its final note (None if this node has not got it); None while
        that era is open.
        """

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call `callback` whenever one of the above has changed."""


@dataclass(frozen=True, slots=True)
class Following:
    """An observer's source. `tip_height` is the newest height offered, `tail_blocks` wait for
    cosignatures.
    """

    source: str
    connected: bool
    tip_height: int
    tail_blocks: int
    failures: int
    last_error: str


@dataclass(frozen=True, slots=True)
class CosignerStanding:
    """The newest cosignature known of one key; `time_s` is its signer's clock."""

    institution: str
    node_id: str
    size: int
    time_s: int


@dataclass(frozen=True, slots=True)
class Standing:
    """A node at one moment. `final_*` are None while nothing is final; `following` is None for a voter."""

    chain_id: str
    node_id: str
    institution: str
    role: Role
    reason: str
    leader: str
    term: int
    last_height: int
    commit_height: int
    applied_height: int
    size: int
    root: bytes
    final_height: int | None
    final_size: int | None
    final_time_s: int | None
    cosigners: tuple[CosignerStanding, ...]
    convicted: tuple[str, ...]
    links: tuple[PeerLink, ...]
    following: Following | None
    version: str


def take(view: LedgerView, attestation: Attestation, following: Following | None) -> Standing:
    """Return how the node stands now. Costs microseconds; nothing is read from a disk."""
    raft = view.raft_status()
    final = attestation.final
    return Standing(
        chain_id=view.chain_id,
        node_id=view.node_id,
        institution=view.institution,
        role=raft.role,
        reason=raft.reason,
        leader=raft.leader,
        term=raft.term,
        last_height=raft.last_height,
        commit_height=raft.commit_height,
        applied_height=view.applied_height,
        size=view.size,
        root=view.root,
        final_height=None if final is None else final.point.height,
        final_size=None if final is None else final.point.size,
        final_time_s=None if final is None else max(seen.time_s for seen in final.signers),
        cosigners=tuple(
            CosignerStanding(seen.signer.institution, seen.signer.node_id, seen.size, seen.time_s)
            for seen in attestation.seen()
        ),
        convicted=attestation.convicted,
        links=tuple(view.links()),
        following=following,
        version=program_version(),
    )


@cache
def program_version() -> str:
    """Return the version of the installed program."""
    try:
        return metadata.version("tiezheng")
    except metadata.PackageNotFoundError:
        return UNKNOWN_VERSION
