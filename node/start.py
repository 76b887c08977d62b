"""Making a node's data folder, and opening it again: what is checked before the node may promise anything.

Why: creation is deliberate and a start never creates. A start compares three memories (chain store, head
file, derived store) and lists the cases: equal, ahead, behind; nothing is guessed and nothing repaired.

Order of a start
1. The chain store opens (one that does not ends the start), and its genesis is the configured one.
2. The head file is judged against it. Amnesia is not the end: the node comes up halted, serving reads.
3. The derived store opens; if it is missing, damaged, or ahead of the chain store, it is made anew from the
chain. 4. Committed blocks that it lacks are applied, by the same `Applier` that runs all day. Committed is
what the hard state
   says, what this node has signed, and what it has applied before: only committed blocks ever were.
5. The root at the cosigned size is compared with the mark: the last part of the amnesia rule.
Asking peers what they remember of this node would come next, before it may promise anything (state
`waiting`).

Source: docs/formats/storage.md. Refuses: making a head file, opening what another process has open,
repairing.
"""

import secrets
from dataclasses import dataclass
from pathlib import Path

from ledger.body import parse_body
from ledger.chain import Chain
from ledger.errors import StoreDamagedError
from ledger.headfile import (
    INSTANCE_BYTES,
    CosignMark,
    HeadFile,
    Slot,
    Standing,
    judge,
    judge_root,
    read_slot,
    start_commit,
)
from ledger.store_chain import ChainStore
from ledger.store_derived import DerivedStore
from ledger.store_prepare import prepare
from node import telemetry
from node.applier import Applier, RuleBrokenError
from node.config import NodeConfig
from node.errors import StartError
from node.evidence import EvidenceBox
from node.replica import LedgerHost

CHAIN = "chain"
DERIVED = "derived"
HEAD = "head"
_REPLAY_MAX_BYTES = 8 * 1024 * 1024
_REPLAY_MAX_BLOCKS = 256

_log = telemetry.get("start")


@dataclass(frozen=True, slots=True)
class Opened:
    """A node's memories, compared and replayed. `head` is None and `halted` tells why when it may not
    promise.

    `commit` is the height known to be committed; everything up to it is applied, unless the node is halted.
    """

    chain_store: ChainStore
    derived: DerivedStore
    head: HeadFile | None
    applier: Applier
    host: LedgerHost
    commit: int
    mark: CosignMark
    halted: str | None

    def close(self) -> None:
        """Release all files; the disk thread has ended."""
        self.derived.close()
        self.chain_store.close()
        if self.head is not None:
            self.head.close()


def init_node(config: NodeConfig) -> str:
    """Make the data folder of a new node: chain store with genesis, then the head file. Returns the chain id.

    Raises StartError E_START_GENESIS when the genesis file cannot be used, StoreError E_STORE_EXISTS or
    E_HEAD_EXISTS when there is something already.
    """
    data = config.data_path
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    instance = secrets.token_bytes(INSTANCE_BYTES)
    store = ChainStore.create(data / CHAIN, read_genesis(config), node_id=config.node_id, instance=instance)
    try:
        data.chmod(0o700)  # it may have been made on the way to the keys; the operator's socket will lie here
        HeadFile.create(data / HEAD, store.facts()).close()
        return store.chain_id
    finally:
        store.close()


def read_genesis(config: NodeConfig) -> bytes:
    """The bytes of the configured genesis file. Raises StartError E_START_GENESIS."""
    path: Path = config.path(config.genesis)
    try:
        return path.read_bytes()
    except OSError as error:
        raise StartError("E_START_GENESIS", f"cannot read {path}: {error.strerror}") from error


def open_node(config: NodeConfig) -> Opened:
    """Open a node's data folder; see the module for the order.

    Raises StartError E_START_GENESIS (another chain's folder), E_START_FOREIGN (mixed folders), and the
    store's errors: StoreError for what needs a person, StoreDamagedError when the chain store cannot be
    believed.
    """
    data = config.data_path
    store = ChainStore.open(data / CHAIN, node_id=config.node_id)
    try:
        return _open_beside(config, store)
    except BaseException:
        store.close()
        raise


def _open_beside(config: NodeConfig, store: ChainStore) -> Opened:
    data = config.data_path
    if store.entry(0).body_raw != read_genesis(config):
        raise StartError(
            "E_START_GENESIS", f"{data} belongs to chain {store.chain_id}, not to the genesis file's"
        )
    slot = read_slot(data / HEAD)
    verdict = judge(slot, store.facts())
    if verdict.standing is Standing.FOREIGN:
        raise StartError("E_START_FOREIGN", verdict.words)
    derived, chain, words = prepare(data / DERIVED, store)
    if words:
        _log.info("derived_rebuilt", words=words)
    try:
        chain = chain or _begin(store, derived)
        applier = Applier(chain, derived)
        host = LedgerHost(config.node_id, chain)
        commit = max(_commit(slot, store), chain.height)
        halted = None if verdict.may_promise else verdict.words
        halted = _replay(applier, store, commit) or halted or EvidenceBox(data).halted()
        if halted is None and slot is not None:
            last = judge_root(slot, derived.root_at(slot.mark.size))
            halted = None if last.may_promise else last.words
        _log.info("opened", height=chain.height, commit=commit, verdict=verdict.rule, halted=halted or "")
        head = None if halted else HeadFile.open(data / HEAD)
        mark = slot.mark if slot is not None else CosignMark()
        return Opened(store, derived, head, applier, host, commit, mark, halted)
    except BaseException:
        derived.close()
        raise


def _commit(slot: Slot | None, store: ChainStore) -> int:
    """The height known to be committed; never above what the store holds."""
    stored = store.hard_state().commit
    return stored if slot is None else min(start_commit(slot, stored), store.last().height)


def _begin(store: ChainStore, derived: DerivedStore) -> Chain:
    """The chain at genesis, which a new derived store gets first."""
    chain, block = Chain.start(parse_body(store.entry(0).body_raw))
    derived.write([block])
    return chain


def _replay(applier: Applier, store: ChainStore, commit: int) -> str | None:
    """Apply committed blocks up to `commit`; returns why the node must halt, if it must."""
    first = applier.chain.height + 1
    while applier.chain.height < commit:
        low = applier.chain.height + 1
        high = min(commit + 1, low + _REPLAY_MAX_BLOCKS)
        try:
            entries = store.entries(low, high, max_bytes=_REPLAY_MAX_BYTES)
            applier.apply([(e.height, e.term, parse_body(e.body_raw)) for e in entries])
        except (RuleBrokenError, StoreDamagedError) as error:
            return str(error)
    if first <= commit:
        _log.info("replayed", first=first, last=commit)
    return None
