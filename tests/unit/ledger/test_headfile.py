"""The head file: what it keeps, when it judges amnesia, and that a torn or flipped byte never lies."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.errors import StoreError, StoreFatalError
from ledger.headfile import (
    FILE_BYTES,
    SLOT_STRIDE,
    CosignMark,
    HeadFile,
    Slot,
    Standing,
    StoreFacts,
    decode_slot,
    encode_slot,
    judge,
    judge_root,
    read_slot,
    start_commit,
)

FACTS = StoreFacts(
    node_id="broker-1",
    instance=bytes(range(16)),
    counter=10,
    term=4,
    vote="market-1",
    last_height=7,
    last_hash=b"h" * 32,
)
MARK = CosignMark(height=6, size=90, root=b"r" * 32)
SLOT = Slot(3, FACTS, MARK)


# --- the slot
# --------------------------------------------------------------------------------------------------


def test_a_slot_comes_back() -> None:
    """Encoding and decoding are inverse, with and without a vote."""
    assert decode_slot(encode_slot(SLOT)) == SLOT
    without = replace(SLOT, facts=replace(FACTS, vote=""))
    assert decode_slot(encode_slot(without)) == without


def test_the_layout_is_as_documented() -> None:
    """The offsets of the module's table are the offsets of the bytes."""
    data = encode_slot(SLOT)
    assert len(data) == SLOT_STRIDE
    assert data[:8] == b"TZHEAD1\n"
    assert int.from_bytes(data[8:16], "big") == 3
    assert data[16:48] == b"broker-1".ljust(32, b"\0")
    assert data[48:64] == FACTS.instance
    assert [int.from_bytes(data[at : at + 8], "big") for at in (64, 72, 112, 152, 160)] == [10, 4, 7, 6, 90]
    assert data[80:112] == b"market-1".ljust(32, b"\0")
    assert data[120:152] == FACTS.last_hash
    assert data[168:200] == MARK.root
    assert not any(data[200:312])
    assert not any(data[344:])


def test_every_flipped_bit_makes_a_slot_unreadable() -> None:
    """There is no byte in a slot whose change goes unnoticed."""
    good = encode_slot(SLOT)
    for at in range(len(good)):
        bad = bytearray(good)
        bad[at] ^= 1 << at % 8
        assert decode_slot(bytes(bad)) is None, at


@pytest.mark.parametrize("length", [0, 1, 343, 344, SLOT_STRIDE - 1])
def test_a_short_slot_is_unreadable(length: int) -> None:
    """A file cut anywhere holds no slot there."""
    assert decode_slot(encode_slot(SLOT)[:length]) is None


# --- the file
# --------------------------------------------------------------------------------------------------


def _head(folder: Path) -> HeadFile:
    return HeadFile.create(folder / "head", replace(FACTS, counter=0, last_height=0, term=0, vote=""))


def test_writes_go_in_turn_and_the_newest_counts(tmp_path: Path) -> None:
    """After each write the file says exactly that, and the slot before it is still there."""
    head = _head(tmp_path)
    for counter in range(1, 6):
        facts = replace(FACTS, counter=counter)
        head.write(facts)
        assert read_slot(tmp_path / "head") == head.newest
        assert head.newest.facts == facts
        data = (tmp_path / "head").read_bytes()
        slots = [decode_slot(data[:SLOT_STRIDE]), decode_slot(data[SLOT_STRIDE:])]
        numbers = sorted(slot.number for slot in slots if slot is not None)
        assert numbers == [head.newest.number - 1, head.newest.number]
    head.close()
    again = HeadFile.open(tmp_path / "head")
    assert again.newest.facts == replace(FACTS, counter=5)
    again.close()


def test_the_mark_stays_until_it_rises(tmp_path: Path) -> None:
    """A write without a mark keeps it; a mark alone keeps the facts; it never falls and has one root per
    size.
    """
    head = _head(tmp_path)
    head.sign_mark(MARK)
    head.write(FACTS)
    assert (head.newest.facts, head.newest.mark) == (FACTS, MARK)
    for wrong in (replace(MARK, size=89), replace(MARK, height=5), replace(MARK, root=b"x" * 32)):
        with pytest.raises(AssertionError):
            head.sign_mark(wrong)
    head.sign_mark(replace(MARK, size=91, root=b"x" * 32))
    head.close()


@pytest.mark.parametrize("field", ["counter", "term"])
def test_counter_and_term_never_fall(tmp_path: Path, field: str) -> None:
    """Writing less than was written is our bug."""
    head = _head(tmp_path)
    head.write(FACTS)
    with pytest.raises(AssertionError):
        head.write(replace(FACTS, **{field: 3}))  # type: ignore[arg-type]
    head.close()


def test_it_is_created_once_and_never_by_a_start(tmp_path: Path) -> None:
    """`create` refuses an existing file, `open` a missing or empty one, and neither makes anything."""
    path = tmp_path / "head"
    with pytest.raises(StoreError, match="E_HEAD_UNREADABLE"):
        HeadFile.open(path)
    assert read_slot(path) is None
    assert not path.exists()
    _head(tmp_path).close()
    assert path.stat().st_size == FILE_BYTES
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(StoreError, match="E_HEAD_EXISTS"):
        _head(tmp_path)
    with pytest.raises(StoreError, match="E_HEAD_CREATE"):
        HeadFile.create(tmp_path / "no" / "head", FACTS)
    path.write_bytes(b"")
    with pytest.raises(StoreError, match="E_HEAD_UNREADABLE"):
        HeadFile.open(path)


def test_a_damaged_newest_slot_leaves_the_one_before(tmp_path: Path) -> None:
    """One spoilt slot costs one write, two cost the file; a slot in the other's place does not count."""
    path = tmp_path / "head"
    head = _head(tmp_path)
    head.write(FACTS)
    before = head.newest
    head.write(replace(FACTS, counter=11))
    place = (head.newest.number & 1) * SLOT_STRIDE
    head.close()
    data = bytearray(path.read_bytes())
    data[place + 70] ^= 4
    path.write_bytes(data)
    assert read_slot(path) == before
    swapped = data[SLOT_STRIDE:] + data[:SLOT_STRIDE]
    path.write_bytes(swapped)
    assert read_slot(path) is None
    data[SLOT_STRIDE - place + 70] ^= 4
    path.write_bytes(data)
    assert read_slot(path) is None


def test_a_slot_torn_at_any_byte_leaves_old_or_new(tmp_path: Path) -> None:
    """Whatever part of the newest write reached the disk, the file says the old word or the new one."""
    path = tmp_path / "head"
    head = _head(tmp_path)
    head.write(FACTS)
    old, before = head.newest, path.read_bytes()
    head.write(replace(FACTS, counter=11, term=5, vote=""), replace(MARK, size=95))
    new, after = head.newest, path.read_bytes()
    head.close()
    start = (new.number & 1) * SLOT_STRIDE
    for cut in [*range(360), SLOT_STRIDE]:
        path.write_bytes(before[:start] + after[start : start + cut] + before[start + cut :])
        assert read_slot(path) in (old, new)


def test_a_failed_write_ends_the_handle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """EIO from pwrite or fdatasync, or a short write, is fatal, and so is everything after it."""

    def refuse(*_: object) -> int:
        raise OSError(5, "Input/output error")

    def short(*_: object) -> int:
        return 17

    for name, fault in (("pwrite", refuse), ("fdatasync", refuse), ("pwrite", short)):
        folder = tmp_path / f"{name}-{fault.__name__}"
        folder.mkdir()
        head = _head(folder)
        head.write(FACTS)
        with monkeypatch.context() as patch:
            patch.setattr(os, name, fault)
            with pytest.raises(StoreFatalError, match="E_HEAD_WRITE"):
                head.write(replace(FACTS, counter=11))
        assert head.newest.facts == FACTS
        with pytest.raises(StoreFatalError, match="E_HEAD_WRITE"):
            head.write(replace(FACTS, counter=12))
        os.close(head._descriptor)


def test_a_closed_file_takes_nothing(tmp_path: Path) -> None:
    """Closing twice is harmless, writing afterwards is fatal."""
    head = _head(tmp_path)
    head.close()
    head.close()
    with pytest.raises(StoreFatalError):
        head.write(FACTS)


def test_an_unreadable_path_is_an_error_not_a_verdict(tmp_path: Path) -> None:
    """A folder in the file's place is told as what it is."""
    with pytest.raises(StoreError, match="E_HEAD_READ"):
        read_slot(tmp_path)


# --- the judgement
# ---------------------------------------------------------------------------------------------

SOUND = [
    ("equal", {}),
    ("ahead", {"counter": 11}),
    ("ahead", {"counter": 11, "term": 5, "vote": ""}),
    ("ahead", {"counter": 11, "term": 5, "vote": "auditor-1"}),
    ("ahead", {"counter": 11, "last_height": 9, "last_hash": b"n" * 32}),
    # A truncation that was synced, and a crash before its slot: the store is shorter, but ahead.
    ("ahead", {"counter": 11, "last_height": 6, "last_hash": b"o" * 32, "term": 5, "vote": ""}),
    ("ahead_more", {"counter": 40, "last_height": 20, "last_hash": b"n" * 32}),
]


@pytest.mark.parametrize(("rule", "change"), SOUND)
def test_sound(rule: str, change: dict[str, object]) -> None:
    """Equal memories, and every store that a crash between the two writes can leave, may promise."""
    verdict = judge(SLOT, replace(FACTS, **change))  # type: ignore[arg-type]
    assert (verdict.standing, verdict.rule) == (Standing.SOUND, rule)
    assert verdict.may_promise


AMNESIA = [
    ("lower_counter", {"counter": 9}),
    ("lower_counter", {"counter": 0, "term": 0, "vote": "", "last_height": 0}),
    ("lower_counter", {"counter": 9, "term": 9, "last_height": 99}),
    ("other_term", {"term": 3}),
    ("other_term", {"term": 5}),
    ("other_vote", {"vote": ""}),
    ("other_vote", {"vote": "auditor-1"}),
    ("other_last_height", {"last_height": 6}),
    ("other_last_height", {"last_height": 8}),
    ("other_last_hash", {"last_hash": b"x" * 32}),
    ("ahead_other_promise", {"counter": 11, "term": 3}),
    ("ahead_other_promise", {"counter": 11, "vote": "auditor-1"}),
    ("ahead_other_promise", {"counter": 12, "vote": ""}),
    ("root_missing", {"counter": 11, "term": 5, "last_height": 5}),
]


@pytest.mark.parametrize(("rule", "change"), AMNESIA)
def test_amnesia(rule: str, change: dict[str, object]) -> None:
    """A store that is behind, or equal in number and different in content, has forgotten; the way out is
    named.
    """
    verdict = judge(SLOT, replace(FACTS, **change))  # type: ignore[arg-type]
    assert (verdict.standing, verdict.rule) == (Standing.AMNESIA, rule)
    assert not verdict.may_promise
    assert "will not vote and not sign" in verdict.words
    assert "a node id that was never used" in verdict.words
    assert "removes broker-1" in verdict.words


def test_no_readable_slot_is_amnesia() -> None:
    """A head file that is gone, or twice damaged, is never made anew by a start."""
    verdict = judge(None, FACTS)
    assert (verdict.standing, verdict.rule) == (Standing.AMNESIA, "no_slot")


@pytest.mark.parametrize("change", [{"node_id": "market-1"}, {"instance": bytes(16)}])
def test_another_nodes_file_is_foreign(change: dict[str, object]) -> None:
    """Mixed folders are told apart from amnesia: nothing is lost yet."""
    verdict = judge(SLOT, replace(FACTS, **change))  # type: ignore[arg-type]
    assert (verdict.standing, verdict.may_promise) == (Standing.FOREIGN, False)
    assert "mixed" in verdict.words


def test_the_cosigned_root_must_be_held() -> None:
    """After replay: the same root is sound, none or another is amnesia, and who never signed forgot
    nothing.
    """
    assert judge_root(SLOT, MARK.root).may_promise
    assert judge_root(SLOT, None).rule == "root_missing"
    assert judge_root(SLOT, b"x" * 32).rule == "root_differs"
    assert judge_root(replace(SLOT, mark=CosignMark()), None).may_promise


def test_commit_starts_at_what_was_signed() -> None:
    """Nobody signs what was not committed, so the mark's height is a lower bound of commit."""
    assert start_commit(SLOT, 3) == 6
    assert start_commit(SLOT, 9) == 9
