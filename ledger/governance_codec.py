"""Governance values to and from canonical arrays: the state's bytes, genesis content, keys inside actions.

Format of the state: ``[1, f, quorum, next_sequence, institutions, nodes, submitters, limits]`` with

- institution ``[id, name, uscc, role, [key, ...]]``
- key ``[key_id, sig_alg, public, from_height, until_height]``
- node ``[node_id, institution, role, [node key, ...], [log key, ...], [cosigner key, ...], [tls, ...]]``
- tls ``[key_id, certificate DER, from_height, until_height]``
- submitter ``[institution, key_id, sig_alg, public, certificate DER, from_height, until_height]``
- limits ``[attest_every, skew_ms, body_max_bytes, body_max_records, envelope_max_records,
  promote_lag_heights]``

Genesis content is ``[chain_name, f, quorum, institutions, nodes, submitters, limits]`` with the same rows.

Rules kept here: the shape of every field, and nothing else; each public key is one that may be registered.
Refuses: what needs to look at more than one row at a time. That is `governance_rules`.
"""

from collections.abc import Sequence
from typing import Final

from ledger import ed25519, names
from ledger.algorithms import require_signature
from ledger.encoding import Value, as_array, as_bytes, as_int, as_text, pack, require_format, unpack
from ledger.errors import GovernanceError
from ledger.governance_state import (
    INSTITUTION_ROLES,
    Institution,
    Key,
    Limits,
    Node,
    NodeRole,
    State,
    Submitter,
    TlsPin,
)

STATE_FORMAT: Final = 1
STATE_BYTES_MAX: Final = 4 * 1024 * 1024
TLS_DER_BYTES_MAX: Final = 4096


def state_array(state: State) -> list[Value]:
    """Return the state's array. Its canonical bytes go into the governance hash and into the store."""
    return [STATE_FORMAT, state.f, state.quorum, state.next_sequence, *_rows(state)]


def _rows(state: State) -> list[Value]:
    return [
        [_institution_array(row) for row in state.institutions],
        [_node_array(row) for row in state.nodes],
        [_submitter_array(row) for row in state.submitters],
        limits_array(state.limits),
    ]


def encode_state(state: State) -> bytes:
    """Return the canonical bytes of a state."""
    return pack(state_array(state))


def decode_state(chain_id: str, raw: bytes) -> State:
    """Return the state that `raw` spells; `chain_id` is known from genesis. Raises EncodingError,
    PublicKeyError.
    """
    fields = as_array(unpack(raw, max_bytes=STATE_BYTES_MAX, what="governance state"), "governance state", 8)
    require_format(fields[0], "governance state", STATE_FORMAT)
    return State(
        chain_id,
        as_int(fields[1], "f"),
        as_int(fields[2], "quorum", 1),
        as_int(fields[3], "next sequence"),
        _institutions(fields[4]),
        _nodes(fields[5]),
        _submitters(fields[6]),
        limits_from(fields[7]),
    )


def genesis_content(chain_name: str, state: State) -> list[Value]:
    """Return the content of the genesis body that gives `state`; its chain id is not looked at."""
    assert state.next_sequence == 0, "genesis numbers no proposal"
    return [chain_name, state.f, state.quorum, *_rows(state)]


def decode_genesis(content: Sequence[object], genesis_digest: bytes) -> State:
    """Return the state of genesis content (the seven fields). Raises EncodingError and PublicKeyError."""
    name = as_text(content[0], "chain name", names.CHAIN_NAME)
    return State(
        names.chain_id(name, genesis_digest),
        as_int(content[1], "f"),
        as_int(content[2], "quorum", 1),
        0,
        _institutions(content[3]),
        _nodes(content[4]),
        _submitters(content[5]),
        limits_from(content[6]),
    )


def limits_array(limits: Limits) -> list[Value]:
    """Return the array of the chain's limits."""
    return [
        limits.attest_every,
        limits.skew_ms,
        limits.body_max_bytes,
        limits.body_max_records,
        limits.envelope_max_records,
        limits.promote_lag_heights,
    ]


def limits_from(value: object) -> Limits:
    """Return the limits of an array; raises EncodingError E_FIELD_TYPE, …_LENGTH or …_RANGE."""
    fields = as_array(value, "limits", 6)
    return Limits(*(as_int(field, "limit") for field in fields))


def public_key_from(sig_alg: object, public: object, what: str) -> tuple[int, bytes]:
    """Return (algorithm, key) of a public key that may be registered.

    Raises EncodingError E_FIELD_…, E_ALGORITHM_…, PublicKeyError.
    """
    algorithm = as_int(sig_alg, f"{what} algorithm")
    require_signature(algorithm)
    key = as_bytes(public, f"{what} key", ed25519.PUBLIC_KEY_BYTES)
    ed25519.validate_public_key(key)
    return algorithm, key


def tls_der_from(value: object, what: str) -> bytes:
    """Return a TLS certificate that looks like one: a DER sequence of exactly these bytes.

    Only its outline is checked, since the pinned bytes are compared whole. Raises EncodingError E_FIELD_… and
    GovernanceError E_GOVERNANCE_TLS.
    """
    der = as_bytes(value, f"{what} certificate", max_length=TLS_DER_BYTES_MAX)
    if len(der) < 132 or der[:2] not in {b"\x30\x81", b"\x30\x82"}:
        raise GovernanceError("E_GOVERNANCE_TLS", f"{what} certificate is not DER")
    width = der[1] - 0x80
    if int.from_bytes(der[2 : 2 + width], "big") != len(der) - 2 - width:
        raise GovernanceError("E_GOVERNANCE_TLS", f"{what} certificate is not DER of its own length")
    return der


def _key_array(key: Key) -> list[Value]:
    return [key.key_id, key.sig_alg, key.public, key.from_height, key.until_height]


def _institution_array(row: Institution) -> list[Value]:
    return [row.institution, row.name, row.uscc, row.role, [_key_array(key) for key in row.keys]]


def _node_array(row: Node) -> list[Value]:
    keys: list[Value] = [
        [_key_array(key) for key in keys] for keys in (row.node_keys, row.log_keys, row.cosigner_keys)
    ]
    pins: list[Value] = [[pin.key_id, pin.der, pin.from_height, pin.until_height] for pin in row.tls]
    return [row.node_id, row.institution, str(row.role), *keys, pins]


def _submitter_array(row: Submitter) -> list[Value]:
    key: list[Value] = [row.institution, row.key_id, row.sig_alg, row.public]
    return [*key, row.tls_der, row.from_height, row.until_height]


def _institutions(value: object) -> tuple[Institution, ...]:
    rows = []
    for item in as_array(value, "institutions"):
        fields = as_array(item, "institution", 5)
        rows.append(
            Institution(
                as_text(fields[0], "institution id", names.INSTITUTION),
                as_text(fields[1], "institution name", names.DISPLAY_NAME),
                as_text(fields[2], "institution uscc", names.REGISTRATION),
                role_from(fields[3]),
                _keys(fields[4], "governance"),
            )
        )
    return tuple(rows)


def role_from(value: object) -> str:
    """Return an institution's role. Raises EncodingError E_FIELD_…, GovernanceError E_GOVERNANCE_ROLE."""
    role = as_text(value, "institution role", names.NODE_ID)
    if role not in INSTITUTION_ROLES:
        raise GovernanceError(
            "E_GOVERNANCE_ROLE", f"an institution's role is one of {', '.join(INSTITUTION_ROLES)}"
        )
    return role


def _keys(value: object, purpose: str) -> tuple[Key, ...]:
    rows = []
    for item in as_array(value, f"{purpose} keys"):
        fields = as_array(item, f"{purpose} key", 5)
        key_id = as_text(fields[0], f"{purpose} key id", names.KEY_ID)
        sig_alg, public = public_key_from(fields[1], fields[2], purpose)
        heights = as_int(fields[3], "from height"), as_int(fields[4], "until height")
        rows.append(Key(key_id, sig_alg, public, *heights))
    return tuple(rows)


def _nodes(value: object) -> tuple[Node, ...]:
    rows = []
    for item in as_array(value, "nodes"):
        fields = as_array(item, "node", 7)
        role = as_text(fields[2], "node role", names.NODE_ID)
        if role not in NodeRole.__members__.values():
            raise GovernanceError("E_GOVERNANCE_ROLE", "a node's role is voter, observer or removed")
        rows.append(
            Node(
                as_text(fields[0], "node id", names.NODE_ID),
                as_text(fields[1], "node institution", names.INSTITUTION),
                NodeRole(role),
                _keys(fields[3], "node"),
                _keys(fields[4], "log"),
                _keys(fields[5], "cosigner"),
                _pins(fields[6]),
            )
        )
    return tuple(rows)


def _pins(value: object) -> tuple[TlsPin, ...]:
    rows = []
    for item in as_array(value, "tls pins"):
        fields = as_array(item, "tls pin", 4)
        key_id = as_text(fields[0], "tls key id", names.KEY_ID)
        heights = as_int(fields[2], "from height"), as_int(fields[3], "until height")
        rows.append(TlsPin(key_id, tls_der_from(fields[1], "node"), *heights))
    return tuple(rows)


def _submitters(value: object) -> tuple[Submitter, ...]:
    rows = []
    for item in as_array(value, "submitters"):
        fields = as_array(item, "submitter", 7)
        institution = as_text(fields[0], "submitter institution", names.INSTITUTION)
        key_id = as_text(fields[1], "submitter key id", names.KEY_ID)
        sig_alg, public = public_key_from(fields[2], fields[3], "submitter")
        der = tls_der_from(fields[4], "submitter")
        heights = as_int(fields[5], "from height"), as_int(fields[6], "until height")
        rows.append(Submitter(institution, key_id, sig_alg, public, der, *heights))
    return tuple(rows)
