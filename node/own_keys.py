"""Which of its own keys a node signs a checkpoint with.

Why apart: during a rotation a node holds two cosigner keys, and which one signs is governance's decision at
the height of the checkpoint, never the node's.

Rules kept here: both signatures of a checkpoint, cosigner's and log's, are made with keys that are open at
its height, or none is made. Refuses: reading files (`keys`), choosing what is signed (`cosigner`).
"""

from dataclasses import dataclass

from ledger.note import ED25519_COSIGNATURE, key_id
from node.electorate import Electorate, LineName, Signer
from node.keys import NodeKeys, Purpose, SigningKey


@dataclass(frozen=True, slots=True)
class Own:
    """The keys in force at one height: the cosigner as governance names it, its key, and the log key."""

    signer: Signer
    cosigner: SigningKey
    log: SigningKey


class OwnKeys:
    """The keys that a node holds, by public key and purpose."""

    __slots__ = ("_cosigners", "_logs", "_node_id")

    def __init__(self, node_id: str, keys: NodeKeys) -> None:
        """`keys` are all that the node holds; those of other purposes are passed over."""
        self._node_id = node_id
        self._cosigners = {key.public: key for key in keys.signing if key.purpose is Purpose.COSIGNER}
        self._logs = {key.public: key for key in keys.signing if key.purpose is Purpose.LOG}

    def at(self, electorate: Electorate) -> Own | None:
        """Return the keys to sign with where this electorate judges; None if one of them is missing."""
        log = next((self._logs[public] for public in electorate.logs.values() if public in self._logs), None)
        for signer in electorate.signers.values():
            cosigner = self._cosigners.get(signer.public)
            if signer.node_id == self._node_id and cosigner is not None and log is not None:
                return Own(signer, cosigner, log)
        return None

    def lines(self, institution: str) -> dict[LineName, bytes]:
        """Return public key by line name for every cosigner key held, open or not."""
        name = f"{institution}/{self._node_id}"
        return {(name, key_id(name, ED25519_COSIGNATURE, public)): public for public in self._cosigners}
