"""Other nodes' notes: what becomes final, what is ignored, and which contradictions convict whom."""

import pytest
from attest_world import World, electorate, party

from ledger.note import (
    ED25519,
    ED25519_COSIGNATURE,
    VerifierKey,
    format_vkey,
    open_note,
    parse_note,
)
from ledger.policy import parse_policy, satisfied
from node import gathering as module
from node import notes
from node.findings import Convicted, Finalized, Finding, Rejected, SelfContradicted
from node.gathering import Gathering

BROKER, MARKET, AUDITOR, REGULATOR = "broker-1", "market-1", "auditor-1", "regulator-1"


def gathering_of(world: World, me: str = BROKER, applied: int | None = None) -> Gathering:
    """The collection of one node that has applied the world's chain, or the first heights of it."""
    own = world.parties[me]
    found = Gathering(world.book(), {own.line_name: own.signer.public}, ())
    height = world.length - 1 if applied is None else applied
    found.set_applied(world.points[height].size, 0.0)
    return found


def give(
    found: Gathering, world: World, sender: str, height: int, time_s: int = 1_700_000_000
) -> list[Finding]:
    """Hand in one node's own note of a height and settle."""
    found.receive(sender, world.parties[sender].note(world.points[height], time_s), 0.0)
    return found.settle()


def sign_own(found: Gathering, world: World, me: str, height: int) -> list[Finding]:
    """Let the node count its own signatures of a height."""
    own, point = world.parties[me], world.points[height]
    log = own.log_line(point)
    public = next(iter(electorate([own], 1).logs.values()))
    found.set_mark(point.size)
    found.own_signed(own.seen(point, 1_700_000_000), point, public, log)
    return found.settle()


def test_a_quorum_of_institutions_makes_a_checkpoint_final() -> None:
    """Own signature and two others of three other institutions: final, with all three lines and a log
    line.
    """
    world = World()
    found = gathering_of(world)
    assert sign_own(found, world, BROKER, 7) == []
    assert give(found, world, MARKET, 7) == []
    assert found.covered is not None
    assert found.covered.point == world.points[7]
    (finding,) = give(found, world, AUDITOR, 7)
    assert isinstance(finding, Finalized)
    assert found.final == finding.attested
    assert finding.attested.point == world.points[7]
    lines = parse_note(finding.attested.note).signatures
    assert [line.name for line in lines] == [
        "test-00c0ffee",
        "AUDITOR/auditor-1",
        "BROKER/broker-1",
        "MARKET/market-1",
    ]


def test_a_final_note_satisfies_the_standard_policy() -> None:
    """What this collection calls final, a plain tlog-policy verifier accepts: the other implementation
    agrees.
    """
    world = World()
    found = gathering_of(world)
    for sender in (MARKET, AUDITOR, REGULATOR):
        give(found, world, sender, 3)
    assert found.final is not None
    parties = world.parties.values()
    logs = electorate(list(parties), 3).logs
    text = "".join(
        f"log {format_vkey(VerifierKey('test-00c0ffee', ED25519, key))}\n" for key in logs.values()
    )
    for one in parties:
        vkey = format_vkey(VerifierKey(one.signer.name, ED25519_COSIGNATURE, one.signer.public))
        text += f"witness {one.signer.name} {vkey}\ngroup {one.signer.institution} any {one.signer.name}\n"
    text += (
        "group institutions 3 "
        + " ".join(one.signer.institution for one in parties)
        + "\nquorum institutions\n"
    )
    policy = parse_policy(text.encode())
    opened = open_note(parse_note(found.final.note), policy.keys())
    assert satisfied(policy, [row.key.name for row in opened.verified])


def test_two_nodes_of_one_institution_count_once() -> None:
    """The quorum counts institutions, not keys."""
    world = World()
    world.parties["broker-2"] = party("broker-2", "BROKER", voter=True)
    found = gathering_of(world)
    sign_own(found, world, BROKER, 7)
    assert give(found, world, "broker-2", 7) == []
    assert give(found, world, MARKET, 7) == []
    assert found.final is None
    assert isinstance(give(found, world, REGULATOR, 7)[0], Finalized)


def test_an_observers_signature_covers_nothing_but_counts_for_the_quorum() -> None:
    """`covered` asks for voters, `final` for institutions."""
    world = World()
    found = gathering_of(world)
    give(found, world, REGULATOR, 7)
    give(found, world, MARKET, 7)
    before = found.covered
    give(found, world, AUDITOR, 7)
    assert before is None
    assert found.covered is not None
    assert found.final is not None


def test_old_notes_are_ignored_and_late_ones_on_the_final_size_are_added() -> None:
    """Below the final size nothing changes; at it, the fourth signature joins the note."""
    world = World()
    found = gathering_of(world)
    for sender in (MARKET, AUDITOR, REGULATOR):
        give(found, world, sender, 9)
    assert found.final is not None
    before = found.final.note
    assert give(found, world, BROKER, 5) == []
    assert found.final.note == before
    assert give(found, world, BROKER, 9) == []
    assert len(found.final.signers) == 4


def test_a_signature_renewed_at_the_same_size_replaces_the_older() -> None:
    """Freshness: the note carries the newer time; an older one that comes late changes nothing."""
    world = World()
    found = gathering_of(world)
    for sender in (MARKET, AUDITOR, REGULATOR):
        give(found, world, sender, 9, 1_000)
    give(found, world, MARKET, 9, 2_000)
    give(found, world, MARKET, 9, 1_500)
    assert found.final is not None
    assert {seen.signer.node_id: seen.time_s for seen in found.final.signers}[MARKET] == 2_000
    assert [seen.time_s for seen in found.seen() if seen.signer.node_id == MARKET] == [2_000]


def test_notes_ahead_of_the_chain_wait_for_it() -> None:
    """A node that has not applied so far judges the notes when it has."""
    world = World()
    found = gathering_of(world, applied=4)
    for sender in (MARKET, AUDITOR, REGULATOR):
        assert give(found, world, sender, 8) == []
    found.set_applied(world.points[7].size, 0.0)
    assert found.settle() == []
    found.set_applied(world.points[8].size, 0.0)
    assert isinstance(found.settle()[0], Finalized)


def test_a_restart_takes_back_the_final_note() -> None:
    """The kept note is judged like any other: on another chain it is nothing."""
    world = World()
    found = gathering_of(world)
    for sender in (MARKET, AUDITOR, REGULATOR):
        give(found, world, sender, 9)
    assert found.final is not None
    again = gathering_of(world)
    again.receive("", found.final.note, 0.0)
    assert isinstance(again.settle()[0], Finalized)
    assert again.final == found.final
    other = gathering_of(World(salt="other", fork_at=2))
    other.receive("", found.final.note, 0.0)
    other.settle()
    assert other.final is None


@pytest.mark.parametrize("garbage_first", [True, False])
def test_a_false_line_never_stands_in_for_a_true_one(*, garbage_first: bool) -> None:
    """Somebody puts garbage under another's name, first or second: the true signature counts all the same."""
    world = World()
    found = gathering_of(world)
    true = world.parties[MARKET].seen(world.points[7], 5)
    false = type(true.line)(true.line.name, true.line.key_id, true.line.blob[:-1] + b"\x00")
    raws = [notes.join(true.text, [line]) for line in (true.line, false)]
    for raw in reversed(raws) if garbage_first else raws:
        found.receive(AUDITOR, raw, 0.0)
    findings = found.settle()
    findings += sign_own(found, world, BROKER, 7)
    findings += give(found, world, AUDITOR, 7)
    assert any(isinstance(finding, Finalized) for finding in findings)
    assert (Rejected(AUDITOR, "E_NOTE_SIGNATURE") in findings) == garbage_first


def test_only_garbage_is_no_quorum() -> None:
    """Three lines, one of them false: not final, and the sender of the false one is named."""
    world = World()
    found = gathering_of(world)
    point = world.points[7]
    sign_own(found, world, BROKER, 7)
    give(found, world, MARKET, 7)
    true = world.parties[AUDITOR].seen(point, 5)
    false = type(true.line)(true.line.name, true.line.key_id, true.line.blob[:-1] + b"\x00")
    found.receive(MARKET, notes.join(true.text, [false]), 0.0)
    assert found.settle() == [Rejected(MARKET, "E_NOTE_SIGNATURE")]
    assert found.final is None
    assert isinstance(give(found, world, AUDITOR, 7)[0], Finalized)


def test_unknown_keys_do_not_count() -> None:
    """A key that governance does not name is air, even with good signatures."""
    world = World()
    found = gathering_of(world)
    stranger = party("market-1", "MARKET", voter=True, generation="other")
    sign_own(found, world, BROKER, 7)
    give(found, world, AUDITOR, 7)
    found.receive(MARKET, stranger.note(world.points[7]), 0.0)
    assert found.settle() == []
    assert found.final is None


@pytest.mark.parametrize("order", ["good first", "bad first"])
@pytest.mark.parametrize("higher", [0, 3])
def test_two_contradicting_signatures_convict_the_key(order: str, higher: int) -> None:
    """Another root, and ours at that size or above: the key is convicted once, and counts no more."""
    world, other = World(), World(salt="other", fork_at=6)
    found = gathering_of(world)
    sign_own(found, world, BROKER, 7)
    give(found, world, AUDITOR, 7)
    good = world.parties[MARKET].note(world.points[7 + higher])
    bad = world.parties[MARKET].note(other.points[7])
    raws = [good, bad] if order == "good first" else [bad, good]
    findings = []
    for raw in raws:
        found.receive(MARKET, raw, 0.0)
        findings += found.settle()
    if higher and order == "good first":
        # the good line was not needed and not looked at; the key's next one is, and convicts
        findings += give(found, world, MARKET, 12)
    convicted = [finding for finding in findings if isinstance(finding, Convicted)]
    assert len(convicted) == 1
    assert convicted[0].signer == world.parties[MARKET].signer
    assert convicted[0].second_size <= convicted[0].first_size
    assert found.convicted == {world.parties[MARKET].signer.public}
    give(found, world, MARKET, 20)
    sign_own(found, world, BROKER, 20)
    assert not any(isinstance(finding, Finalized) for finding in give(found, world, AUDITOR, 20))
    assert any(isinstance(finding, Finalized) for finding in give(found, world, REGULATOR, 20))


def test_two_foreign_roots_at_one_size_convict_as_well() -> None:
    """The contradiction need not touch our own chain."""
    found = gathering_of(World())
    for salt in ("one", "two"):
        other = World(salt=salt, fork_at=6)
        found.receive(MARKET, other.parties[MARKET].note(other.points[7]), 0.0)
    assert [type(finding) for finding in found.settle()] == [Convicted]


def test_another_root_alone_convicts_nobody() -> None:
    """A key whose chain may have parted from ours before has not contradicted itself yet."""
    world, other = World(), World(salt="other", fork_at=6)
    found = gathering_of(world)
    give(found, world, MARKET, 5)
    found.receive(MARKET, other.parties[MARKET].note(other.points[7]), 0.0)
    assert found.settle() == []
    assert found.convicted == frozenset()


def test_a_quorum_on_another_root_means_that_this_node_is_wrong() -> None:
    """Two others are not enough; with the third institution the node has to halt."""
    other = World(salt="other", fork_at=6)
    found = gathering_of(World())
    findings: list[list[Finding]] = []
    for sender in (MARKET, AUDITOR, REGULATOR):
        found.receive(sender, other.parties[sender].note(other.points[7]), 0.0)
        findings.append(found.settle())
    assert findings[:2] == [[], []]
    (finding,) = findings[2]
    assert isinstance(finding, SelfContradicted)
    assert "quorum" in finding.reason


def test_ones_own_signature_on_a_root_one_does_not_hold_halts() -> None:
    """At a size of the chain with another root, and above the mark ahead of the chain; not below the mark."""
    world, other = World(), World(salt="other", fork_at=6)
    found = gathering_of(world)
    found.receive(MARKET, other.parties[BROKER].note(other.points[7]), 0.0)
    assert [type(finding) for finding in found.settle()] == [SelfContradicted]
    ahead = gathering_of(world, applied=4)
    ahead.set_mark(world.points[9].size)
    ahead.receive(MARKET, world.parties[BROKER].note(world.points[8]), 0.0)
    assert ahead.settle() == []
    ahead.receive(MARKET, world.parties[BROKER].note(world.points[10]), 0.0)
    assert [type(finding) for finding in ahead.settle()] == [SelfContradicted]


def test_sizes_that_are_no_block_end_are_refused_without_drama() -> None:
    """A true root in the middle of a block is nobody's checkpoint, but contradicts nothing."""
    world = World()
    found = gathering_of(world)
    size = world.points[7].size - 1
    text = notes.checkpoint_text("test-00c0ffee", size, world.book().root_at(size))
    seen = world.parties[MARKET].seen(world.points[7], 5)
    found.receive(MARKET, notes.join(text, [seen.line]), 0.0)
    assert found.settle() == [Rejected(MARKET, "E_NOTE_NO_BLOCK_END")]


def test_unreadable_notes_are_refused_with_their_code() -> None:
    """Garbage, another chain, extension lines, too much: a code and the sender's name, nothing else."""
    world = World()
    found = gathering_of(world)
    good = world.parties[MARKET].note(world.points[7])
    for raw, code in (
        (b"", "E_NOTE_FORMAT"),
        (good.replace(b"test-00c0ffee\n", b"other-00c0ffee\n", 1), "E_NOTE_ORIGIN"),
        (good.replace(b"\n\n", b"\nmore\n\n", 1), "E_CHECKPOINT_EXTENSION"),
        (good + b"x" * notes.NOTE_BYTES_MAX, "E_NOTE_SIZE"),
        (good + good.splitlines(keepends=True)[-1], "E_NOTE_TWICE"),
    ):
        found.receive(MARKET, raw, 0.0)
        assert found.settle() == [Rejected(MARKET, code)]


def test_open_sizes_are_bounded_and_a_slow_signer_still_finds_common_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With two of three signers far ahead, half of the old sizes are dropped; the third one still meets
    them.
    """
    monkeypatch.setattr(module, "OPEN_SIZES_MAX", 24)
    monkeypatch.setattr(module, "KEPT_NEWEST", 8)
    world = World(length=60)
    found = gathering_of(world)
    for height in range(60):
        sign_own(found, world, BROKER, height)
        give(found, world, MARKET, height)
    final = [give(found, world, AUDITOR, height) for height in range(60)]
    heights = [one.attested.point.height for rows in final for one in rows if isinstance(one, Finalized)]
    assert heights == sorted(heights)
    assert heights[0] < 20
    assert heights[-8:] == list(range(52, 60))
    assert len(found._sizes) <= 24


def test_parked_notes_are_bounded() -> None:
    """A sender who floods sizes ahead of the chain pushes out his own oldest notes, nobody else's."""
    world = World()
    found = gathering_of(world, applied=0)
    for sender in (MARKET, AUDITOR, REGULATOR):
        give(found, world, sender, 5)
    filler = world.parties[MARKET].seen(world.points[7], 5)
    for size in range(1_000, 8_000):
        text = notes.checkpoint_text("test-00c0ffee", size, bytes(32))
        found.receive(MARKET, notes.join(text, [filler.line]), 0.0)
    assert sum(len(parked.notes) for parked in found._parked.values()) < 6_000
    assert all(parked.size_bytes <= 1024 * 1024 for parked in found._parked.values())


def test_a_slow_signer_is_still_seen() -> None:
    """Somebody whose notes always come below the final size shows with his newest size, checked now and
    then.
    """
    world = World()
    found = gathering_of(world)
    for sender in (BROKER, MARKET, AUDITOR):
        give(found, world, sender, 20)
    for height in range(3, 9):
        found.receive(REGULATOR, world.parties[REGULATOR].note(world.points[height]), height * 0.4)
        found.settle()
    sizes = {seen.signer.node_id: seen.size for seen in found.seen()}
    assert sizes[REGULATOR] >= world.points[6].size
