"""docs/api.md and docs/operating/gateway.md say what the program does: tables and examples are its own.

`REWRITE=1` renews them; whoever does that explains the difference in the commit.
"""

import os
from pathlib import Path

import pytest
from api_docs import check_tables, error_examples, good_examples, tables
from doc_examples import check_examples

from gateway.config import GatewayConfig
from gateway.metrics import Metrics
from gateway.settings import reference
from gateway.web.problems import CATALOGUE

ROOT = Path(__file__).parents[3]
REWRITE = os.environ.get("REWRITE") == "1"


def test_the_tables_of_the_api_are_those_of_the_program() -> None:
    """Every route, every state, every error code."""
    check_tables(ROOT / "docs" / "api.md", tables(), rewrite=REWRITE)


@pytest.mark.slow
async def test_every_example_is_a_real_answer(tmp_path: Path) -> None:
    """Each error code is brought about by the request that is shown with it."""
    for name in ("good", *(f"error-{at}" for at in range(len(CATALOGUE)))):
        (tmp_path / name).mkdir()
    errors = await error_examples(tmp_path)
    assert set(errors) == {code.lower().replace("_", "-") for code in CATALOGUE}
    check_examples(ROOT / "docs" / "api.md", {**await good_examples(tmp_path), **errors})


def test_settings_and_figures_are_documented() -> None:
    """Every setting with its default and words; every figure with its labels and words."""
    rows = ["| setting | kind | default | meaning |", "|---|---|---|---|"]
    for doc in reference(GatewayConfig):
        default = f"`{doc.default}`" if doc.default else "must be given" if doc.kind != "table" else ""
        rows.append(f"| `{doc.path}` | {doc.kind} | {default} | {doc.words} |")
    figures = ["| figure | kind | labels | meaning |", "|---|---|---|---|"]
    for name, kind, labels, words in _figures():
        figures.append(f"| `{name}` | {kind} | {labels} | {words} |")
    wanted = {"settings": "\n".join(rows) + "\n", "figures": "\n".join(figures) + "\n"}
    check_tables(ROOT / "docs" / "operating" / "gateway.md", wanted, rewrite=REWRITE)


def _figures() -> list[tuple[str, str, str, str]]:
    """Return name, kind, labels and words of every figure, as Prometheus shows them."""
    found = []
    metrics = Metrics("x")
    by_family = {getattr(value, "_name", ""): value for value in vars(metrics).values()}
    for family in metrics.registry.collect():
        figure = by_family.get(family.name)
        labels = ", ".join(getattr(figure, "_labelnames", ("version", "role")))
        name = family.name + ("_total" if family.type == "counter" else "")
        found.append((name, family.type, labels, family.documentation))
    return found
