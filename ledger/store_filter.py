"""A filter that knows which keys were surely never seen: one memory access per key.

Why: before a leader orders an envelope it asks of every leaf whether it is on the chain already. Nearly
always the answer is no, and a database would need hundreds of microseconds for it. This filter says "never"
at once and "maybe" for about one new key in five hundred; only those are looked up.

How: a blocked Bloom filter. A key's hash chooses one 32-bit word and four of 30 bits in it (more bits than
that cost time, fewer cost false answers). A layer takes one key per word; when it is full a layer four times
as large is put beside it, so growing never stops the world. At a start one layer of the right size is made.

The hash is Python's own of bytes, which has another secret in every process: nobody can choose commitments
that look alike to it. So the filter is never written to disk, and what it answers may differ between runs;
what the index finally answers does not.

Source: Putze, Sanders, Singler: Cache-, Hash- and Space-Efficient Bloom Filters (2007).
Refuses: forgetting a key, and saying "never" of a key that was added.
"""

from array import array
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

WORDS_MIN: Final = 1 << 20
WORDS_MAX: Final = 1 << 28
"""Largest layer: 1 GiB, for 268 million keys. Beyond it the last layer gets fuller and the answers vaguer."""
GROWTH: Final = 4


def _mask(number: int) -> int:
    """Return four different bits of 30, chosen by the number alone."""
    bits: dict[int, None] = {}
    for byte in sha256(number.to_bytes(2, "big")).digest():
        if byte < 240:  # 8 * 30: no bit is likelier than another
            bits[byte % 30] = None
    return sum(1 << bit for bit in list(bits)[:4])


_MASKS: Final = tuple(_mask(number) for number in range(4096))


class SeenFilter:
    """See the module. One thread adds; any thread asks. `count` is how often something was added."""

    __slots__ = ("_layers", "_room", "_words_max", "count")

    def __init__(self, expected: int = 0, *, words_max: int = WORDS_MAX) -> None:
        """Make room for twice `expected` keys in the first layer, within the limits."""
        words = WORDS_MIN
        while words < 2 * expected:
            words *= 2
        self._words_max = words_max
        self._layers: list[array[int]] = []
        self._room = 0
        self.count = 0
        self._grow(words)

    @property
    def size_bytes(self) -> int:
        """Memory of all layers."""
        return sum(4 * len(layer) for layer in self._layers)

    def add(self, keys: Sequence[bytes]) -> None:
        """Remember keys; about 0.3 us each."""
        if self._room <= 0 and len(self._layers[-1]) < self._words_max:
            self._grow(len(self._layers[-1]) * GROWTH)
        layer, masks = self._layers[-1], _MASKS
        last = len(layer) - 1
        for key in keys:
            mixed = hash(key)
            layer[mixed & last] |= masks[mixed >> 52]  # the upper 12 bits, negative numbers count from behind
        self.count += len(keys)
        self._room -= len(keys)

    def suspects(self, keys: Sequence[bytes]) -> list[int]:
        """Return the positions of the keys that may have been added, rising; the others surely were not.

        About 0.3 us per key and layer; there is one layer until the number of keys at the start has doubled.
        """
        found: set[int] = set()
        masks = _MASKS
        for layer in self._layers:
            last = len(layer) - 1
            found.update(
                at
                for at, key in enumerate(keys)
                if layer[(mixed := hash(key)) & last] & (mask := masks[mixed >> 52]) == mask
            )
        return sorted(found)

    def _grow(self, words: int) -> None:
        words = min(words, self._words_max)
        self._layers.append(array("I", bytes(4 * words)))
        self._room = words
