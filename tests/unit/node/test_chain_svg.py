"""The drawing: one linked box per block, an arrow to each one's predecessor, words for states."""

import xml.etree.ElementTree as ET

from node.chain_svg import Drawn, chain_svg


def drawn(height: int, *, final: bool = True, records: int = 3) -> Drawn:
    """A box."""
    return Drawn(
        height, records, "11-25 10:00:00", bytes([height]) * 32, bytes([max(0, height - 1)]) * 32, final
    )


def parsed(drawing: str) -> ET.Element:
    """Our own drawing as XML."""
    return ET.fromstring(drawing)  # noqa: S314 - it was made a line before


def test_it_is_well_formed_and_every_box_is_a_link() -> None:
    """Parses as XML; links lead to the blocks in rising height."""
    root = parsed(chain_svg([drawn(height) for height in range(4, 8)]))
    links = list(root.iter("a"))
    assert [link.get("href") for link in links] == [f"/block/{height}" for height in range(4, 8)]
    assert all("条记录" in (link.get("aria-label") or "") for link in links)


def test_arrows_lead_to_every_predecessor_but_genesis() -> None:
    """One arrow per box, none from genesis."""
    assert len(list(parsed(chain_svg([drawn(4), drawn(5)])).iter("polygon"))) == 2
    assert len(list(parsed(chain_svg([drawn(0), drawn(1)])).iter("polygon"))) == 1


def test_states_are_words_too() -> None:
    """A reader who sees no colours learns which blocks are final."""
    text = chain_svg([drawn(4), drawn(5, final=False)])
    assert "已见证 final" in text
    assert "待见证 not final" in text


def test_every_box_lies_inside() -> None:
    """The view box holds all of them."""
    root = parsed(chain_svg([drawn(height) for height in range(10, 16)]))
    width = int(root.get("width") or 0)
    assert all(int(box.get("x") or 0) + int(box.get("width") or 0) <= width for box in root.iter("rect"))
