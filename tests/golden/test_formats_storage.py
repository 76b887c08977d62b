"""The worked examples of docs/formats/storage.md are what the program writes, and its tables name every key
and rule.
"""

from collections.abc import Iterator
from pathlib import Path

from doc_examples import check_examples
from fake_kv import MemoryKv
from store_world import Pair, bodies

from ledger.headfile import CosignMark, Slot, decode_slot, encode_slot

PAGE = Path(__file__).resolve().parents[2] / "docs" / "formats" / "storage.md"


def _dump(kv: MemoryKv) -> str:
    """Every key with the beginning of its value."""
    lines = []
    for key in kv.all_keys():
        value = kv.get(key)
        assert value is not None
        name = f"{chr(key[0])} {key[1:].hex()}".strip()
        more = f"... {len(value)} bytes" if len(value) > 40 else ""
        lines.append(f"{name:<22}{value[:40].hex()}{more}\n")
    return "".join(lines)


def _pair() -> Pair:
    pair = Pair()
    pair.apply(*bodies(3))
    pair.derived.put_note("final", b"a note\n")
    return pair


def _slot(pair: Pair) -> Slot:
    block = pair.blocks[-1]
    return Slot(5, pair.chain.facts(), CosignMark(block.height, block.tree_size, block.root))


def _fields(data: bytes) -> Iterator[str]:
    """The fields of a slot at the offsets of the page's table."""
    rows = [line.split("|") for line in PAGE.read_text("utf-8").splitlines()]
    table = [row for row in rows if len(row) == 5 and row[1].strip().isdigit()]
    assert sum(int(row[2].strip().replace(",", "")) for row in table) == len(data)
    for row in table[:-1]:
        start, length = int(row[1]), int(row[2])
        yield f"{start:>3}  {data[start : start + length].hex()}\n"


def _examples() -> dict[str, str]:
    pair = _pair()
    slot = encode_slot(_slot(pair))
    return {
        "chain-keys": _dump(pair.chain_kv),
        "derived-keys": _dump(pair.derived_kv),
        "head-slot": "".join(_fields(slot)),
    }


def test_examples_are_fresh() -> None:
    """Every example on the page is what the program makes today."""
    check_examples(PAGE, _examples())


def test_the_example_slot_is_one() -> None:
    """The page's bytes decode to the facts of the example's chain store."""
    pair = _pair()
    assert decode_slot(encode_slot(_slot(pair))) == _slot(pair)


def test_the_lengths_on_the_page_are_those_of_the_values() -> None:
    """Fixed-width values have the widths that the tables give."""
    pair = _pair()
    text = PAGE.read_text("utf-8")
    for kv, key in ((pair.chain_kv, b"S"), (pair.chain_kv, b"e" + bytes(8)), (pair.derived_kv, b"A")):
        value = kv.get(key)
        assert value is not None
        assert f"| {len(value)} bytes" in text, key
