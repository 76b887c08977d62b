"""A token bucket: how many records a caller may hand in, without a clock of its own.

Rules kept here: a bucket holds at most `burst` tokens and gains `per_s` a second; a request takes all it needs or
nothing; a request larger than the bucket is let through when the bucket is full and leaves it in debt, since refusing it
for ever would be no rate limit.

Refuses: reading a clock; `now_s` is an argument and any monotonic one will do.
"""

from dataclasses import dataclass


@dataclass(slots=True)
class Bucket:
    """The state of one caller's limit; `tokens` may be negative (debt). Owner: the web door, one per API key."""

    per_s: float
    burst: int
    tokens: float
    updated_s: float

    @classmethod
    def full(cls, per_s: float, burst: int, now_s: float) -> "Bucket":
        """Return a full bucket. `per_s` > 0 tokens per second, `burst` >= 1 tokens."""
        assert per_s > 0
        assert burst >= 1
        return cls(per_s, burst, float(burst), now_s)

    def take(self, count: int, now_s: float) -> float:
        """Take `count` tokens and return 0.0, or take none and return the seconds until the request would pass."""
        elapsed = max(0.0, now_s - self.updated_s)
        self.tokens = min(float(self.burst), self.tokens + elapsed * self.per_s)
        self.updated_s = now_s
        needed = min(count, self.burst)
        if self.tokens < needed:
            return (needed - self.tokens) / self.per_s
        self.tokens -= count
        return 0.0
