"""A small made-up network for tests: deterministic keys, genesis, envelopes, proposals and bodies.

Every key's seed is the SHA-256 of its owner and purpose, so that golden files stay the same for ever.
"""

from dataclasses import dataclass
from hashlib import sha256

from ledger import ed25519, names, note
from ledger.algorithms import SIG_ED25519
from ledger.body import (
    Body,
    EmptyReason,
    SignedProposal,
    encode_empty_body,
    encode_envelopes_body,
    encode_genesis_body,
    encode_governance_body,
    parse_body,
)
from ledger.checkpoint import Checkpoint, format_checkpoint
from ledger.envelope import Envelope, seal_envelope
from ledger.governance import genesis_state, new_genesis_content
from ledger.governance_proposal import Action, NewKey, NewTls, encode_proposal, sign_proposal
from ledger.governance_state import Institution, Key, Limits, Node, NodeRole, State, Submitter, TlsPin
from ledger.record import RecordLeaf, encode_leaves

CHAIN_NAME = "test"
START_MS = 1_764_000_000_000
INSTITUTIONS = {
    "BROKER": ("样例证券", "broker"),
    "MARKET": ("样例信息公司", "market"),
    "AUDITOR": ("样例会计师事务所", "auditor"),
    "REGULATOR": ("样例监管机构", "regulator"),
}
NODES = {"broker-1": "BROKER", "market-1": "MARKET", "auditor-1": "AUDITOR", "regulator-1": "REGULATOR"}
SUBMITTER = ("BROKER", "gateway-1")


def seed(*labels: object) -> bytes:
    """Return the 32-byte seed of a key named by its labels."""
    return sha256("/".join(map(str, labels)).encode()).digest()


def public(*labels: object) -> bytes:
    """Return the public key of `seed(*labels)`."""
    return ed25519.public_key(seed(*labels))


def tls_der(*labels: object) -> bytes:
    """Return 260 bytes that look like a certificate from outside: a DER sequence of its own length."""
    return b"\x30\x82\x01\x00" + seed("tls", *labels) * 8


def uscc(institution: str) -> str:
    """Return a made-up, right 统一社会信用代码 of an institution."""
    digits = "".join(str(byte % 10) for byte in sha256(institution.encode()).digest()[:9])
    first = "91990000" + digits
    return first + names.uscc_check_character(first)


def key(key_id: str, *labels: object) -> Key:
    """Return an open key of genesis."""
    return Key(key_id, SIG_ED25519, public(*labels), 0, 0)


def new_key(key_id: str, *labels: object) -> NewKey:
    """Return a key for an action."""
    return NewKey(key_id, SIG_ED25519, public(*labels))


def new_tls(key_id: str, *labels: object) -> NewTls:
    """Return a TLS certificate for an action."""
    return NewTls(key_id, tls_der(*labels))


def institution(name: str) -> Institution:
    """Return an institution of genesis with one governance key."""
    title, role = INSTITUTIONS[name]
    return Institution(name, title, uscc(name), role, (key("governance-1", name, "governance-1"),))


def node(node_id: str, role: NodeRole | None = None) -> Node:
    """Return a node of genesis; the regulator's observes, the others vote."""
    owner = NODES[node_id]
    if role is None:
        role = NodeRole.OBSERVER if owner == "REGULATOR" else NodeRole.VOTER
    return Node(
        node_id,
        owner,
        role,
        (key("node-1", node_id, "node-1"),),
        (key("log-1", node_id, "log-1"),),
        (key("cosigner-1", node_id, "cosigner-1"),),
        (TlsPin("tls-1", tls_der(node_id, "tls-1"), 0, 0),),
    )


def submitter(owner: str = SUBMITTER[0], key_id: str = SUBMITTER[1]) -> Submitter:
    """Return a submitter of genesis."""
    return Submitter(owner, key_id, SIG_ED25519, public(owner, key_id), tls_der(owner, key_id), 0, 0)


def genesis_body(*, f: int = 1, quorum: int = 3, limits: Limits | None = None, single: bool = False) -> Body:
    """Return the genesis body of four institutions, or of the broker alone."""
    owners = ["BROKER"] if single else list(INSTITUTIONS)
    content = new_genesis_content(
        CHAIN_NAME,
        f=f,
        quorum=quorum,
        institutions=tuple(institution(owner) for owner in owners),
        nodes=tuple(node(node_id) for node_id, owner in NODES.items() if owner in owners),
        submitters=(submitter(),),
        limits=limits or Limits(),
    )
    return parse_body(encode_genesis_body(START_MS, content))


def genesis(**options: object) -> State:
    """Return the state of `genesis_body` with the same options."""
    return genesis_state(genesis_body(**options))  # type: ignore[arg-type]


def records(first: int, count: int, owner: str = "BROKER") -> list[RecordLeaf]:
    """Return made-up records; the commitment of number i is SHA-256 of ``record i``; odd numbers are
    numbered.
    """
    return [
        RecordLeaf(
            sha256(b"record %d" % number).digest(),
            owner,
            "PUSH.SMS" if number % 3 else "CRM",
            number if number % 2 else None,
            "SMS-NTC-01",
            1 + number % 2,
        )
        for number in range(first, first + count)
    ]


def leaves(first: int, count: int, owner: str = "BROKER") -> bytes:
    """Return the prefixed leaves of `records`."""
    rows = records(first, count, owner)
    return encode_leaves(
        owner,
        commitments=[row.commitment for row in rows],
        sources=[row.source for row in rows],
        source_seqs=[row.source_seq for row in rows],
        templates=[row.template for row in rows],
        template_versions=[row.template_version for row in rows],
    )


def envelope(chain_id: str, first: int, count: int, by: tuple[str, str] = SUBMITTER) -> Envelope:
    """Return a sealed envelope of made-up records."""
    return seal_envelope(chain_id, *by, leaves(first, count, by[0]), seed(*by))


def envelopes_body(chain_id: str, *ranges: tuple[int, int], ms: int = 1, proposer: str = "broker-1") -> Body:
    """Return a body of one envelope per (first record, count), `ms` milliseconds after genesis."""
    raws = [envelope(chain_id, first, count).raw for first, count in ranges]
    return parse_body(encode_envelopes_body(proposer, START_MS + ms, raws))


def empty_body(reason: EmptyReason = EmptyReason.NEW_TERM, ms: int = 1, proposer: str = "broker-1") -> Body:
    """Return an empty body."""
    return parse_body(encode_empty_body(proposer, START_MS + ms, reason))


def signed_proposal(
    state: State, action: Action, signers: tuple[str, ...] = ("AUDITOR", "BROKER", "MARKET")
) -> SignedProposal:
    """Return the next proposal, signed with the first governance key of each signer."""
    raw = encode_proposal(state.chain_id, state.next_sequence, action)
    signatures = (sign_proposal(raw, s, "governance-1", seed(s, "governance-1")) for s in sorted(signers))
    return SignedProposal(raw, tuple(signatures))


def governance_body(state: State, action: Action, ms: int = 1, proposer: str = "broker-1") -> Body:
    """Return a governance body of the next proposal."""
    return parse_body(encode_governance_body(proposer, START_MS + ms, signed_proposal(state, action)))


@dataclass(frozen=True, slots=True)
class NodeKeys:
    """The seeds of a made-up node."""

    node: bytes
    log: bytes
    cosigner: bytes


def node_keys(node_id: str, number: int = 1) -> NodeKeys:
    """Return the seeds of a node of genesis (`number` counts rotations)."""
    return NodeKeys(*(seed(node_id, f"{purpose}-{number}") for purpose in ("node", "log", "cosigner")))


def signed_note(
    state: State, size: int, root: bytes, signers: tuple[str, ...], time_s: int = 1_764_000_001
) -> bytes:
    """Return a checkpoint's note with the log line of the first signer's node and cosignatures of all
    signers.

    `signers` are node ids of genesis; the keys are those of genesis too.
    """
    text = format_checkpoint(Checkpoint(state.chain_id, size, root))
    lines = [note.sign(state.chain_id, seed(signers[0], "log-1"), text)]
    for number, node_id in enumerate(signers):
        name = f"{NODES[node_id]}/{node_id}"
        lines.append(note.cosign(name, seed(node_id, "cosigner-1"), text, time_s + number))
    return note.format_note(text, lines)
