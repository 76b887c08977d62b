"""The running node's facts: marks never fall, halting is one way, and what is applied is told to
everybody.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from pathlib import Path

import ledger_world as world
import pytest
from node_world import opened, steps

from ledger.body import Body
from ledger.chain import AppliedBlock
from ledger.governance import genesis_state
from ledger.governance_proposal import RevokeSubmitter
from ledger.headfile import CosignMark
from node.core_view import CoreView
from node.errors import HaltedError, NodeError
from node.evidence import EvidenceBox
from node.ports import NodeCore, ObservedEntry, Role
from node.start import Opened

GENESIS = world.genesis_body()
CHAIN_ID = genesis_state(GENESIS).chain_id


class Marks:
    """Stands for the disk thread's side of marks."""

    def __init__(self) -> None:
        self.asked: list[CosignMark] = []
        self.durable = asyncio.Event()

    async def _wait(self) -> None:
        await self.durable.wait()

    def mark(self, mark: CosignMark) -> Awaitable[None]:
        """Durable once the test says so."""
        self.asked.append(mark)
        return asyncio.ensure_future(self._wait())


class Core:
    """A view of a node with two applied blocks."""

    def __init__(self, folder: Path, *, halted: str | None = None) -> None:
        self.memory: Opened = opened(GENESIS, halted=halted)
        self.deaths: list[BaseException] = []
        self.view = CoreView("broker-1", self.memory, EvidenceBox(folder), self.deaths.append)
        self.marks = Marks()
        self.halts = 0
        self.view.connect(self.marks, self._halted, _no_ingest)

    def _halted(self) -> None:
        self.halts += 1

    def apply(self, *bodies: Body) -> list[AppliedBlock]:
        """Apply bodies and tell the view."""
        blocks = self.memory.applier.apply(steps(*bodies, first=self.view.applied_height + 1))
        self.view.applied(blocks)
        return blocks


async def _no_ingest(entries: Sequence[ObservedEntry]) -> None:
    raise AssertionError(entries)


@pytest.fixture
def core(tmp_path: Path) -> Core:
    """A view that stands at height 1."""
    core = Core(tmp_path)
    core.apply(world.empty_body(ms=1))
    return core


def test_the_view_is_what_the_ports_ask_for(core: Core) -> None:
    """Checked by the type checker as well."""
    port: NodeCore = core.view
    assert (port.chain_id, port.node_id, port.institution) == (CHAIN_ID, "broker-1", "BROKER")
    assert (port.applied_height, port.size) == (1, 2)
    assert port.root == core.memory.derived.root_at(2)
    assert port.point.height == 1
    assert port.raft_status().role is Role.OBSERVER, "no consensus has been connected"
    assert port.links() == []
    assert port.mark is None


def test_whoever_listens_is_told_of_each_group(core: Core) -> None:
    """After the derived store has it; counted too."""
    heard: list[int] = []
    core.view.on_applied(lambda blocks: heard.extend(block.height for block in blocks))
    core.view.on_applied(lambda _: heard.append(core.memory.derived.applied()))
    core.apply(world.envelopes_body(CHAIN_ID, (0, 3), ms=2), world.empty_body(ms=3))
    assert heard == [2, 3, 3]
    assert (core.view.stats().blocks_applied, core.view.stats().records_applied) == (3, 3)


def test_governance_changes_replace_book_and_submitters(core: Core) -> None:
    """A revoked gateway's certificate opens the door no more."""
    before = core.view.submitters
    assert set(before) == {world.SUBMITTER}
    core.apply(world.governance_body(core.view.governance, RevokeSubmitter(*world.SUBMITTER), ms=2))
    assert core.view.submitters == {}
    assert set(before) == {world.SUBMITTER}, "a handshake that is on its way reads the old value whole"
    assert core.view.book.voters == {"broker-1", "market-1", "auditor-1"}


async def test_a_mark_counts_when_it_is_durable(core: Core) -> None:
    """Not when it is asked for."""
    waiting = asyncio.ensure_future(core.view.persist_mark(1, 2, core.view.root))
    await asyncio.sleep(0)
    assert core.view.mark is None
    core.marks.durable.set()
    await waiting
    assert core.view.mark == (1, 2, core.view.root)


async def test_marks_never_fall_and_one_size_has_one_root(core: Core, tmp_path: Path) -> None:
    """A smaller size is refused; another root for the same size is the node contradicting itself."""
    core.marks.durable.set()
    await core.view.persist_mark(1, 2, core.view.root)
    with pytest.raises(NodeError) as behind:
        await core.view.persist_mark(0, 1, bytes(32))
    assert behind.value.code == "E_MARK_BEHIND"
    assert core.view.halted is None
    await core.view.persist_mark(1, 2, core.view.root)
    with pytest.raises(HaltedError):
        core.view.persist_mark(1, 2, bytes(32))
    assert core.view.raft_status().role is Role.HALTED
    assert core.halts == 1
    assert len(list((tmp_path / "evidence").iterdir())) == 2


async def test_a_halted_node_signs_nothing_and_keeps_its_first_reason(core: Core, tmp_path: Path) -> None:
    """Its words are in the status, in the evidence, and in the file that keeps it halted."""
    core.view.halt("first", b"proof")
    core.view.halt("second", b"")
    assert core.view.raft_status().reason == "first"
    assert core.halts == 1
    assert EvidenceBox(tmp_path).halted() == "first"
    with pytest.raises(HaltedError):
        core.view.persist_mark(1, 2, core.view.root)


def test_evidence_against_others_does_not_halt(core: Core, tmp_path: Path) -> None:
    """It is kept and told."""
    core.view.record_evidence("market-1", "signed two roots", b"proof")
    assert core.view.halted is None
    assert len(list((tmp_path / "evidence").iterdir())) == 2


def test_how_far_a_node_has_signed_behind(core: Core) -> None:
    """In heights; nothing signed is behind genesis; nobody is ahead of what is applied here."""
    core.apply(world.envelopes_body(CHAIN_ID, (0, 3), ms=2))
    assert core.view.signed_lag("regulator-1") == 3
    sizes = {"regulator-1": 2, "market-1": 6, "auditor-1": 99}
    core.view.show_signed(lambda node_id: sizes[node_id])
    assert [core.view.signed_lag(name) for name in sizes] == [1, 0, 0]


def test_what_must_not_be_survived_ends_the_process(core: Core) -> None:
    """The one who can end it is asked to."""
    error = ValueError("x")
    core.view.fatal(error)
    assert core.deaths == [error]


def test_a_node_that_came_up_halted_says_so(tmp_path: Path) -> None:
    """Amnesia found by the start."""
    core = Core(tmp_path, halted="amnesia: words")
    status = core.view.raft_status()
    assert (status.role, status.reason) == (Role.HALTED, "amnesia: words")
