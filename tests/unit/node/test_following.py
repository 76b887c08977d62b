"""An observer accepts what it has derived itself and a majority of voters has cosigned; nothing else."""

import ledger_world as world
import pytest
import store_world
from core_world import Core

from ledger.algorithms import SIG_ED25519
from ledger.body import encode_envelopes_body
from ledger.governance_proposal import RotateKey
from ledger.proof import prove_consistency
from node import following
from node.errors import FollowError
from node.following import Tail
from node.ports import ObservedEntry

TWO = ("broker-1", "market-1")


def source(count: int = 8) -> Core:
    """A node to be followed."""
    core = Core()
    for body in store_world.bodies(count, records=4):
        core.apply(body)
    return core


def tail_of(core: Core, low: int = 1, high: int | None = None) -> Tail:
    """A tail that stands at genesis and has folded blocks low..high of the source."""
    tail = Tail(Core().point)
    for block in core.pair.blocks[low : None if high is None else high + 1]:
        tail.add(block.height, block.term, block.body.raw)
    return tail


def note_at(core: Core, height: int, signers: tuple[str, ...] = TWO, root: bytes | None = None) -> bytes:
    """A note of a block end."""
    block = core.pair.blocks[height]
    return world.signed_note(world.genesis(), block.tree_size, root or block.root, signers)


def heights(entries: list[ObservedEntry]) -> list[int]:
    """Of accepted entries."""
    return [entry.height for entry in entries]


def refused(code: str, ask: object) -> None:
    """Calling `ask` fails with this code."""
    with pytest.raises(FollowError) as caught:
        ask()  # type: ignore[operator]
    assert caught.value.code == code


def test_a_majority_covers_everything_below() -> None:
    """Blocks up to the note's leave the tail; the others stay; what was accepted can be applied as it is."""
    core = source()
    tail = tail_of(core)
    accepted = tail.note(note_at(core, 5))
    assert heights(accepted) == [1, 2, 3, 4, 5]
    assert tail.blocks == 3
    assert heights(tail.note(note_at(core, 8))) == [6, 7, 8]
    again = Core()
    again.apply(*(entry.body.body for entry in accepted))
    assert again.root == core.pair.blocks[5].root


@pytest.mark.parametrize("signers", [("broker-1",), ("broker-1", "regulator-1"), ("regulator-1",)])
def test_less_than_a_majority_of_voters_covers_nothing(signers: tuple[str, ...]) -> None:
    """One voter, an observer beside him, an observer alone."""
    core = source()
    tail = tail_of(core)
    assert tail.note(note_at(core, 5, signers)) == []
    assert tail.blocks == 8


def test_a_majority_on_another_root_exposes_the_sender() -> None:
    """The blocks are not what the voters signed. A minority's claim exposes nobody."""
    core = source()
    tail = tail_of(core)
    assert tail.note(note_at(core, 5, ("broker-1",), bytes(32))) == []
    refused("E_FOLLOW_ROOT", lambda: tail.note(note_at(core, 5, TWO, bytes(32))))


def test_a_note_ahead_covers_by_a_consistency_proof() -> None:
    """Catching up: the newest checkpoint covers a tail that ends far below it."""
    core = source()
    tail = tail_of(core, 1, 5)
    assert tail.note(note_at(core, 8)) == []
    assert tail.ahead_size == core.size
    proof = prove_consistency(tail.size, core.size, core.derived_store.hashes)
    assert heights(tail.consistent(proof)) == [1, 2, 3, 4, 5]
    tail.add(6, 1, core.pair.blocks[6].body.raw)
    refused("E_FOLLOW_ROOT", lambda: tail.consistent(proof))


def test_a_note_ahead_covers_when_it_is_reached() -> None:
    """Without any proof: the fold's root is the note's, or the sender is exposed."""
    core = source()
    tail = tail_of(core, 1, 5)
    tail.note(note_at(core, 7))
    assert tail.add(6, 1, core.pair.blocks[6].body.raw) == []
    assert heights(tail.add(7, 1, core.pair.blocks[7].body.raw)) == [1, 2, 3, 4, 5, 6, 7]
    assert tail.ahead_size is None
    tail.note(note_at(core, 8, TWO, bytes(32)))
    refused("E_FOLLOW_ROOT", lambda: tail.add(8, 1, core.pair.blocks[8].body.raw))


def test_a_note_ahead_ends_with_its_era() -> None:
    """Once a governance block is folded, the keys that signed it may no longer vouch for what comes."""
    core = Core()
    core.apply(world.empty_body())
    public = world.public("market-1", "cosigner-2")
    action = RotateKey("market-1", "cosigner", "cosigner-2", SIG_ED25519, public)
    core.apply(world.governance_body(core.governance, action))
    core.apply(world.empty_body(ms=5))
    tail = tail_of(core, 1, 1)
    tail.note(note_at(core, 3))
    assert tail.ahead_size is not None
    tail.add(2, 1, core.pair.blocks[2].body.raw)
    assert tail.ahead_size is None


def test_a_note_ahead_needs_the_majority_too() -> None:
    """Otherwise it is no note ahead."""
    core = source()
    tail = tail_of(core, 1, 5)
    tail.note(note_at(core, 8, ("broker-1",)))
    assert tail.ahead_size is None


def test_blocks_that_break_a_rule_are_refused_at_once() -> None:
    """A gap, rubbish, an unregistered submitter's records, a changed byte: with a code, and the tail
    stands.
    """
    core = source()
    tail = tail_of(core, 1, 2)
    block = core.pair.blocks[3]
    refused("E_FOLLOW_HEIGHT", lambda: tail.add(4, 1, core.pair.blocks[4].body.raw))
    with pytest.raises(FollowError):
        tail.add(3, 1, b"rubbish")
    stranger = world.envelope(world.genesis().chain_id, 0, 2, by=("BROKER", "stranger-1"))
    body = encode_envelopes_body("broker-1", world.START_MS + 9, [stranger.raw])
    refused("E_CHAIN_SUBMITTER", lambda: tail.add(3, 1, body))
    changed = block.body.raw[:-1] + bytes([block.body.raw[-1] ^ 1])
    with pytest.raises(FollowError):
        tail.add(3, 1, changed)
    tail.add(3, block.term, block.body.raw)
    assert tail.height == 3


def test_the_tail_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """By blocks and by bytes; covered blocks make room."""
    core = source()
    monkeypatch.setattr(following, "TAIL_BLOCKS_MAX", 3)
    tail = tail_of(core, 1, 3)
    assert (tail.blocks, tail.full) == (3, True)
    refused("E_FOLLOW_FULL", lambda: tail.add(4, 1, core.pair.blocks[4].body.raw))
    tail.note(note_at(core, 3))
    assert (tail.blocks, tail.full) == (0, False)
    monkeypatch.setattr(following, "TAIL_BYTES_MAX", 10)
    tail.add(4, 1, core.pair.blocks[4].body.raw)
    assert tail.full


def test_voters_are_those_in_force_for_the_block() -> None:
    """A rotated key: the governance block itself is covered by the old key, the next one by the new only."""
    core = Core()
    core.apply(world.empty_body())
    public = world.public("market-1", "cosigner-2")
    action = RotateKey("market-1", "cosigner", "cosigner-2", SIG_ED25519, public)
    core.apply(world.governance_body(core.governance, action))
    core.apply(world.empty_body(ms=5))
    tail = tail_of(core)
    assert tail.note(note_at(core, 3)) == []  # signed with market-1's old key
    assert heights(tail.note(note_at(core, 2))) == [1, 2]
    assert heights(tail.note(note_at(core, 3, ("broker-1", "auditor-1")))) == [3]


def test_unreadable_notes_are_refused() -> None:
    """With the note's own code."""
    refused("E_NOTE_FORMAT", lambda: Tail(Core().point).note(b"rubbish"))
