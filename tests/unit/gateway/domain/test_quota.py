"""The token bucket."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.quota import Bucket


def test_a_burst_passes_and_the_next_waits() -> None:
    """A full bucket lets its size through; then the wait is what the missing tokens take."""
    bucket = Bucket.full(10.0, 20, now_s=100.0)
    assert bucket.take(20, 100.0) == 0.0
    assert bucket.take(5, 100.0) == 0.5
    assert bucket.take(5, 100.5) == 0.0


def test_a_request_larger_than_the_bucket_passes_when_full_and_leaves_debt() -> None:
    """Refusing it for ever would be no rate limit; afterwards the debt is paid first."""
    bucket = Bucket.full(10.0, 20, now_s=0.0)
    assert bucket.take(50, 0.0) == 0.0
    assert bucket.take(1, 0.0) == 3.1
    assert bucket.take(1, 3.2) == 0.0


def test_a_clock_that_stands_still_gives_nothing() -> None:
    """Tokens come with time only."""
    bucket = Bucket.full(1.0, 1, now_s=5.0)
    assert bucket.take(1, 5.0) == 0.0
    assert bucket.take(1, 5.0) > 0.0
    assert bucket.take(1, 4.0) > 0.0


@given(st.lists(st.tuples(st.integers(1, 30), st.floats(0, 2)), max_size=60))
def test_no_more_passes_than_burst_plus_rate_allows(steps: list[tuple[int, float]]) -> None:
    """Over any time T at most burst + T·rate passes, and one request of debt."""
    bucket = Bucket.full(5.0, 10, now_s=0.0)
    now, passed, largest = 0.0, 0, 0
    for count, wait in steps:
        now += wait
        if bucket.take(count, now) == 0.0:
            passed += count
            largest = max(largest, count)
    assert passed <= 10 + now * 5.0 + largest + 1e-6
