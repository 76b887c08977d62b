"""Opening a node's folder: three memories are compared, nothing is guessed, and a start never creates."""

import shutil
from pathlib import Path

import ledger_world as world
import pytest
from store_world import append

from ledger.body import Body
from ledger.errors import StoreDamagedError, StoreError
from ledger.headfile import CosignMark, HeadFile
from ledger.store_chain import ChainBatch, ChainStore, HardState
from node.config import NodeConfig, parse_config
from node.errors import StartError
from node.evidence import EvidenceBox
from node.start import init_node, open_node

GENESIS = world.genesis_body()
CHAIN_ID = world.genesis().chain_id
BODIES = [world.empty_body(ms=1), world.envelopes_body(CHAIN_ID, (0, 3), ms=2), world.empty_body(ms=3)]


@pytest.fixture
def config(tmp_path: Path) -> NodeConfig:
    """A new node's folder."""
    (tmp_path / "genesis.bin").write_bytes(GENESIS.raw)
    made = parse_config({"node_id": "broker-1", "genesis": "genesis.bin", "data": "data"}, tmp_path)
    assert init_node(made) == CHAIN_ID
    return made


def _write(config: NodeConfig, *bodies: Body, commit: int, head: bool = True) -> None:
    """Append bodies as a running node would; with or without the head file's slot."""
    data = config.data_path
    store = ChainStore.open(data / "chain", node_id="broker-1")
    append(store, *bodies, commit=commit)
    if head:
        file = HeadFile.open(data / "head")
        file.write(store.facts())
        file.close()
    store.close()


def _mark(config: NodeConfig, mark: CosignMark) -> None:
    file = HeadFile.open(config.data_path / "head")
    file.sign_mark(mark)
    file.close()


def test_a_new_node_stands_at_genesis(config: NodeConfig) -> None:
    """Everything may be promised; nothing was signed."""
    opened = open_node(config)
    assert (opened.applier.chain.height, opened.commit, opened.halted) == (0, 0, None)
    assert opened.head is not None
    assert opened.mark.size == 0
    opened.close()


def test_committed_blocks_are_replayed_and_uncommitted_ones_are_not(config: NodeConfig) -> None:
    """By the same path as ever; a second start finds them applied."""
    _write(config, *BODIES, commit=2)
    for _ in range(2):
        opened = open_node(config)
        assert (opened.applier.chain.height, opened.commit) == (2, 2)
        assert opened.derived.known(world.leaves(0, 3)) == [2, 3, 4]
        opened.close()


def test_what_was_signed_was_committed(config: NodeConfig) -> None:
    """The hard state may be one step behind; the mark is not."""
    _write(config, *BODIES, commit=3)
    opened = open_node(config)
    size, root = opened.applier.chain.tree_size, opened.applier.chain.root
    opened.close()
    shutil.rmtree(config.data_path)
    init_node(config)
    _write(config, *BODIES, commit=1)
    _mark(config, CosignMark(3, size, root))
    opened = open_node(config)
    assert (opened.commit, opened.applier.chain.height, opened.halted) == (3, 3, None)
    opened.close()


def test_what_was_applied_was_committed(config: NodeConfig) -> None:
    """The derived store may know of a commit that no later batch has carried yet."""
    _write(config, *BODIES, commit=2)
    opened = open_node(config)
    opened.applier.apply([(3, 1, BODIES[2])])
    opened.close()
    opened = open_node(config)
    assert (opened.commit, opened.applier.chain.height) == (3, 3)
    opened.close()


def test_a_lost_derived_store_is_made_again(config: NodeConfig) -> None:
    """It is never fatal."""
    _write(config, *BODIES, commit=3)
    opened = open_node(config)
    root = opened.applier.chain.root
    opened.close()
    shutil.rmtree(config.data_path / "derived")
    opened = open_node(config)
    assert opened.applier.chain.root == root
    opened.close()


def test_a_store_one_batch_ahead_of_the_head_file_is_sound(config: NodeConfig) -> None:
    """The crash between the two writes."""
    _write(config, *BODIES, commit=3, head=False)
    opened = open_node(config)
    assert opened.halted is None
    opened.close()


def test_an_older_store_is_amnesia(config: NodeConfig) -> None:
    """The node comes up halted, reads what it has, and has no head file to promise with."""
    old = config.data_path / "old"
    shutil.copytree(config.data_path / "chain", old)
    _write(config, *BODIES, commit=3)
    shutil.rmtree(config.data_path / "chain")
    old.rename(config.data_path / "chain")
    opened = open_node(config)
    assert opened.halted is not None
    assert opened.halted.startswith("amnesia: ")
    assert opened.head is None
    opened.close()


def test_no_head_file_is_amnesia_and_none_is_made(config: NodeConfig) -> None:
    """`init` makes it, a start never does."""
    (config.data_path / "head").unlink()
    opened = open_node(config)
    assert opened.halted is not None
    opened.close()
    assert not (config.data_path / "head").exists()


def test_another_root_than_was_signed_is_amnesia(config: NodeConfig) -> None:
    """After replay, at the cosigned size."""
    _write(config, *BODIES, commit=3)
    _mark(config, CosignMark(1, 2, b"\x07" * 32))
    opened = open_node(config)
    assert opened.halted is not None
    assert "another root" in opened.halted
    opened.close()


def test_a_halted_node_stays_halted(config: NodeConfig) -> None:
    """Until a person takes the file away."""
    EvidenceBox(config.data_path).halt("why", 1_795_000_000.0)
    opened = open_node(config)
    assert (opened.halted, opened.head) == ("why", None)
    opened.close()
    (config.data_path / "halted.txt").unlink()
    opened = open_node(config)
    assert opened.halted is None
    opened.close()


def test_a_committed_body_that_breaks_a_rule_halts(config: NodeConfig) -> None:
    """The blocks before it are applied and served."""
    _write(config, BODIES[0], world.envelopes_body("other-00000000", (0, 1), ms=2), commit=2)
    opened = open_node(config)
    assert opened.halted is not None
    assert "E_ENVELOPE_SIGNATURE" in opened.halted
    assert opened.applier.chain.height == 1
    opened.close()


def test_a_folder_of_another_chain_is_refused(config: NodeConfig, tmp_path: Path) -> None:
    """A wrong path never continues a wrong chain."""
    (tmp_path / "genesis.bin").write_bytes(world.genesis_body(quorum=4).raw)
    with pytest.raises(StartError) as caught:
        open_node(config)
    assert caught.value.code == "E_START_GENESIS"
    (tmp_path / "genesis.bin").unlink()
    with pytest.raises(StartError):
        open_node(config)


def test_mixed_folders_are_refused(config: NodeConfig, tmp_path: Path) -> None:
    """A head file of another `init` beside this store."""
    other = parse_config({"node_id": "broker-1", "genesis": "genesis.bin", "data": "other"}, tmp_path)
    init_node(other)
    shutil.copyfile(other.data_path / "head", config.data_path / "head")
    with pytest.raises(StartError) as caught:
        open_node(config)
    assert caught.value.code == "E_START_FOREIGN"


def test_a_start_never_creates_and_init_never_overwrites(config: NodeConfig, tmp_path: Path) -> None:
    """Two different acts."""
    nowhere = parse_config({"node_id": "broker-1", "genesis": "genesis.bin", "data": "none"}, tmp_path)
    with pytest.raises(StoreError) as caught:
        open_node(nowhere)
    assert caught.value.code == "E_STORE_MISSING"
    with pytest.raises(StoreError):
        init_node(config)


def test_the_folder_is_its_owners_alone(tmp_path: Path, config: NodeConfig) -> None:
    """Also when it was there before, made with the keys in it: the operator's socket will lie here."""
    assert config.data_path.stat().st_mode & 0o777 == 0o700
    other = parse_config({"node_id": "broker-1", "genesis": "genesis.bin", "data": "other"}, tmp_path)
    other.data_path.mkdir(mode=0o755)
    init_node(other)
    assert other.data_path.stat().st_mode & 0o777 == 0o700


def test_damage_in_the_chain_store_is_told(config: NodeConfig) -> None:
    """A body with other bytes than were acknowledged ends the start, or halts the node, with words."""
    _write(config, *BODIES, commit=3)
    (log,) = (config.data_path / "chain").glob("*.log")
    data = bytearray(log.read_bytes())
    data[data.index(BODIES[1].raw) + 100] ^= 1
    log.write_bytes(data)
    with pytest.raises(StoreDamagedError):
        open_node(config)


def test_an_open_folder_is_not_opened_twice(config: NodeConfig) -> None:
    """Two processes with one identity would promise against each other."""
    opened = open_node(config)
    with pytest.raises(StoreError) as caught:
        open_node(config)
    assert caught.value.code == "E_STORE_LOCKED"
    opened.close()
    assert ChainBatch(1, HardState(1, "", 0)).truncate_from is None
