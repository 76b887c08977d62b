"""The filter never forgets, is seldom wrong about new keys, and grows without looking back."""

from hashlib import sha256

from ledger import store_filter
from ledger.store_filter import SeenFilter


def _keys(first: int, count: int) -> list[bytes]:
    return [sha256(b"%d" % number).digest()[:16] for number in range(first, first + count)]


def test_what_was_added_is_always_suspect() -> None:
    """No false negatives, in one layer or several."""
    seen = SeenFilter()
    keys = _keys(0, 20_000)
    for start in range(0, 20_000, 1000):
        seen.add(keys[start : start + 1000])
    assert seen.count == 20_000
    assert seen.suspects(keys) == list(range(20_000))


def test_new_keys_are_seldom_suspect() -> None:
    """At its fullest a layer is wrong about one new key in a few hundred."""
    seen = SeenFilter(words_max=1 << 20)
    seen._layers[0] = seen._layers[0][: 1 << 14]  # the same fullness with fewer keys
    seen.add(_keys(0, 1 << 14))
    wrong = len(seen.suspects(_keys(100_000, 20_000)))
    assert 0 < wrong < 100


def test_positions_are_those_of_the_question() -> None:
    """Old and new keys mixed: the answer names the old ones' places."""
    seen = SeenFilter()
    seen.add(_keys(0, 3))
    asked = [_keys(7, 1)[0], _keys(0, 1)[0], _keys(8, 1)[0], _keys(2, 1)[0]]
    assert seen.suspects(asked) == [1, 3]
    assert seen.suspects([]) == []


def test_a_full_layer_gets_a_larger_neighbour() -> None:
    """Growing keeps what is there, is four times as large, and stops at the limit."""
    seen = SeenFilter(words_max=1 << 21)
    seen._room = 5
    seen.add(_keys(0, 5))
    seen.add(_keys(5, 5))
    assert [len(layer) for layer in seen._layers] == [1 << 20, 1 << 21]
    seen._room = 0
    seen.add(_keys(10, 5))
    assert len(seen._layers) == 2
    assert seen.suspects(_keys(0, 15)) == list(range(15))
    assert seen.size_bytes == 4 * 3 * (1 << 20)


def test_a_start_makes_room_for_twice_as_many() -> None:
    """The first layer fits what is expected, within the limits."""
    assert SeenFilter(3_000_000).size_bytes == 4 << 23
    assert SeenFilter(10**12, words_max=1 << 20).size_bytes == 4 << 20


def test_masks_have_four_bits_of_thirty() -> None:
    """Each of the 4,096 masks sets four different bits; they are spread evenly and nearly all different."""
    masks = store_filter._MASKS
    assert all(mask.bit_count() == 4 and mask < 1 << 30 for mask in masks)
    assert len(set(masks)) > 3700
    used = [sum(mask >> bit & 1 for mask in masks) for bit in range(30)]
    assert max(used) < 1.3 * min(used)
