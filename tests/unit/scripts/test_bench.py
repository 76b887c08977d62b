"""The benchmark's arithmetic and its page."""

from scripts import bench
from scripts.bench_load import Result


def test_percentiles_of_known_values() -> None:
    """p50 and p99 of 0 to 99."""
    values = [float(n) for n in range(100)]
    assert bench.percentile(values, 0.5) == 50.0
    assert bench.percentile(values, 0.99) == 99.0
    assert bench.percentile([], 0.5) is None


def test_a_row_shows_rates_per_record() -> None:
    """2,000 records in 4 s with 1 s of CPU and 1 MB: 500/s, 0.5 s per 1,000, 500 bytes."""
    result = Result(records=2000, seconds=4.0, committed_s=[0.002], final_s=[0.004])
    row = bench.Row("node", 100, 8, result, 1.0, 1_000_000, 0.4, 0.1)
    cells = bench.render([row]).splitlines()[1].split()
    assert cells == ["node", "100", "8", "500", "2.0", "2.0", "4.0", "4.0", "0.500", "500", "0.40", "0.10"]


def test_the_conditions_name_the_machine_and_the_yardstick_is_positive() -> None:
    """A figure without its conditions is a rumour."""
    assert "cores" in bench.conditions(1)
    assert bench.reference_us() > 0
