"""Batches become durable one after the other, each with its own hard state."""

import pytest

from consensus.pipeline import Pipeline
from consensus.types import HardState


def test_durable_follows_the_disk_not_memory() -> None:
    """What was written is not durable before its batch is synced."""
    pipeline = Pipeline(HardState(1, "a", 0))
    first = pipeline.hand_out(3, HardState(2, None, 1), 10)
    second = pipeline.hand_out(5, HardState(2, "b", 3), 20)
    assert (first, second) == (1, 2)
    assert pipeline.durable == HardState(1, "a", 0)
    assert pipeline.written == HardState(2, "b", 3)
    assert pipeline.oldest_ms() == 10
    assert pipeline.synced(1) == 3
    assert pipeline.durable == HardState(2, None, 1)
    assert pipeline.synced(2) == 5
    assert pipeline.oldest_ms() is None


def test_a_truncation_lowers_what_older_batches_make_durable() -> None:
    """Batches on their way hold entries that are overwritten meanwhile."""
    pipeline = Pipeline(HardState())
    pipeline.hand_out(9, HardState(1), 0)
    pipeline.cut(5)
    pipeline.hand_out(7, HardState(2), 0)
    assert pipeline.synced(1) == 4
    assert pipeline.synced(2) == 7


def test_reports_out_of_order_stop_the_process() -> None:
    """A disk that reorders has lost the log; one that reports twice is not counted twice."""
    pipeline = Pipeline(HardState())
    pipeline.hand_out(1, HardState(), 0)
    pipeline.hand_out(2, HardState(), 0)
    with pytest.raises(AssertionError, match="before batch 1"):
        pipeline.synced(2)
    pipeline.synced(1)
    with pytest.raises(AssertionError, match="before batch 2"):
        pipeline.synced(1)
    with pytest.raises(AssertionError, match="never handed out"):
        Pipeline(HardState()).synced(1)
