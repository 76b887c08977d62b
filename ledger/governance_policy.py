"""The policy text of a state, and the hash that binds both into every header.

Why rendered and never stored: a policy's keys carry the chain id in their names, and the chain id hangs on
genesis, so the text cannot stand in genesis. Rendering it from the state also means that the two can never
disagree.

The text is a plain C2SP tlog-policy, canonical by `policy.render_policy`:

- ``log <vkey>`` for the open log key of each node that is not removed, named by the chain id, in order of
  node id
- ``witness INST/node-id <vkey>`` for the open cosigner key (type 4) of each, in order of institution and name
- ``group INST any INST/node-id ...`` for each institution that has one, in order of id
- ``group institutions Q INST ...`` and ``quorum institutions``: institutions count, however many nodes they
  run

Governance hash: ``SHA-256(pack(["tiezheng/governance", 1, hash_alg, SHA-256(policy text), SHA-256(state
bytes)]))``, so a trust file can carry a policy and prove it with one header and the hash of the rest.

Refuses: keys of the past. A checkpoint of an earlier era is judged by that era's policy.
"""

from hashlib import sha256
from typing import Final

from ledger.algorithms import HASH_SHA256
from ledger.encoding import pack
from ledger.governance_codec import encode_state
from ledger.governance_state import Key, State
from ledger.note import ED25519, ED25519_COSIGNATURE, VerifierKey
from ledger.policy import render_policy

PURPOSE: Final = "tiezheng/governance"


def policy_text(state: State) -> bytes:
    """Return the tlog-policy that judges checkpoints of the heights this state rules.

    Raises PolicyError for a state whose keys cannot stand in one policy (two key ids of one name collide);
    `governance_rules` refuses such a state.
    """
    nodes = state.open_nodes()
    logs = [VerifierKey(state.chain_id, ED25519, _open(node.log_keys)) for node in nodes]
    cosigners: dict[str, list[tuple[str, VerifierKey]]] = {}
    for node in nodes:
        name = node.cosigner_name()
        key = VerifierKey(name, ED25519_COSIGNATURE, _open(node.cosigner_keys))
        cosigners.setdefault(node.institution, []).append((name, key))
    return render_policy(logs, sorted(cosigners.items()), state.quorum)


def governance_hash(state: State) -> bytes:
    """Return the 32-byte governance hash of a state that may exist."""
    return governance_hash_of(policy_text(state), sha256(encode_state(state)).digest())


def governance_hash_of(policy: bytes, state_digest: bytes) -> bytes:
    """Return the governance hash of a policy text and the SHA-256 of the state's bytes."""
    return sha256(pack([PURPOSE, 1, HASH_SHA256, sha256(policy).digest(), state_digest])).digest()


def _open(keys: tuple[Key, ...]) -> bytes:
    """Return the one open key of a node that is not removed."""
    (public,) = (key.public for key in keys if not key.until_height)
    return public
