"""The house rules hold for every file of the tree (CONTRIBUTING.md, docs/ARCHITECTURE.md).

One test per rule, so that the report names the rule. The rules are tried on deliberate violations in
test_tidy_rules.py; here they judge the tree.
"""

from collections.abc import Mapping
from pathlib import Path

import pytest
from tidy_model import Finding, Source
from tidy_rules import SOURCE_RULES, TREE_RULES, findings, load_tree

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def tree() -> Mapping[str, Source]:
    """Every text file of the repository."""
    return load_tree(ROOT)


@pytest.fixture(scope="module")
def found(tree: Mapping[str, Source]) -> Mapping[str, list[Finding]]:
    """All findings, by rule."""
    return findings(tree)


@pytest.mark.parametrize("rule", [rule.__name__ for rule in (*SOURCE_RULES, *TREE_RULES)])
def test_tree_keeps_rule(found: Mapping[str, list[Finding]], rule: str) -> None:
    """No file breaks this rule."""
    assert not found[rule], "\n" + "\n".join(map(str, found[rule]))


def test_the_tree_is_really_read(tree: Mapping[str, Source]) -> None:
    """The rules judged the real files: this one, and source of every room."""
    assert "tests/test_tidy.py" in tree
    assert {source.room for source in tree.values() if source.in_room} == {
        "ledger",
        "consensus",
        "protos",
        "node",
        "gateway",
        "scripts",
    }
