"""The benchmark's load is made of valid, distinct records."""

from ledger.record import PREFIXED_BYTES, check_leaves
from scripts.bench_load import _item, _random_leaves


def test_random_leaves_pass_the_ledgers_own_check() -> None:
    """Otherwise the benchmark would measure refusals."""
    leaves = _random_leaves(50, 7)
    assert check_leaves(leaves, "BROKER") == 50
    assert len({leaves[at : at + PREFIXED_BYTES] for at in range(0, len(leaves), PREFIXED_BYTES)}) == 50


def test_items_are_distinct() -> None:
    """A repeated reference would be answered from memory."""
    items = [_item() for _ in range(50)]
    assert len({item["ref"] for item in items}) == len({item["commitment"] for item in items}) == 50
