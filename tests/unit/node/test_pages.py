"""The page for people: what it shows, in words, and that nothing from outside gets in unescaped."""

import re
from html.parser import HTMLParser

import ledger_world as world
import store_world
from core_world import Core, Known
from fake_node import observer, voter

from node import pages, standing
from node.ports import Role
from node.reader import Block, Reader

NOW_S = 1_764_000_100.0
VOID = {"meta", "link", "input", "br"}


class Balance(HTMLParser):
    """Fails when elements do not nest; collects text and links."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        self.links += [value for name, value in attrs if name == "href" and value]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element of the drawing that closes itself."""

    def handle_endtag(self, tag: str) -> None:
        """An element ends."""
        assert self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        """Text."""
        self.text += data


def read(page: str) -> Balance:
    """Parse a page; its elements nest and all are closed."""
    parser = Balance()
    parser.feed(page)
    assert parser.open == []
    return parser


def made(count: int) -> tuple[Core, Known, list[Block]]:
    """A core with blocks, all but the last two final."""
    core = Core()
    for body in store_world.bodies(count, records=5):
        core.apply(body)
    known = Known(core)
    known.finalize(max(0, count - 2))
    reader = Reader(core, lambda *_: None)
    return core, known, [reader.block(height) for height in range(core.applied_height + 1)]


def test_the_overview_shows_members_blocks_and_finality() -> None:
    """Institutions by name, cosignature ages, the drawing with links, both states."""
    core, known, blocks = made(9)
    page = read(pages.overview(standing.take(core, known, None), core.governance, blocks, NOW_S))
    for words in (
        "样例证券",
        "样例监管机构",
        "尚未见到",
        "已见证",
        "待见证",
        "最新已见证检查点",
        "#7",
        "1 分钟前",
    ):
        assert words in page.text, words
    assert {f"/block/{height}" for height in range(4, 10)} <= set(page.links)


def test_an_empty_chain_says_so() -> None:
    """Only genesis: words instead of an empty table, and the drawing of one box."""
    core, known, blocks = made(0)
    known.final = None
    page = read(pages.overview(standing.take(core, known, None), core.governance, blocks, NOW_S))
    assert "链上还没有记录" in page.text
    assert "还没有" in page.text
    assert "创世" in page.text


def test_a_block_shows_its_header_and_its_neighbours() -> None:
    """Every header field whole, the envelopes, who covers it, links to both sides."""
    core, known, blocks = made(9)
    block = blocks[5]
    page = read(pages.block_page(standing.take(core, known, None), block, core.pair.blocks[5].root, NOW_S))
    header = block.header
    for value in (block.block_hash, header.prev, header.body_digest, header.root, header.governance_hash):
        assert value.hex() in page.text
    assert core.pair.blocks[5].root.hex() in page.text
    assert {"/block/4", "/block/6"} <= set(page.links)
    assert "gateway-1" in page.text
    assert "AUDITOR" in page.text
    last = read(pages.block_page(standing.take(core, known, None), blocks[-1], bytes(32), NOW_S))
    assert "还没有机构联署" in last.text
    assert "/block/10" not in last.links
    first = read(pages.block_page(standing.take(core, known, None), blocks[0], bytes(32), NOW_S))
    assert "/block/1" in first.links


def test_search_results() -> None:
    """Found and final with its receipt, found and open, unknown, no digest."""
    one = read(
        pages.find_page(voter(), "ab" * 32, [pages.Found(3, 17, final=True), pages.Found(9, 40, final=False)])
    )
    assert "/v1/receipt?index=17&with=header" in one.links
    assert not any("index=40" in link for link in one.links)
    assert "没有这个摘要" in read(pages.find_page(voter(), "ab" * 32, [])).text
    assert "64 位" in read(pages.find_page(voter(), "xyz", None)).text


def test_a_search_can_be_followed_by_another() -> None:
    """The page of results holds the form again: who mistyped a digest need not go back."""
    for found in ([pages.Found(3, 17, final=True)], [], None):
        assert 'action="/find"' in pages.find_page(voter(), "ab" * 32, found)


def test_no_table_is_wider_than_its_card() -> None:
    """Every table stands in an element that scrolls by itself, so a narrow screen shows the page's own width."""
    core, known, blocks = made(4)
    shown = standing.take(core, known, None)
    for page in (
        pages.overview(shown, world.genesis(), blocks, NOW_S),
        pages.block_page(shown, blocks[2], bytes(32), NOW_S),
        pages.find_page(voter(), "ab" * 32, [pages.Found(3, 17, final=True)]),
    ):
        assert page.count("<table")
        assert page.count("<table") == len(re.findall(r'<div class="scroll">\s*<table', page))


def test_trouble_is_said_first() -> None:
    """A halted node and a convicted key are notices, in words."""
    core, _, blocks = made(1)
    bad = voter(role=Role.HALTED, reason="its own signature <contradicts> it", convicted=("MARKET/market-1",))
    page = pages.overview(bad, core.governance, blocks, NOW_S)
    assert "its own signature &lt;contradicts&gt; it" in page
    assert "自相矛盾" in page
    assert page.index("notice") < page.index("运行概览<")


def test_everything_from_outside_is_escaped() -> None:
    """Identifiers have narrow alphabets, and are escaped all the same."""
    core, _, blocks = made(1)
    evil = '<script>"&'
    for page in (
        pages.overview(
            voter(chain_id=evil, node_id=evil, institution=evil, leader=evil, version=evil),
            core.governance,
            blocks,
            NOW_S,
        ),
        pages.find_page(voter(), evil, None),
        pages.missing_page(observer(node_id=evil)),
    ):
        assert "<script" not in page
        read(page)


def test_the_style_sheet_has_no_outside_sources() -> None:
    """No imports, no addresses; classes in the pages exist in it."""
    css = pages.style_sheet().decode()
    assert "url(" not in css
    assert "@import" not in css
    core, known, blocks = made(4)
    page = pages.overview(standing.take(core, known, None), world.genesis(), blocks, NOW_S)
    for names in re.findall(r'class="([^"]+)"', page):
        for name in names.split():
            assert f".{name}" in css or name == "open", name
