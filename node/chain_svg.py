"""The newest blocks as a drawing: boxes from left to right, each with an arrow to the block that its `prev`
names.

Why drawn by the server: the page works without scripts and under a policy that forbids everything inline;
colours and fonts come from the page's own style sheet through classes.

Rules kept here
- Numbers and hexadecimal only; nothing from outside is put into the drawing but hashes and figures.
- Oldest left, newest right; at most BLOCKS_MAX boxes. Every box is a link with a name that a screen reader
  can say.

Refuses: animation, scripts, images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

BLOCKS_MAX: Final = 6
_WIDTH: Final = 152
_HEIGHT: Final = 122
_GAP: Final = 26
_PAD: Final = 6


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a box shows. `clock` is a time of day; `block_hash` and `prev` have 32 bytes."""

    height: int
    records: int
    clock: str
    block_hash: bytes
    prev: bytes
    final: bool


def chain_svg(blocks: Sequence[Drawn]) -> str:
    """Return the drawing of blocks in rising height."""
    assert 1 <= len(blocks) <= BLOCKS_MAX
    before = blocks[0].height > 0  # an arrow that leads to what is not drawn
    left = _PAD + (_GAP if before else 0)
    width = left + len(blocks) * _WIDTH + (len(blocks) - 1) * _GAP + _PAD
    height = _HEIGHT + 2 * _PAD
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    parts = [f'<svg class="chain" {size} role="group" aria-label="最新区块 · latest blocks">']
    for at, block in enumerate(blocks):
        x = left + at * (_WIDTH + _GAP)
        if at or before:
            parts.append(_arrow(x))
        parts.append(_box(block, x))
    parts.append("</svg>")
    return "".join(parts)


def _arrow(x: int) -> str:
    """The link from the box at `x` to the one before it; the head points to the older block."""
    middle = _PAD + _HEIGHT // 2
    tip = x - _GAP + 3
    head = f"{tip},{middle} {tip + 9},{middle - 5} {tip + 9},{middle + 5}"
    return f'<path class="link" d="M{x} {middle}H{tip + 8}"/><polygon class="head" points="{head}"/>'


def _box(block: Drawn, x: int) -> str:
    y = _PAD
    state = "已见证 final" if block.final else "待见证 not final"
    mark = "mark" if block.final else "mark wait"
    records = f"{block.records:,} 条记录 records" if block.records else "无记录 no records"
    label = f"区块 {block.height}, {block.records} 条记录, {state}"
    prev = "创世 genesis" if block.height == 0 else f"prev {block.prev.hex()[:10]}…"
    lines = (
        (30, "height", f"#{block.height:,}"),
        (50, "soft", block.clock),
        (69, "", records),
        (87, "code", f"hash {block.block_hash.hex()[:10]}…"),
        (102, "code", prev),
    )
    texts = "".join(
        f'<text x="{x + 12}" y="{y + down}"{f" class={chr(34)}{name}{chr(34)}" if name else ""}>{text}</text>'
        for down, name, text in lines
    )
    return (
        f'<a href="/block/{block.height}" aria-label="{label}"><g class="{"final" if block.final else "open"}">'
        f'<rect class="box" x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="7"/>{texts}'
        f'<text class="{mark}" text-anchor="end" x="{x + _WIDTH - 12}" y="{y + 28}">{"✓" if block.final else "…"}'
        f"<title>{state}</title></text></g></a>"
    )
