"""The shipped samples."""

from pathlib import Path

from scripts.opening import commitment_of
from scripts.sample_records import sample_records, write_samples


def test_every_sample_becomes_a_file_with_a_salted_commitment(tmp_path: Path) -> None:
    """What is submitted can be recomputed from the file and its salt."""
    samples = write_samples(tmp_path)
    assert len(samples) == len(sample_records()) == 42
    assert len({s.item["ref"] for s in samples}) == 42
    assert len({(s.item["source"], s.item["source_seq"]) for s in samples}) == 42
    for sample in samples:
        assert commitment_of(sample.file).hex() == sample.item["commitment"]


def test_writing_again_changes_nothing(tmp_path: Path) -> None:
    """A second `dev up` submits the very same commitments."""
    first = [s.item for s in write_samples(tmp_path)]
    assert [s.item for s in write_samples(tmp_path)] == first
