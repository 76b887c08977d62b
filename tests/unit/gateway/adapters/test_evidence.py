"""Evidence files."""

from pathlib import Path

from gateway.adapters.evidence import write_evidence


def test_a_case_holds_reason_and_bytes(tmp_path: Path) -> None:
    """The folder has the reason in words and every file as it was given."""
    case = write_evidence(tmp_path / "evidence", "two roots", {"a.note": b"A", "b.note": b"B"})
    assert sorted(p.name for p in case.iterdir()) == ["a.note", "b.note", "reason.txt"]
    assert (case / "a.note").read_bytes() == b"A"
    assert (case / "reason.txt").read_text() == "two roots\n"


def test_the_same_evidence_is_one_case_and_other_evidence_another(tmp_path: Path) -> None:
    """Nothing is overwritten; a half-written case of a crash is completed."""
    first = write_evidence(tmp_path, "words", {"a.note": b"A"})
    (tmp_path / f".{first.name}.new").mkdir()
    assert write_evidence(tmp_path, "other words", {"a.note": b"A"}) == first
    assert (first / "reason.txt").read_text() == "words\n"
    assert write_evidence(tmp_path, "words", {"a.note": b"C"}) != first
