"""The machine's clocks."""

import time

from gateway.adapters.clock import SystemClock


def test_clocks_are_the_machines() -> None:
    """Wall time is POSIX milliseconds; the monotonic clock does not go back."""
    clock = SystemClock()
    assert abs(clock.wall_ms() / 1000 - time.time()) < 5
    assert clock.monotonic_s() <= clock.monotonic_s()
