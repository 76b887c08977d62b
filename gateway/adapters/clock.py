"""The machine's clocks, behind `ports.Clock`."""

import time


class SystemClock:
    """Wall clock for what is shown and stored, monotonic clock for pauses and limits."""

    def wall_ms(self) -> int:
        """Return milliseconds since 1970-01-01 UTC."""
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        """Return seconds of a clock that never goes back."""
        return time.monotonic()
