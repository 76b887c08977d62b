"""The policy text of a state, and the hash that binds both into every header.

Why rendered and never stored: a policy's keys carry the chain id in their names, and the chain id hangs on
genesis, so the text cannot stand in genesis. Rendering it from the state also means that the two can never
disagree.

The text is a plain C2SP tlog-policy:

- ``log <vkey>`` for the open log key of each node that is not removed, named by the chain id, in order of
  node id
- ``witness INST/node-id <vkey>`` for the open cosigner key (type 4) of each, in order of node id
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

PURPOSE: Final = "tiezheng/governance"
GROUP: Final = "institutions"
LOG_TYPE: Final = 0x01
COSIGNER_TYPE: Final = 0x04


def policy_text(state: State) -> str:
    """Return the tlog-policy that judges checkpoints of the height this state rules, ending with a line
    feed.
    """
    logs = []
    witnesses = []
    groups: dict[str, list[str]] = {}
    for node in state.open_nodes():
        logs.append(f"log {_vkey(state.chain_id, LOG_TYPE, _open(node.log_keys))}")
        name = node.cosigner_name()
        witnesses.append(f"witness {name} {_vkey(name, COSIGNER_TYPE, _open(node.cosigner_keys))}")
        groups.setdefault(node.institution, []).append(name)
    lines = [*logs, *witnesses]
    lines += [f"group {institution} any {' '.join(groups[institution])}" for institution in sorted(groups)]
    lines.append(f"group {GROUP} {state.quorum} {' '.join(sorted(groups))}")
    lines.append(f"quorum {GROUP}")
    return "\n".join(lines) + "\n"


def governance_hash(state: State) -> bytes:
    """Return the 32-byte governance hash of a state."""
    return governance_hash_of(policy_text(state), sha256(encode_state(state)).digest())


def governance_hash_of(text: str, state_digest: bytes) -> bytes:
    """Return the governance hash of a policy text and the SHA-256 of the state's bytes."""
    digest = sha256(text.encode()).digest()
    return sha256(pack([PURPOSE, 1, HASH_SHA256, digest, state_digest])).digest()


def _open(keys: tuple[Key, ...]) -> bytes:
    """Return the one open key of a node that is not removed."""
    (public,) = (key.public for key in keys if not key.until_height)
    return public


def _vkey(name: str, kind: int, public: bytes) -> str:
    from base64 import b64encode  # noqa: PLC0415

    blob = bytes((kind,)) + public
    key_id = sha256(name.encode() + b"\n" + blob).digest()[:4]
    return f"{name}+{key_id.hex()}+{b64encode(blob).decode()}"
