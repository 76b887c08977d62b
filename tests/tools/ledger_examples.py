"""The worked examples of docs/formats/ledger.md, made from the made-up network, and the bytes that are
frozen.

`dump` writes a canonical array one element a line, each with its bytes and what it is.
"""

from collections.abc import Sequence
from hashlib import sha256

import ledger_world as world
from rfc6962_reference import path

from ledger import votes
from ledger.body import EmptyReason, encode_governance_body, parse_body
from ledger.chain import AppliedBlock, Chain
from ledger.encoding import element_slices, unpack
from ledger.envelope import signed_message
from ledger.governance import encode_state, governance_hash, policy_text
from ledger.governance_proposal import (
    Action,
    AddInstitution,
    AddNode,
    AddSubmitter,
    DemoteNode,
    PromoteNode,
    RemoveInstitution,
    RemoveNode,
    RevokeSubmitter,
    RotateGovernanceKey,
    RotateKey,
    SetLimits,
    SetQuorum,
    encode_proposal,
)
from ledger.governance_state import Limits
from ledger.receipt import HeaderProof, build_receipt, verify_receipt
from ledger.trust import parse_trust

Labels = Sequence["str | tuple[str, Labels]"]
"""One label per element; a tuple names an array and its elements; ``*`` as last label repeats the one
before.
"""

_WIDTH = 32

KEY: "tuple[str, Labels]" = ("key", ["key id", "algorithm", "public key", "from height", "until height"])
TLS: "tuple[str, Labels]" = ("tls pin", ["key id", "certificate", "from height", "until height"])
INSTITUTION: "tuple[str, Labels]" = (
    "institution",
    ["id", "name", "uscc", "role", ("governance keys", [KEY, "*"])],
)
NODE: "tuple[str, Labels]" = (
    "node",
    [
        "id",
        "institution",
        "role",
        ("node keys", [KEY, "*"]),
        ("log keys", [KEY, "*"]),
        ("cosigner keys", [KEY, "*"]),
        ("tls pins", [TLS, "*"]),
    ],
)
SUBMITTER: "tuple[str, Labels]" = (
    "submitter",
    ["institution", "key id", "algorithm", "public key", "certificate", "from height", "until height"],
)
LIMITS: "tuple[str, Labels]" = (
    "limits",
    [
        "attest_every",
        "skew_ms",
        "body_max_bytes",
        "body_max_records",
        "envelope_max_records",
        "promote_lag_heights",
    ],
)
ROWS: Labels = [
    ("institutions", [INSTITUTION, "*"]),
    ("nodes", [NODE, "*"]),
    ("submitters", [SUBMITTER, "*"]),
    LIMITS,
]
ENVELOPE: "tuple[str, Labels]" = (
    "envelope",
    ["institution", "key id", "count", "leaves", "algorithm", "signature"],
)
LINE: "tuple[str, Labels]" = ("signature", ["institution", "key id", "algorithm", "signature"])
HEADER: Labels = [
    "format",
    "kind",
    "chain id",
    "height",
    "term",
    "hash algorithm",
    "prev",
    "timestamp ms",
    "body digest",
    "records",
    "tree size",
    "root",
    "governance hash",
]


def body_labels(content: "str | tuple[str, Labels]") -> Labels:
    """Labels of a body with this content."""
    return ["format", "proposer", "timestamp ms", "kind", content]


def dump(raw: bytes, what: str, labels: Labels, depth: int = 0) -> str:
    """An array's bytes, one element a line."""
    parts = element_slices(raw, what=what)
    head = raw[: len(raw) - sum(map(len, parts))]
    lines = _line(head, f"{what}: array of {len(parts)}", depth)
    for at, part in enumerate(parts):
        label = _label(labels, at)
        if isinstance(label, tuple):
            lines += dump(part, label[0], label[1], depth + 1)
        else:
            lines += _scalar(part, label, depth + 1)
    return lines


def _label(labels: Labels, at: int) -> "str | tuple[str, Labels]":
    if at >= len(labels) - 1 and labels[-1] == "*":
        at = len(labels) - 2
    return labels[at]


def _scalar(part: bytes, label: str, depth: int) -> str:
    value = unpack(b"\x91" + part, max_bytes=1 << 20, what=label)[0]
    if isinstance(value, int):
        return _line(part, f"{label}: {value}", depth)
    if isinstance(value, str):
        return _line(part, f"{label}: {value!r}", depth)
    head = part[: len(part) - len(value)]
    lines = _line(head, f"{label}: {len(value)} bytes", depth)
    for at in range(0, len(value), _WIDTH):
        lines += "  " * (depth + 1) + value[at : at + _WIDTH].hex() + "\n"
    return lines


def _line(data: bytes, words: str, depth: int) -> str:
    return f"{'  ' * depth}{data.hex()}  {words}\n"


def fields(rows: Sequence[tuple[int, bytes, str]]) -> str:
    """Fixed-width fields: offset, bytes, meaning."""
    lines = ""
    for at, data, words in rows:
        lines += f"{at:>3}  {data.hex()}\n       {words}\n"
    return lines


def small_chain() -> list[AppliedBlock]:
    """One institution's chain: genesis, term start, two records, another quorum's limits, new era."""
    chain, block = Chain.start(world.genesis_body(single=True, f=0, quorum=1))
    blocks = [block]

    def signed(action: Action) -> bytes:
        return encode_governance_body(
            "broker-1", world.START_MS + 3, world.signed_proposal(chain.state, action, ("BROKER",))
        )

    blocks.append(chain.apply(1, 1, world.empty_body(ms=1)))
    blocks.append(chain.apply(2, 1, world.envelopes_body(chain.chain_id, (0, 2), ms=2)))
    blocks.append(chain.apply(3, 1, parse_body(signed(SetLimits(Limits(attest_every=2))))))
    blocks.append(chain.apply(4, 1, world.empty_body(EmptyReason.NEW_ERA, ms=3)))
    return blocks


BLOCKS = small_chain()
STATE = BLOCKS[0].state
CHAIN = STATE.chain_id
ACTIONS: list[Action] = [
    AddInstitution("PARTNER", "样例伙伴", "", "partner", (world.new_key("governance-1", "p"),), 1),
    RemoveInstitution("PARTNER", 1),
    SetQuorum(2),
    AddNode(
        "broker-2",
        "BROKER",
        world.new_key("node-2", "n"),
        world.new_key("log-2", "l"),
        world.new_key("cosigner-2", "c"),
        world.new_tls("tls-2", "t"),
    ),
    PromoteNode("broker-2"),
    DemoteNode("broker-2"),
    RemoveNode("broker-2"),
    RotateKey("broker-1", "log", "log-3", 1, world.public("l3")),
    RotateKey("broker-1", "tls", "tls-3", 0, world.tls_der("t3")),
    RotateGovernanceKey("BROKER", "governance-1", "governance-2", 1, world.public("g2")),
    AddSubmitter("BROKER", "gateway-2", 1, world.public("s2"), world.tls_der("s2")),
    RevokeSubmitter("BROKER", "gateway-1"),
    SetLimits(Limits(attest_every=2)),
]
ACK = votes.encode_ack(votes.Ack(CHAIN, "broker-1", 1, 2, BLOCKS[2].entry_hash))
VOTE = votes.encode_vote(votes.Vote(CHAIN, 2, "broker-1", "market-1", 4, BLOCKS[4].entry_hash))
HELLO = votes.encode_hello(votes.Hello(CHAIN, "broker-1", "market-1", bytes(range(16)), bytes(range(16, 32))))


def tree_leaves() -> list[bytes]:
    """All leaves of the small chain."""
    leaves: list[bytes] = []
    for block in BLOCKS:
        for envelope in block.body.envelopes:
            leaves += [envelope.leaves[at + 1 : at + 129] for at in range(0, len(envelope.leaves), 129)]
        leaves.append(block.header_leaf)
    return leaves


def receipt(*, header: bool) -> bytes:
    """The receipt of record 1 at the chain's end."""
    leaves, last, block = tree_leaves(), BLOCKS[-1], BLOCKS[2]
    note = world.signed_note(STATE, last.tree_size, last.root, ("broker-1",))
    index = block.first_index + 1
    proven = HeaderProof(block.header_index, block.header_leaf, tuple(path(block.header_index, leaves)))
    data = build_receipt(leaves[index], index, tuple(path(index, leaves)), note, proven if header else None)
    verify_receipt(data, parse_trust(policy_text(last.ruling)), sha256(b"record 1").digest())
    return data


def frozen() -> dict[str, str]:
    """Every format's bytes in hex, by name: what must never change for a format number that is out."""
    envelope = BLOCKS[2].body.envelopes[0]
    found = {
        "record leaf, with sequence": envelope.leaves[130:258],
        "record leaf, without sequence": envelope.leaves[1:129],
        "envelope": envelope.raw,
        "envelope, signed message": signed_message(CHAIN, "BROKER", "gateway-1", 2, envelope.leaves),
        "state after genesis": encode_state(BLOCKS[0].state),
        "state after governance": encode_state(BLOCKS[3].state),
        "policy": policy_text(STATE),
        "governance hash": governance_hash(STATE),
        "ack": ACK,
        "vote": VOTE,
        "hello": HELLO,
        "receipt": receipt(header=False),
        "receipt with header": receipt(header=True),
    }
    for block in BLOCKS:
        found[f"block {block.height}, body"] = block.body.raw
        found[f"block {block.height}, header leaf"] = block.header_leaf
        found[f"block {block.height}, entry hash"] = block.entry_hash
        found[f"block {block.height}, root"] = block.root
    for number, action in enumerate(ACTIONS):
        found[f"proposal {number}"] = encode_proposal(CHAIN, number, action)
    return {name: data.hex() for name, data in found.items()}


def record_leaf() -> str:
    """The example record leaf, field by field."""
    leaf = BLOCKS[2].body.envelopes[0].leaves[130:258]
    return fields(
        [
            (0, leaf[0:1], "kind 1: a record"),
            (1, leaf[1:2], "format 1"),
            (2, leaf[2:3], "hash algorithm 1: SHA-256"),
            (3, leaf[3:4], "flags: source_seq is present"),
            (4, leaf[4:12], "source_seq 1"),
            (12, leaf[12:44], "commitment"),
            (44, leaf[44:60], "institution BROKER"),
            (60, leaf[60:84], "source PUSH.SMS"),
            (84, leaf[84:116], "template code SMS-NTC-01"),
            (116, leaf[116:118], "template version 2"),
            (118, leaf[118:128], "reserved"),
        ]
    )


def chain_table() -> str:
    """What each block of the small chain leaves behind."""
    lines = f"chain id {CHAIN}\n"
    for block in BLOCKS:
        header = block.header
        lines += f"height {block.height}, term {block.term}, {header.kind.name.lower()}\n"
        lines += f"  body digest      {header.body_digest.hex()}\n"
        lines += f"  entry hash       {block.entry_hash.hex()}\n"
        lines += f"  first index {block.first_index}, records {header.records}, header index {block.header_index}\n"
        lines += f"  block hash       {block.block_hash.hex()}\n"
        lines += f"  governance hash  {header.governance_hash.hex()}\n"
        lines += f"  size {block.tree_size}, root  {block.root.hex()}\n"
    return lines


def examples() -> dict[str, str]:
    """Example name -> text, for the page."""
    genesis, term, records, governance, _ = (block.body for block in BLOCKS)
    envelope = records.envelopes[0]
    assert governance.proposal is not None
    proposal = governance.proposal.proposal
    message = signed_message(CHAIN, "BROKER", "gateway-1", 2, envelope.leaves)
    named = ["purpose", "format", "chain id"]
    return {
        "record-leaf": record_leaf(),
        "envelope": dump(envelope.raw, *ENVELOPE),
        "envelope-message": dump(
            message, "signed message", [*named, *ENVELOPE[1][:3], "hash algorithm", "digest"]
        ),
        "body-envelopes": dump(records.raw, "body", body_labels(("content", [ENVELOPE, "*"]))),
        "body-empty": dump(term.raw, "body", body_labels("content: new term")),
        "body-governance": dump(
            governance.raw, "body", body_labels(("content", ["proposal", ("signatures", [LINE, "*"])]))
        ),
        "body-genesis": dump(
            genesis.raw, "body", body_labels(("content", ["chain name", "f", "quorum", *ROWS]))
        ),
        "header": dump(BLOCKS[2].header_leaf, "header leaf", HEADER),
        "policy": policy_text(STATE).decode(),
        "governance-hash": f"SHA-256 of the policy  {sha256(policy_text(STATE)).hexdigest()}\n"
        f"SHA-256 of the state   {sha256(encode_state(STATE)).hexdigest()}\n"
        f"governance hash        {governance_hash(STATE).hex()}\n",
        "proposal": dump(proposal, "proposal", [*named, "sequence", ("action", ["name", LIMITS])]),
        "ack": dump(ACK, "ack", [*named, "node id", "term", "height", "entry hash"]),
        "vote": dump(VOTE, "vote", [*named, "term", "voter", "candidate", "last height", "last entry hash"]),
        "hello": dump(HELLO, "hello", [*named, "sender", "receiver", "instance", "nonce"]),
        "chain": chain_table(),
        "receipt": receipt(header=True).decode(),
    }
