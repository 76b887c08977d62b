"""The scenarios of consensus/, told in words: each file opens with what it shows (tests/scenarios/consensus/)."""

from pathlib import Path

import pytest
from consensus_words import WORDS, Script
from datadriven import run_file

FOLDER = Path(__file__).parent / "consensus"
FILES = sorted(FOLDER.glob("*.txt"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_scenario(path: Path) -> None:
    """What happens is what the script says, message by message; the invariants hold after every step."""
    run_file(path, Script().run)


def test_there_are_scenarios() -> None:
    """The folder was found, and holds what the README lists."""
    listed = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert len(FILES) >= 25
    for path in FILES:
        assert f"`{path.stem}`" in listed, f"{path.stem} is not in README.md"


def test_every_word_is_explained() -> None:
    """The README tells every word a script may use."""
    listed = (FOLDER / "README.md").read_text(encoding="utf-8")
    for word in WORDS:
        assert f"`{word}" in listed, f"the word {word} is not in README.md"
