"""Who may hand in and read records: an API key's scope, as a value.

Why here: the rule must be the same for every door, and a test can enumerate it.

Rules kept here:
- A key is bound to named sources, or to all of its institution ("*"). There is no default key and no anonymous caller.
- What lies outside a key's scope is invisible to it: reading answers "unknown", never "forbidden".

Refuses: holding the secret. Only its SHA-256 is known (a key is 256 random bits, so a plain digest suffices).
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One caller: its name in telemetry, the SHA-256 of its secret (32 bytes), its sources (None = all), its rate.

    `records_per_s` and `burst` limit what it hands in; 0 means that the gateway's default rules.
    """

    name: str
    digest: bytes
    sources: frozenset[str] | None
    records_per_s: float = 0.0
    burst: int = 0

    def allows(self, source: str) -> bool:
        """Return whether the key may use `source`."""
        return self.sources is None or source in self.sources

    def forbidden(self, sources: Iterable[str]) -> set[str]:
        """Return those of `sources` that the key may not use."""
        return set() if self.sources is None else set(sources) - self.sources
