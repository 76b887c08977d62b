"""Consensus' host: payloads are bodies, hashes are the ledger's, checks are the chain's."""

import ledger_world as world
import pytest
from node_world import opened

from consensus.errors import PayloadError
from consensus.types import EntryKind
from ledger.body import Body, EmptyReason, parse_body
from ledger.chain import VerifiedBody
from ledger.entry import entry_hash
from ledger.governance import genesis_state
from node import replica
from node.replica import LedgerHost
from node.start import Opened

GENESIS = world.genesis_body()
STATE = genesis_state(GENESIS)


@pytest.fixture
def memory() -> Opened:
    """A new node with genesis applied."""
    return opened(GENESIS)


def _root(memory: Opened) -> bytes:
    return memory.chain_store.last().entry_hash


def test_an_entry_is_a_body_with_the_ledgers_hash(memory: Opened) -> None:
    """Kind, stamp and hash follow from the bytes and their place."""
    body = world.envelopes_body(STATE.chain_id, (0, 2), ms=7)
    entry = memory.host.entry(_root(memory), 1, 3, body.raw)
    assert (entry.index, entry.term, entry.kind, entry.stamp_ms) == (
        1,
        3,
        EntryKind.NORMAL,
        world.START_MS + 7,
    )
    assert entry.hash == entry_hash(STATE.chain_id, _root(memory), 1, 3, body.digest)
    empty = memory.host.entry(_root(memory), 1, 3, world.empty_body().raw)
    assert empty.kind is EntryKind.EMPTY


@pytest.mark.parametrize(
    ("payload", "index", "code"),
    [
        (b"", 1, "E_ENCODING_TRUNCATED"),
        (b"\x90", 1, "E_FIELD_LENGTH"),
        (GENESIS.raw, 1, "E_CHAIN_GENESIS"),
        (world.empty_body().raw, 0, "E_CHAIN_GENESIS"),
    ],
)
def test_what_is_no_payload_is_refused_with_the_ledgers_code(
    memory: Opened, payload: bytes, index: int, code: str
) -> None:
    """The code travels back to the leader."""
    with pytest.raises(PayloadError) as caught:
        memory.host.entry(_root(memory), index, 1, payload)
    assert caught.value.code == code


def _check(memory: Opened, body: Body, proposer: str | None = "broker-1") -> str | None:
    return memory.host.check(memory.host.entry(_root(memory), 1, 1, body.raw), proposer)


def test_a_good_body_passes_and_is_not_verified_again(memory: Opened) -> None:
    """What was checked before acknowledging is handed to the chain as verified."""
    body = world.envelopes_body(STATE.chain_id, (0, 2))
    entry = memory.host.entry(_root(memory), 1, 1, body.raw)
    assert memory.host.check(entry, "broker-1") is None
    memory.host.entry(_root(memory), 1, 1, body.raw)  # the same bytes come again: what is known of them stays
    taken = memory.host.take(entry)
    assert isinstance(taken, VerifiedBody)
    assert isinstance(memory.host.take(entry), Body), "taken once; then it is parsed again"


def test_bodies_are_judged_by_the_chains_rules(memory: Opened) -> None:
    """Proposer, submitter, chain: each refusal is the chain's own code."""
    good = world.envelopes_body(STATE.chain_id, (0, 2))
    assert _check(memory, good, "market-1") == "E_BODY_NOT_PROPOSERS"
    assert _check(memory, good, None) is None
    assert _check(memory, world.envelopes_body("other-00000000", (0, 2))) == "E_ENVELOPE_SIGNATURE"
    stranger = world.envelopes_body(STATE.chain_id, (0, 2), proposer="nobody-1")
    assert _check(memory, stranger, None) == "E_CHAIN_PROPOSER"


def test_time_is_not_judged_here(memory: Opened) -> None:
    """Consensus judges stamps; a body from the past is none of the host's business."""
    assert _check(memory, world.envelopes_body(STATE.chain_id, (0, 2), ms=-1_000_000)) is None


def test_an_empty_body_is_judged_without_any_state(memory: Opened) -> None:
    """It may stand behind a change that is not applied: only its proposer is compared."""
    assert _check(memory, world.empty_body(proposer="nobody-1"), "nobody-1") is None
    assert _check(memory, world.empty_body(), "market-1") == "E_BODY_NOT_PROPOSERS"


def test_own_empty_bodies_say_why_they_are_empty(memory: Opened) -> None:
    """A term's start and a new era read differently."""
    for new_term, reason in ((True, EmptyReason.NEW_TERM), (False, EmptyReason.NEW_ERA)):
        body = parse_body(memory.host.empty(77, new_term=new_term))
        assert (body.proposer, body.timestamp_ms, body.reason) == ("broker-1", 77, reason)


def test_stored_entries_come_back_as_they_were_derived(memory: Opened) -> None:
    """Genesis too, which is the root that consensus begins with."""
    entry = memory.host.stored(memory.chain_store.entry(0))
    assert (entry.index, entry.term, entry.payload) == (0, 0, GENESIS.raw)
    assert entry.hash == _root(memory)


def test_what_is_remembered_is_bounded(memory: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bodies that are never applied (truncated entries) do not stay for ever."""
    monkeypatch.setattr(replica, "_REMEMBERED_MAX_BYTES", 10_000)
    host: LedgerHost = memory.host
    for at in range(50):
        host.entry(_root(memory), 1, 1, world.envelopes_body(STATE.chain_id, (at, 5)).raw)
    assert host._bytes <= 10_000
    assert host._bytes == sum(len(replica._raw(body)) for body in host._bodies.values())
