"""Evidence is kept, never overwritten, bounded; and a halted node stays halted."""

from pathlib import Path

import pytest

from consensus.messages import TermNotice
from consensus.ready import Evidence, EvidenceKind
from consensus.types import Entry, EntryKind
from ledger.encoding import unpack
from node import evidence
from node.evidence import EvidenceBox, consensus_proof

NOW_S = 1_795_000_000.5
MESSAGE = TermNotice("market-1", "broker-1", 5)


def test_evidence_is_words_and_bytes(tmp_path: Path) -> None:
    """The words name subject, reason and the file of the proof; nobody else may read them."""
    path = EvidenceBox(tmp_path).keep("market-1", "signed two roots", b"\x00proof", NOW_S)
    assert path is not None
    words = path.read_text("utf-8")
    assert "market-1" in words
    assert "signed two roots" in words
    proof = path.with_suffix(".bin")
    assert proof.name in words
    assert proof.read_bytes() == b"\x00proof"
    assert path.stat().st_mode & 0o777 == 0o600


def test_two_pieces_of_one_moment_do_not_overwrite_each_other(tmp_path: Path) -> None:
    """Losing evidence by a collision would be worse than failing."""
    box = EvidenceBox(tmp_path)
    box.keep("market-1", "a", b"a", NOW_S)
    with pytest.raises(FileExistsError):
        box.keep("market-1", "b", b"b", NOW_S)


def test_the_folder_does_not_grow_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit the alarm is raised without a file."""
    monkeypatch.setattr(evidence, "_FILES_MAX", 3)
    box = EvidenceBox(tmp_path)
    kept = [box.keep("m", "r", b"", NOW_S + at) for at in range(5)]
    assert [path is not None for path in kept] == [True, True, True, False, False]


def test_names_of_subjects_cannot_leave_the_folder(tmp_path: Path) -> None:
    """A name from outside becomes letters, digits and dashes."""
    path = EvidenceBox(tmp_path).keep("../../etc/passwd\n", "r", b"", NOW_S)
    assert path is not None
    assert path.parent == tmp_path / "evidence"


def test_a_halt_outlives_a_restart_and_keeps_its_first_reason(tmp_path: Path) -> None:
    """The file says why and how out of it; taking it away is a person's act."""
    box = EvidenceBox(tmp_path)
    assert box.halted() is None
    box.halt("the first reason", NOW_S)
    box.halt("another", NOW_S + 1)
    assert EvidenceBox(tmp_path).halted() == "the first reason"
    (tmp_path / "halted.txt").unlink()
    assert box.halted() is None


def test_a_halted_file_without_words_halts_all_the_same(tmp_path: Path) -> None:
    """Whoever put it there meant it."""
    (tmp_path / "halted.txt").write_text("", "utf-8")
    assert EvidenceBox(tmp_path).halted() == "halted earlier"


@pytest.mark.parametrize("kind", list(EvidenceKind))
def test_consensus_evidence_names_the_peer_and_keeps_both_entries(kind: EvidenceKind) -> None:
    """Every kind has words; the bytes hold what was held and what contradicts it."""
    held = Entry(7, 4, EntryKind.NORMAL, 1, b"held", bytes(32))
    reason, proof = consensus_proof(Evidence(kind, "market-1", 7, 5, held, None, MESSAGE))
    assert reason.startswith("market-1 ")
    fields = unpack(proof, max_bytes=10_000, what="evidence")
    assert fields[:6] == ["tiezheng/consensus-evidence", 1, int(kind), "market-1", 7, 5]
    assert fields[6:] == [[7, 4, bytes(32), b"held"], []]
