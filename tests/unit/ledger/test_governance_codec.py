"""The state's bytes, genesis content and the shapes of rows."""

from dataclasses import replace
from typing import Any

import ledger_world as world
import pytest

from ledger.encoding import pack, unpack
from ledger.errors import LedgerError
from ledger.governance_codec import (
    decode_genesis,
    decode_state,
    encode_state,
    genesis_content,
    limits_array,
    limits_from,
    tls_der_from,
)
from ledger.governance_state import Limits


def fields_of(raw: bytes) -> list[Any]:
    """The decoded array."""
    return unpack(raw, max_bytes=1 << 20, what="state")


def test_a_state_is_read_back() -> None:
    """Encoding and decoding are inverse; the chain id comes from outside."""
    state = world.genesis()
    raw = encode_state(state)
    assert decode_state(state.chain_id, raw) == state
    assert decode_state("other-00000000", raw).chain_id == "other-00000000"
    assert encode_state(decode_state(state.chain_id, raw)) == raw


def test_genesis_content_is_read_back() -> None:
    """Genesis content gives the state whose id hangs on the digest."""
    state = replace(world.genesis(), chain_id="test-01020304")
    content = fields_of(pack(genesis_content("test", state)))
    assert decode_genesis(content, bytes((1, 2, 3, 4)) + bytes(28)) == state


def test_limits_are_read_back() -> None:
    """Limits keep their order."""
    limits = Limits(1, 2, 3, 4, 5, 6)
    assert limits_array(limits) == [1, 2, 3, 4, 5, 6]
    assert limits_from([1, 2, 3, 4, 5, 6]) == limits


# Where in the state's array, what stands there instead, and the code.
WRONG: list[tuple[tuple[int, ...], Any, str]] = [
    ((0,), 2, "E_FORMAT_UNKNOWN"),
    ((1,), "1", "E_FIELD_TYPE"),
    ((2,), 0, "E_FIELD_RANGE"),
    ((4,), 1, "E_FIELD_TYPE"),
    ((4, 0), [1], "E_FIELD_LENGTH"),
    ((4, 0, 0), "auditor", "E_FIELD_PATTERN"),
    ((4, 0, 1), "a\n", "E_FIELD_PATTERN"),
    ((4, 0, 2), "a", "E_FIELD_PATTERN"),
    ((4, 0, 3), "bank", "E_GOVERNANCE_ROLE"),
    ((4, 0, 4, 0, 0), "K", "E_FIELD_PATTERN"),
    ((4, 0, 4, 0, 1), 3, "E_ALGORITHM_UNSUPPORTED"),
    ((4, 0, 4, 0, 1), 4, "E_ALGORITHM_UNKNOWN"),
    ((4, 0, 4, 0, 2), bytes(31), "E_FIELD_LENGTH"),
    ((4, 0, 4, 0, 2), bytes(32), "E_KEY_POINT"),
    ((4, 0, 4, 0, 3), "0", "E_FIELD_TYPE"),
    ((5, 0, 0), "A", "E_FIELD_PATTERN"),
    ((5, 0, 2), "leader", "E_GOVERNANCE_ROLE"),
    ((5, 0, 3), [[1]], "E_FIELD_LENGTH"),
    ((5, 0, 6, 0, 1), b"\x30\x82\x00\x00", "E_GOVERNANCE_TLS"),
    ((5, 0, 6, 0, 1), b"\x30\x82\x01\x01" + bytes(256), "E_GOVERNANCE_TLS"),
    ((5, 0, 6, 0, 1), b"\x31\x82\x01\x00" + bytes(256), "E_GOVERNANCE_TLS"),
    ((5, 0, 6, 0, 1), bytes(4097), "E_FIELD_LENGTH"),
    ((6, 0, 4), b"", "E_GOVERNANCE_TLS"),
    ((6, 0), [1] * 6, "E_FIELD_LENGTH"),
    ((7,), [1] * 5, "E_FIELD_LENGTH"),
    ((7, 0), "1", "E_FIELD_TYPE"),
]


@pytest.mark.parametrize(("where", "value", "code"), WRONG)
def test_each_shape_is_judged(where: tuple[int, ...], value: Any, code: str) -> None:
    """A field of another shape is refused with its code."""
    fields = fields_of(encode_state(world.genesis()))
    target = fields
    for at in where[:-1]:
        target = target[at]
    target[where[-1]] = value
    with pytest.raises(LedgerError) as caught:
        decode_state("test-00000000", pack(fields))
    assert caught.value.code == code


def test_certificates_of_both_length_forms() -> None:
    """DER with one or two bytes of length is taken, if the length is right."""
    short = b"\x30\x81\x81" + bytes(129)
    assert tls_der_from(short, "node") == short
    assert tls_der_from(world.tls_der("x"), "node") == world.tls_der("x")
