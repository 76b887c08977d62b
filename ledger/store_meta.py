"""What a store says of itself before anything else is read: layout, chain, owner.

Why: data that lasts for decades is opened by programs that did not exist when it was written, and by people
who confuse folders. A store therefore records its format, the oldest program that may open it, what it is,
and whose.

Value: ``["tiezheng/store", format, oldest program, kind, chain id, node id, instance]`` (canonical array).

Refuses: opening a format it does not know, a store of another kind, chain or node. Nothing is converted on
the way.
"""

from dataclasses import dataclass
from typing import Final

from ledger import names
from ledger.encoding import as_array, as_bytes, as_int, as_text, pack, unpack
from ledger.errors import EncodingError, StoreDamagedError, StoreError
from ledger.keyspace import OLDEST_PROGRAM, PROGRAM_LEVEL, STORE_FORMAT

PURPOSE: Final = "tiezheng/store"
CHAIN: Final = "chain"
DERIVED: Final = "derived"
META_BYTES_MAX: Final = 512
INSTANCE_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class StoreMeta:
    """Whose store this is. `instance` (16 random bytes) is made once per node by `init`."""

    kind: str
    chain_id: str
    node_id: str
    instance: bytes


def encode_meta(meta: StoreMeta) -> bytes:
    """Return the value for a store that this program makes."""
    assert meta.kind in (CHAIN, DERIVED), "a kind of store"
    assert names.CHAIN_ID.fullmatch(meta.chain_id), "a chain id"
    assert names.NODE_ID.fullmatch(meta.node_id), "a node id"
    assert len(meta.instance) == INSTANCE_BYTES, "an instance has 16 bytes"
    return pack(
        [PURPOSE, STORE_FORMAT, OLDEST_PROGRAM, meta.kind, meta.chain_id, meta.node_id, meta.instance]
    )


def decode_meta(data: bytes | None, where: str) -> StoreMeta:
    """Return the meta of a store that this program may open; `where` names it in errors.

    Raises StoreError E_STORE_FOREIGN (not one of our stores), E_STORE_VERSION, StoreDamagedError
    E_STORE_DAMAGED.
    """
    if data is None:
        raise StoreError(
            "E_STORE_FOREIGN",
            f"{where} is a database, but none of ours. If it once was this node's, it has lost everything it "
            "held: then keep it for examination, do not run `init` again under the same node id, and come "
            "back with a new one. If `init` was cut off here just now, delete the folder and run it again",
        )
    try:
        fields = as_array(
            unpack(data, max_bytes=META_BYTES_MAX, what="store description"), "store description"
        )
        if not fields or fields[0] != PURPOSE:
            raise StoreError("E_STORE_FOREIGN", f"{where} is a database, but none of ours")
        layout = as_int(fields[1], "store format")
        oldest = as_int(fields[2], "oldest program", low=1)
        if layout != STORE_FORMAT or oldest > PROGRAM_LEVEL:
            raise StoreError(
                "E_STORE_VERSION",
                f"{where} has format {layout} and needs a program of level {oldest} or later; this program "
                f"knows format {STORE_FORMAT} and has level {PROGRAM_LEVEL}. Use the release that wrote it, "
                "or a newer one",
            )
        fields = as_array(fields, "store description", 7)
        return StoreMeta(
            as_text(fields[3], "store kind", names.NODE_ID),
            as_text(fields[4], "store chain id", names.CHAIN_ID),
            as_text(fields[5], "store node id", names.NODE_ID),
            as_bytes(fields[6], "store instance", INSTANCE_BYTES),
        )
    except (EncodingError, IndexError) as error:
        raise StoreDamagedError(
            "E_STORE_DAMAGED", f"the description of {where} is damaged: {error}"
        ) from error


def require_meta(found: StoreMeta, *, kind: str, node_id: str, where: str) -> None:
    """Return if a store is of this kind and of this node. Raises StoreError E_STORE_FOREIGN."""
    if found.kind != kind:
        raise StoreError("E_STORE_FOREIGN", f"{where} is a {found.kind} store, not a {kind} store")
    if found.node_id != node_id:
        raise StoreError(
            "E_STORE_FOREIGN",
            f"{where} belongs to node {found.node_id}, and this is {node_id}: another node's folder",
        )
