"""The demonstration's forgeries are forgeries, and nothing else is changed."""

from pathlib import Path

from scripts.demo import _Demonstration
from scripts.sample_records import write_samples


def test_the_forged_original_differs_and_keeps_its_salt(tmp_path: Path) -> None:
    """One year is another; the salt is the same, so only the content can be what is refused."""
    original = write_samples(tmp_path)[0].file
    forged = _Demonstration._forged_original(original, tmp_path)
    assert forged.read_bytes() != original.read_bytes()
    assert len(forged.read_bytes()) == len(original.read_bytes())
    assert (
        forged.with_name(forged.name + ".salt").read_bytes()
        == original.with_name(original.name + ".salt").read_bytes()
    )


def test_the_forged_receipt_differs_in_the_tree_size_only(tmp_path: Path) -> None:
    """The signatures then cover another text."""
    receipt = tmp_path / "r"
    receipt.write_text(
        "c2sp.org/tlog-proof@v1\nextra AA==\nindex 3\nAAAA\n\norigin\n41\nroot\n\n— x y\n", encoding="utf-8"
    )
    forged = _Demonstration._forged_receipt(receipt, tmp_path)
    before, after = receipt.read_text().split("\n"), forged.read_text().split("\n")
    assert [(a, b) for a, b in zip(before, after, strict=True) if a != b] == [("41", "42")]
