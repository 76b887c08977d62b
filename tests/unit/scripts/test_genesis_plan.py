"""Reading a plan: every refusal names the file and the field."""

from pathlib import Path

import pytest

from scripts.exit_codes import CommandError, Exit
from scripts.genesis_plan import make_genesis


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "institutions is missing"),
        ("chain_name = ", "cannot be read"),
        ('institutions = []\nchain_name = "x"', "nodes is missing"),
        ('institutions = []\nnodes = ["nobody.json"]\nquorum = 1\nchain_name = "x"', "nobody.json"),
        ("institutions = 7", "wrong type"),
    ],
)
def test_what_is_missing_or_wrong_is_named(tmp_path: Path, text: str, words: str) -> None:
    """No traceback, no half-made chain."""
    plan = tmp_path / "plan.toml"
    plan.write_text(text, encoding="utf-8")
    with pytest.raises(CommandError) as caught:
        make_genesis(plan, 0)
    assert caught.value.exit_code == (Exit.NOT_FOUND if words == "nobody.json" else Exit.UNREADABLE)
    assert words in caught.value.message


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    """A governance key is not a node's identity."""
    (tmp_path / "k.json").write_text('{"schema": "tiezheng.key/1"}', encoding="utf-8")
    plan = tmp_path / "plan.toml"
    plan.write_text('institutions = []\nnodes = ["k.json"]\nquorum = 1\nchain_name = "x"', encoding="utf-8")
    with pytest.raises(CommandError, match="no public node file"):
        make_genesis(plan, 0)
