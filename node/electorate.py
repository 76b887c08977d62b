"""Whose signatures count on a checkpoint, and how many: the governance state asked for one height.

Why: a checkpoint at height h is judged by the state after h - 1, so that a governance block's own checkpoint
is signed and judged by the keys and the policy before it. Everything that judges notes (the cosigner's
collection, the observer, the status pages) asks the same values from here.

Rules kept here
- A key counts where it is open at the height; a note line is matched by key name *and* key id (C2SP
  signed-note).
- `quorum` counts institutions, `majority` counts voters: two different numbers for two different questions.

Refuses: signatures (`notes`), fetching states (`chainbook`).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ledger.governance_state import NodeRole, State
from ledger.note import ED25519, ED25519_COSIGNATURE, key_id

LineName = tuple[str, bytes]
"""Name and 4-byte id of a signature line."""


@dataclass(frozen=True, slots=True)
class Signer:
    """A cosigner key in force. `public` has 32 bytes and is the identity: key ids and keys are never
    reused.
    """

    name: str
    institution: str
    node_id: str
    public: bytes
    voter: bool


@dataclass(frozen=True, slots=True)
class Electorate:
    """Who is judged how at one height. `logs`: the open log keys. `every`: attest_every in force there."""

    quorum: int
    majority: int
    every: int
    signers: dict[LineName, Signer]
    logs: dict[LineName, bytes]

    def institutions(self, signers: Iterable[Signer]) -> int:
        """Return how many institutions stand behind these signers."""
        return len({signer.institution for signer in signers})

    def voters(self, signers: Iterable[Signer]) -> int:
        """Return how many voters are among these signers."""
        return len({signer.node_id for signer in signers if signer.voter})


def electorate_of(state: State, height: int) -> Electorate:
    """Return who judges the checkpoint at `height`, given the governance state after `height` - 1."""
    signers: dict[LineName, Signer] = {}
    logs: dict[LineName, bytes] = {}
    for node in state.nodes:
        name = node.cosigner_name()
        for key in node.cosigner_keys:
            if key.open_at(height):
                line = (name, key_id(name, ED25519_COSIGNATURE, key.public))
                voter = node.role is NodeRole.VOTER
                signers[line] = Signer(name, node.institution, node.node_id, key.public, voter)
        for key in node.log_keys:
            if key.open_at(height):
                logs[state.chain_id, key_id(state.chain_id, ED25519, key.public)] = key.public
    voters = len(state.voters())
    return Electorate(state.quorum, voters // 2 + 1, state.limits.attest_every, signers, logs)
