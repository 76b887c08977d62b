"""Which governance states may exist.

Why one place: genesis and every action end in a state, and the same rules judge both. An action only has to
make the state that it means; whether that state may be is asked here, so no action can forget a rule.

Rules kept here:
- Ids are unique and sorted. Since rows are never dropped, unique also means never reused: institution and
  node ids on the chain, key ids within their institution, public keys and TLS certificates everywhere,
  whatever their purpose.
- A node that is not removed has exactly one open key of each purpose and belongs to a member; a removed one
  has none.
- There is always a voter.
- Of the n institutions that have an open cosigner key, the quorum q satisfies q <= n and 2q - n > f: two
  quorums always share more than f institutions, so f liars cannot make two contradicting checkpoints final.
- A registration code of 18 characters is a right 统一社会信用代码, and two institutions never share a code:
  the quorum counts institutions, not names.
- Everything has a limit.

Refuses: wall-clock and network facts (how far an observer has caught up is the leader's business).
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

from ledger import names
from ledger.body import BODY_BYTES_MAX, PROPOSAL_BYTES_MAX
from ledger.errors import GovernanceError, PolicyError
from ledger.governance_codec import STATE_BYTES_MAX, encode_state
from ledger.governance_policy import policy_text
from ledger.governance_state import Key, Limits, Node, NodeRole, State, Submitter, TlsPin
from ledger.record import PREFIXED_BYTES

INSTITUTIONS_MAX: Final = 64
NODES_MAX: Final = 1024
NODES_OPEN_MAX: Final = 32
"""Voters and observers at one time: as many witnesses as C2SP tlog-policy asks every reader to support."""
SUBMITTERS_MAX: Final = 4096
KEYS_MAX: Final = 256
"""Rows of one purpose of one owner, closed ones included."""

_BODY_MIN: Final = 2 * PROPOSAL_BYTES_MAX  # a proposal and its signatures always fit
_LIMITS: Final = {
    "attest_every": (1, 1_000),
    "skew_ms": (100, 3_600_000),
    "body_max_bytes": (_BODY_MIN, BODY_BYTES_MAX),
    "body_max_records": (1, BODY_BYTES_MAX // PREFIXED_BYTES),
    "envelope_max_records": (1, BODY_BYTES_MAX // PREFIXED_BYTES),
    "promote_lag_heights": (1, 1_000_000),
}


def validate_state(state: State) -> None:
    """Return if the state may exist.

    Raises GovernanceError: E_GOVERNANCE_ORDER, E_GOVERNANCE_ID_REUSED, E_GOVERNANCE_KEY_ID_REUSED,
    E_GOVERNANCE_KEY_REUSED, E_GOVERNANCE_RANGE, E_GOVERNANCE_OPEN_KEYS, E_GOVERNANCE_UNKNOWN,
    E_GOVERNANCE_IN_USE, E_GOVERNANCE_USCC, E_GOVERNANCE_LAST_VOTER, E_GOVERNANCE_QUORUM_RULE,
    E_GOVERNANCE_POLICY, E_GOVERNANCE_LIMITS, E_GOVERNANCE_TOO_MANY.
    """
    _require_counts(state)
    _require_rising([row.institution for row in state.institutions], "institution")
    _require_rising([row.node_id for row in state.nodes], "node")
    _require_rising([(row.institution, row.key_id) for row in state.submitters], "submitter")
    _require_members(state)
    for node in state.nodes:
        _require_node_keys(node)
    _require_unique_keys(state)
    _require_limits(state.limits)
    if not state.voters():
        raise GovernanceError("E_GOVERNANCE_LAST_VOTER", "without a voter nobody could order anything")
    _require_quorum_rule(state)
    _require_policy(state)
    if len(encode_state(state)) > STATE_BYTES_MAX:
        raise GovernanceError("E_GOVERNANCE_TOO_MANY", f"the state exceeds {STATE_BYTES_MAX} bytes")


def validate_genesis(state: State) -> None:
    """Return if the state may be a chain's first.

    Raises GovernanceError as `validate_state`, and E_GOVERNANCE_GENESIS for rows with a history.
    """
    validate_state(state)
    for row in _all_ranges(state):
        if row.from_height or row.until_height:
            raise GovernanceError(
                "E_GOVERNANCE_GENESIS", f"key {row.key_id} of genesis has a range of heights"
            )
    if any(node.role is NodeRole.REMOVED for node in state.nodes):
        raise GovernanceError("E_GOVERNANCE_GENESIS", "genesis holds a removed node")


def _require_counts(state: State) -> None:
    lists: list[tuple[str, Sequence[object], int]] = [
        ("institutions", state.institutions, INSTITUTIONS_MAX),
        ("nodes", state.nodes, NODES_MAX),
        ("nodes that are not removed", state.open_nodes(), NODES_OPEN_MAX),
        ("submitters", state.submitters, SUBMITTERS_MAX),
        *(("governance keys", row.keys, KEYS_MAX) for row in state.institutions),
    ]
    for node in state.nodes:
        lists += [("node's keys", keys, KEYS_MAX) for keys in (*_key_lists(node), node.tls)]
    for what, rows, most in lists:
        if len(rows) > most:
            raise GovernanceError("E_GOVERNANCE_TOO_MANY", f"more than {most} {what}")


def _require_rising(ids: Sequence[str] | Sequence[tuple[str, str]], what: str) -> None:
    for before, after in pairwise(ids):
        if before == after:
            raise GovernanceError("E_GOVERNANCE_ID_REUSED", f"{what} {after} stands twice")
        if before > after:  # type: ignore[operator]  # both lists are of one type
            raise GovernanceError("E_GOVERNANCE_ORDER", f"{what} {after} is not in order")


def _require_members(state: State) -> None:
    members = set()
    codes: set[str] = set()
    for row in state.institutions:
        if not row.keys:
            raise GovernanceError(
                "E_GOVERNANCE_OPEN_KEYS", f"institution {row.institution} has no governance key"
            )
        if not names.registration_valid(row.uscc):
            raise GovernanceError("E_GOVERNANCE_USCC", f"{row.uscc} is not a right registration code")
        if row.uscc and row.uscc in codes:
            raise GovernanceError("E_GOVERNANCE_USCC", f"registration code {row.uscc} stands twice")
        codes.add(row.uscc)
        if row.open:
            members.add(row.institution)
    owners = [(node.institution, node.role is not NodeRole.REMOVED) for node in state.nodes]
    owners += [(row.institution, not row.until_height) for row in state.submitters]
    for owner, in_use in owners:
        if state.institution(owner) is None:
            raise GovernanceError("E_GOVERNANCE_UNKNOWN", f"there is no institution {owner}")
        if in_use and owner not in members:
            raise GovernanceError(
                "E_GOVERNANCE_IN_USE", f"{owner} is not a member but has a node or an open submitter"
            )


def _key_lists(node: Node) -> tuple[tuple[Key, ...], ...]:
    return node.node_keys, node.log_keys, node.cosigner_keys


def _require_node_keys(node: Node) -> None:
    wanted = 0 if node.role is NodeRole.REMOVED else 1
    rows: Iterable[Sequence[Key | TlsPin]] = (*_key_lists(node), node.tls)
    for keys in rows:
        if not keys or sum(not key.until_height for key in keys) != wanted:
            raise GovernanceError(
                "E_GOVERNANCE_OPEN_KEYS", f"node {node.node_id} does not have one open key of each purpose"
            )


def _all_ranges(state: State) -> list[Key | TlsPin | Submitter]:
    rows: list[Key | TlsPin | Submitter] = [key for row in state.institutions for key in row.keys]
    for node in state.nodes:
        for keys in _key_lists(node):
            rows += keys
        rows += node.tls
    return [*rows, *state.submitters]


def _require_unique_keys(state: State) -> None:
    """Check ranges, and that no key id comes twice in an institution and no key or certificate twice
    anywhere.
    """
    owned: list[tuple[str, Key | TlsPin | Submitter]] = []
    owned += [(row.institution, key) for row in state.institutions for key in row.keys]
    owned += [(node.institution, key) for node in state.nodes for keys in _key_lists(node) for key in keys]
    owned += [(node.institution, pin) for node in state.nodes for pin in node.tls]
    owned += [(row.institution, row) for row in state.submitters]
    ids: set[tuple[str, str]] = set()
    secrets: set[bytes] = set()
    for institution, row in owned:
        if row.until_height and row.until_height <= row.from_height:
            raise GovernanceError("E_GOVERNANCE_RANGE", f"key {row.key_id} ends before it begins")
        if (institution, row.key_id) in ids:
            raise GovernanceError(
                "E_GOVERNANCE_KEY_ID_REUSED", f"{institution} has used key id {row.key_id} before"
            )
        ids.add((institution, row.key_id))
        for public in _publics(row):
            if public in secrets:
                raise GovernanceError(
                    "E_GOVERNANCE_KEY_REUSED", f"the key or certificate of {row.key_id} is in use or was"
                )
            secrets.add(public)


def _publics(row: Key | TlsPin | Submitter) -> tuple[bytes, ...]:
    if isinstance(row, Key):
        return (row.public,)
    return (row.der,) if isinstance(row, TlsPin) else (row.public, row.tls_der)


def _require_limits(limits: Limits) -> None:
    for name, (low, high) in _LIMITS.items():
        value = getattr(limits, name)
        if not low <= value <= high:
            raise GovernanceError("E_GOVERNANCE_LIMITS", f"{name} is {value}, not within {low} to {high}")
    if limits.envelope_max_records > limits.body_max_records:
        raise GovernanceError("E_GOVERNANCE_LIMITS", "an envelope may not hold more records than a body")


def _require_quorum_rule(state: State) -> None:
    n = len(state.cosigning_institutions())
    if not 1 <= state.quorum <= n:
        raise GovernanceError("E_GOVERNANCE_QUORUM_RULE", f"a quorum of {state.quorum} of {n} institutions")
    if 2 * state.quorum - n <= state.f:
        raise GovernanceError(
            "E_GOVERNANCE_QUORUM_RULE",
            f"two quorums of {state.quorum} of {n} institutions may share only {2 * state.quorum - n}, "
            f"not more than f = {state.f}",
        )


def _require_policy(state: State) -> None:
    """Refuse a state whose policy could not be written, such as one with two log keys of one 4-byte key
    id.
    """
    try:
        policy_text(state)
    except PolicyError as error:
        raise GovernanceError("E_GOVERNANCE_POLICY", f"no policy can say this: {error.message}") from error
