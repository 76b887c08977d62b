"""The worked examples of docs/formats/ledger.md are what the program makes, and the formats' bytes are
frozen.

REWRITE=1 renews the page's examples. The frozen bytes are renewed by REWRITE=formats only, and a change there
means that a format that is out has changed: give it a new number instead.
"""

import json
import os
from pathlib import Path

from doc_examples import check_examples
from ledger_examples import examples, frozen

ROOT = Path(__file__).resolve().parents[2]
FROZEN = ROOT / "tests" / "golden" / "ledger" / "formats.json"


def test_the_page_shows_what_the_program_makes() -> None:
    """Every worked example of the page is current."""
    check_examples(ROOT / "docs" / "formats" / "ledger.md", examples())


def test_no_format_has_changed() -> None:
    """The bytes of every format are those that were frozen when it came out."""
    made = frozen()
    if os.environ.get("REWRITE") == "formats":
        FROZEN.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", "utf-8")
    kept = json.loads(FROZEN.read_text("utf-8"))
    assert list(made) == list(kept)
    assert {name: data for name, data in made.items() if kept[name] != data} == {}
