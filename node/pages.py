"""The node's page for people: the chain, its members, who cosigned what and when. Chinese first, English
beside it.

Why made by the server: whoever opens a node's address must see at once that this is a chain kept by several
institutions, without scripts, fonts or pictures from anywhere, and under the strictest content policy.

Rules kept here
- Everything that did not come from this file is escaped at the place where it is put into the text (`_t`).
- The page shows what this node says. It tells the reader that proofs are checked offline, with his own
  trust file.
- Colour is never the only sign: every state has words.
- Times are shown in Beijing time; ages are computed here, by this node's clock.

Refuses: forms that change anything, cookies, personal data (there is none on the chain), JSON (that is
`read_http`).
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Final

from ledger.governance_state import NodeRole, State
from node.chain_svg import Drawn, chain_svg
from node.ports import Role
from node.reader import Block
from node.standing import Standing

POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'"
)
_BEIJING: Final = timezone(timedelta(hours=8))
_FOLDER: Final = Path(__file__).parent / "pages"

_INSTITUTION_ROLES: Final = {
    "broker": "证券公司",
    "market": "核心机构",
    "auditor": "会计师事务所",
    "regulator": "监管机构",
    "partner": "合作机构",
}
_NODE_ROLES: Final = {
    NodeRole.VOTER: ("共识节点", "voter"),
    NodeRole.OBSERVER: ("观察节点", "observer"),
    NodeRole.REMOVED: ("已退出", "removed"),
}
_ROLES: Final = {
    Role.LEADER: ("主节点", "leader"),
    Role.FOLLOWER: ("共识节点", "follower"),
    Role.CANDIDATE: ("选举中", "candidate"),
    Role.OBSERVER: ("观察节点", "observer"),
    Role.WAITING: ("等待确认", "waiting"),
    Role.HALTED: ("已停止签名", "halted"),
}
_KINDS: Final = {
    1: ("记录", "records"),
    2: ("治理变更", "governance"),
    3: ("空块", "empty"),
    4: ("创世", "genesis"),
}

_FIND_FORM: Final = """<section class="card"><h2>按摘要查找<span class="en">Find a record by its digest</span></h2>
<form action="/find" method="get"><input type="text" name="commitment" maxlength="64" required
 aria-label="摘要 digest" placeholder="64 位十六进制摘要 · 64 hexadecimal digits"><button>查找 Find</button></form>
</section>"""


@dataclass(frozen=True, slots=True)
class Found:
    """One place where a commitment stands."""

    height: int
    index: int
    final: bool


def style_sheet() -> bytes:
    """Return the style sheet's bytes."""
    return (_FOLDER / "style.css").read_bytes()


def overview(standing: Standing, state: State, blocks: Sequence[Block], now_s: float) -> str:
    """Return the first page; `blocks` are the newest ones, rising, at least one."""
    newest = blocks[-1]
    drawn = [_drawn(block, standing) for block in blocks[-6:]]
    intro = ""
    if newest.height == 0:
        intro = (
            '<p class="empty">链上还没有记录：只有创世区块，它写明了成员、密钥和策略。'
            '<span class="en">No records yet: only the genesis block, which names members, keys and policy.</span></p>'
        )
    rows = "".join(_block_row(block, standing) for block in reversed(blocks))
    body = f"""
{_notices(standing)}
<section class="card"><h1>运行概览<span class="en">Overview</span></h1>{_figures(standing, state, now_s)}</section>
<section class="card"><h2>最新区块<span class="en">Latest blocks, each linked to the one before</span></h2>
<div class="scroll newest">{chain_svg(drawn)}</div>{intro}</section>
<section class="card"><h2>成员与联署<span class="en">Members and their cosignatures</span></h2>
<div class="scroll">{_members(standing, state, now_s)}</div></section>
{_FIND_FORM}
<section class="card"><h2>区块列表<span class="en">Blocks</span></h2><div class="scroll"><table>
<thead><tr><th>高度 <span class="en">height</span></th><th>时间（北京） <span class="en">time</span></th>
<th>类型 <span class="en">kind</span></th><th class="number">记录 <span class="en">records</span></th>
<th class="number">树大小 <span class="en">tree size</span></th><th>区块哈希 <span class="en">block hash</span></th>
<th>状态 <span class="en">state</span></th></tr></thead><tbody>{rows}</tbody></table></div>{_older(blocks)}</section>
"""
    return _page("运行概览", standing, body)


def block_page(standing: Standing, block: Block, root: bytes, now_s: float) -> str:
    """Return the page of one block; `root` is the checkpoint's root at its end."""
    header = block.header
    zh, en = _KINDS[int(header.kind)]
    prev = (
        f'<a href="/block/{block.height - 1}">{header.prev.hex()}</a>' if block.height else header.prev.hex()
    )
    facts = (
        ("高度", "height", f"{block.height:,}"),
        ("类型", "kind", f'{zh} <span class="en">{en}</span>'),
        ("任期", "term", f"{block.term:,}"),
        ("时间（北京）", "time", f"{_when(header.timestamp_ms / 1000)}"),
        ("提出节点", "proposer", _t(block.body.proposer) or "—"),
        ("记录数", "records", f"{header.records:,}"),
        ("首个叶子序号", "first leaf", f"{block.first_index:,}"),
        ("区块头叶子序号", "header leaf", f"{header.tree_size:,}"),
        ("区块哈希", "block hash", f'<span class="hash">{block.block_hash.hex()}</span>'),
        ("前一区块哈希", "prev", f'<span class="hash">{prev}</span>'),
        ("内容摘要", "body digest", f'<span class="hash">{header.body_digest.hex()}</span>'),
        ("树根（记录之后）", "root after the records", f'<span class="hash">{header.root.hex()}</span>'),
        ("治理摘要", "governance hash", f'<span class="hash">{header.governance_hash.hex()}</span>'),
        ("检查点", "checkpoint", f'{block.tree_size:,} · <span class="hash">{root.hex()}</span>'),
        ("状态", "state", _state(block.height, standing)),
    )
    rows = "".join(
        f'<tr><th>{zh} <span class="en">{en}</span></th><td>{value}</td></tr>' for zh, en, value in facts
    )
    older = (
        f'<a href="/block/{block.height - 1}">← #{block.height - 1:,}</a>'
        if block.height
        else "<span></span>"
    )
    newer = (
        f'<a href="/block/{block.height + 1}">#{block.height + 1:,} →</a>'
        if block.height < standing.applied_height
        else "<span></span>"
    )
    body = f"""
{_notices(standing)}
<section class="card"><h1>区块 #{block.height:,}<span class="en">Block</span></h1>
<div class="scroll"><table class="facts-table"><tbody>{rows}</tbody></table></div>
<nav class="pager" aria-label="前后区块">{older}{newer}</nav></section>
{_envelopes(block)}
{_covering(standing, block, now_s)}
"""
    return _page(f"区块 #{block.height:,}", standing, body)


def find_page(standing: Standing, commitment: str, found: Sequence[Found] | None) -> str:
    """Return what is known about a digest; `found` is None when the digest is no digest."""
    if found is None:
        inner = (
            '<p class="notice">摘要应为 64 位十六进制字符。'
            '<span class="en">A digest has 64 hexadecimal digits.</span></p>'
        )
    elif not found:
        inner = (
            '<p class="empty">本节点的链上没有这个摘要。'
            '<span class="en">This node has no record with this digest.</span></p>'
        )
    else:
        rows = "".join(
            f'<tr><td><a href="/block/{one.height}">#{one.height:,}</a></td><td class="number">{one.index:,}</td>'
            f"<td>{_final_tag(final=one.final)}</td><td>"
            + (
                f'<a href="/v1/receipt?index={one.index}&amp;with=header" download="{one.index}.tlog-proof">'
                '下载回执 <span class="en">receipt</span></a>'
                if one.final
                else "—"
            )
            + "</td></tr>"
            for one in found
        )
        inner = (
            '<div class="scroll"><table><thead><tr><th>区块 <span class="en">block</span></th><th class="number">叶子序号'
            ' <span class="en">leaf</span></th><th>状态 <span class="en">state</span></th><th>回执'
            f' <span class="en">receipt</span></th></tr></thead><tbody>{rows}</tbody></table></div>'
        )
    body = f"""
<section class="card"><h1>查找结果<span class="en">Search result</span></h1>
<p class="hash">{_t(commitment[:64])}</p>{inner}</section>
{_FIND_FORM}
"""
    return _page("查找结果", standing, body)


def missing_page(standing: Standing) -> str:
    """Return the page for an address that is not there."""
    body = (
        '<section class="card"><h1>没有这个页面<span class="en">Nothing here</span></h1>'
        '<p><a href="/">返回概览 <span class="en">back to the overview</span></a></p></section>'
    )
    return _page("没有这个页面", standing, body)


# --- parts of pages ---------------------------------------------------------------------------------------


def _page(title: str, standing: Standing, body: str) -> str:
    zh, en = _ROLES[standing.role]
    return f"""<!DOCTYPE html>
<html lang="zh-CN"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · {_t(standing.chain_id)}</title><link rel="stylesheet" href="/style.css"></head>
<body><a class="skip" href="#main">跳到正文</a>
<header class="bar"><div class="in"><a class="brand" href="/">铁证 Tiezheng</a>
<span class="facts">链 {_t(standing.chain_id)}</span>
<span class="facts">节点 {_t(standing.node_id)} · {_t(standing.institution)} · {zh} {en}</span></div></header>
<main id="main">{body}</main>
<footer>本页由节点 {_t(standing.node_id)} 显示，仅供查看；证据请用回执文件和您自己的信任文件离线验证：
<code>tiezheng verify</code>。 <span class="en">This page shows what one node says. Evidence is verified offline, with the
receipt file and your own trust file.</span><br>
<a href="/checkpoint">/checkpoint</a> · <a href="/v1/status">/v1/status</a> · {_t(standing.version)}</footer></body></html>
"""


def _notices(standing: Standing) -> str:
    found = ""
    if standing.role is Role.HALTED:
        found += (
            f'<p class="notice">本节点已停止投票和签名：{_t(standing.reason)}。仍可查询。'
            f'<span class="en">This node has halted and serves reads only.</span></p>'
        )
    for name in standing.convicted:
        found += (
            f'<p class="notice">{_t(name)} 的联署密钥签过相互矛盾的内容，其签名不再计入。'
            f'<span class="en">This cosigner has contradicted itself; its signatures count no more.</span></p>'
        )
    return found


def _figures(standing: Standing, state: State, now_s: float) -> str:
    final = "—"
    note = '还没有 <span class="en">none yet</span>'
    if standing.final_height is not None and standing.final_time_s is not None:
        final = f"#{standing.final_height:,}"
        note = f"树大小 {standing.final_size:,} · {_age(now_s - standing.final_time_s)}"
    leader = _t(standing.leader) or "—"
    members = sum(institution.open for institution in state.institutions)
    rows = (
        ("区块高度", "height", f"#{standing.applied_height:,}", f"任期 term {standing.term:,}"),
        ("树大小", "tree size", f"{standing.size:,}", "叶子 leaves"),
        ("最新已见证检查点", "final", final, note),
        ("见证策略", "policy", f"{state.quorum} / {members}", "家机构联署 institutions cosign"),
        ("主节点", "leader", leader, _link_words(standing)),
    )
    cells = "".join(
        f'<div><dt>{zh} <span class="en">{en}</span></dt><dd>{value}<small>{small}</small></dd></div>'
        for zh, en, value, small in rows
    )
    return f'<dl class="figures">{cells}</dl>'


def _link_words(standing: Standing) -> str:
    if standing.following is not None:
        source = _t(standing.following.source) or "—"
        return f"跟随 following {source}"
    connected = sum(link.connected for link in standing.links)
    return f"已连接 connected {connected} / {len(standing.links)}"


def _members(standing: Standing, state: State, now_s: float) -> str:
    newest = {row.node_id: row for row in standing.cosigners}
    rows = ""
    for node in state.nodes:
        if node.role is NodeRole.REMOVED:
            continue
        institution = state.institution(node.institution)
        assert institution is not None, "a node belongs to an institution"
        zh, en = _NODE_ROLES[node.role]
        row = newest.get(node.node_id)
        if node.cosigner_name() in standing.convicted:
            signed = '<span class="tag bad">密钥自相矛盾 contradicted</span>'
        elif row is None:
            signed = '<span class="tag wait">尚未见到 none seen</span>'
        else:
            current = row.size >= (standing.final_size or 0)
            tag = "good" if current else "wait"
            signed = f'<span class="tag {tag}">{row.size:,}</span> <span class="nowrap">{_age(now_s - row.time_s)}</span>'
        kind = _INSTITUTION_ROLES.get(institution.role, institution.role)
        rows += (
            f'<tr><th>{_t(institution.name)} <span class="en">{_t(node.institution)}</span></th>'
            f'<td>{_t(kind)}</td><td class="nowrap">{_t(node.node_id)}'
            f"{' · 本节点 this node' if node.node_id == standing.node_id else ''}</td>"
            f'<td>{zh} <span class="en">{en}</span></td><td>{signed}</td></tr>'
        )
    return (
        '<table><thead><tr><th>机构 <span class="en">institution</span></th><th>类别</th>'
        '<th>节点 <span class="en">node</span></th><th>角色 <span class="en">role</span></th>'
        '<th>最近联署（树大小，多久以前） <span class="en">newest cosignature</span></th></tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )


def _block_row(block: Block, standing: Standing) -> str:
    zh, en = _KINDS[int(block.header.kind)]
    return (
        f'<tr><td><a href="/block/{block.height}">#{block.height:,}</a></td>'
        f'<td class="nowrap">{_when(block.header.timestamp_ms / 1000)}</td>'
        f'<td class="nowrap">{zh} <span class="en">{en}</span></td><td class="number">{block.header.records:,}</td>'
        f'<td class="number">{block.tree_size:,}</td><td class="hash">{block.block_hash.hex()[:24]}…</td>'
        f"<td>{_state(block.height, standing)}</td></tr>"
    )


def _older(blocks: Sequence[Block]) -> str:
    if blocks[0].height == 0:
        return ""
    older = blocks[0].height - 1
    return f'<nav class="pager"><a href="/?before={older + 1}">更早的区块 <span class="en">older</span></a></nav>'


def _envelopes(block: Block) -> str:
    if not block.body.envelopes:
        return ""
    rows = ""
    at = block.first_index
    for envelope in block.body.envelopes:
        rows += (
            f"<tr><td>{_t(envelope.institution)}</td><td>{_t(envelope.key_id)}</td>"
            f'<td class="number">{envelope.count:,}</td>'
            f'<td class="number">{at:,} – {at + envelope.count - 1:,}</td></tr>'
        )
        at += envelope.count
    return (
        '<section class="card"><h2>签名批次<span class="en">Signed envelopes</span></h2><div class="scroll"><table>'
        '<thead><tr><th>提交机构 <span class="en">submitter</span></th><th>密钥 <span class="en">key</span></th>'
        '<th class="number">记录 <span class="en">records</span></th><th class="number">叶子序号'
        f' <span class="en">leaves</span></th></tr></thead><tbody>{rows}</tbody></table></div></section>'
    )


def _covering(standing: Standing, block: Block, now_s: float) -> str:
    """Who has cosigned a checkpoint that covers the block, as far as this node has seen."""
    rows = "".join(
        f"<tr><th>{_t(row.institution)}</th><td>{_t(row.node_id)}</td>"
        f'<td class="number">{row.size:,}</td><td class="nowrap">{_when(row.time_s)}</td>'
        f'<td class="nowrap">{_age(now_s - row.time_s)}</td></tr>'
        for row in standing.cosigners
        if row.size >= block.tree_size
    )
    if not rows:
        nobody = '还没有机构联署 <span class="en">nobody has cosigned it yet</span>'
        rows = f'<tr><td colspan="5" class="empty">{nobody}</td></tr>'
    return (
        '<section class="card"><h2>覆盖本区块的联署<span class="en">Newest cosignatures that cover this block</span></h2>'
        '<div class="scroll"><table><thead><tr><th>机构 <span class="en">institution</span></th><th>节点</th>'
        '<th class="number">检查点树大小 <span class="en">size</span></th><th>时间（北京） <span class="en">time</span></th>'
        f'<th>距今 <span class="en">age</span></th></tr></thead><tbody>{rows}</tbody></table></div></section>'
    )


def _drawn(block: Block, standing: Standing) -> Drawn:
    clock = datetime.fromtimestamp(block.header.timestamp_ms / 1000, _BEIJING).strftime("%m-%d %H:%M:%S")
    final = standing.final_height is not None and block.height <= standing.final_height
    return Drawn(block.height, block.header.records, clock, block.block_hash, block.header.prev, final)


def _state(height: int, standing: Standing) -> str:
    return _final_tag(final=standing.final_height is not None and height <= standing.final_height)


def _final_tag(*, final: bool) -> str:
    if final:
        return '<span class="tag good">已见证 final</span>'
    return '<span class="tag wait">已上链，待见证 committed</span>'


def _when(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, _BEIJING).strftime("%Y-%m-%d %H:%M:%S")


def _age(seconds: float) -> str:
    if seconds < 1:
        return "刚刚 now"
    for length, zh, en in ((86_400, "天", "d"), (3_600, "小时", "h"), (60, "分钟", "min")):
        if seconds >= length:
            return f"{int(seconds // length)} {zh}前 · {int(seconds // length)} {en} ago"
    return f"{int(seconds)} 秒前 · {int(seconds)} s ago"


def _t(text: str) -> str:
    """Return text as it may stand in HTML, inside elements and quoted attributes."""
    return html.escape(text, quote=True)
