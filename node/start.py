"""Making a node's data folder, and opening it again: what is checked before the node may promise anything.

Why: creation is deliberate and a start never creates. A start compares three memories (chain store, head
file, derived store) and lists the cases: equal, ahead, behind; nothing is guessed and nothing repaired.

Order of a start
1. The chain store opens (damage or a foreign folder ends the start), and its genesis is the configured one.
2. The head file is judged against it. Amnesia is not the end: the node comes up halted, serving reads.
3. The derived store opens; if it is missing, damaged, or ahead of the chain store, it is made anew from the
chain. 4. Committed blocks that it lacks are applied, by the same `Applier` that runs all day. Start-up commit
is the larger of
   the stored commit and the cosigned height.
5. The root at the cosigned size is compared with the mark: the last part of the amnesia rule.

Source: docs/formats/storage.md. Refuses: making a head file, opening what another process has open.
"""

import secrets
from pathlib import Path

from ledger.errors import LedgerError
from ledger.headfile import INSTANCE_BYTES, HeadFile
from ledger.store_chain import ChainStore
from node.config import NodeConfig
from node.errors import StartError

CHAIN = "chain"
DERIVED = "derived"
HEAD = "head"


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


__all__ = ["LedgerError", "init_node", "read_genesis"]
