"""The database's tables as SQLAlchemy Core sees them. `migrations/` creates them; a test compares the two.

Why both: queries are written against these objects and stay portable; the schema's history is plain SQL that a database
administrator can read. SQLAlchemy never creates or changes a table here.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
)

from gateway.domain.anchoring import State

BATCH_PENDING: Final = 0
BATCH_PLACED: Final = 1
BATCH_SETTLED: Final = 2

PLACED_COMMITTED: Final = 1
PLACED_FINAL: Final = 2
PLACED_FAILED: Final = 3

STATE_BY_NUMBER: Final = {
    PLACED_COMMITTED: State.COMMITTED,
    PLACED_FINAL: State.FINAL,
    PLACED_FAILED: State.FAILED,
}
NUMBER_BY_STATE: Final = {state: number for number, state in STATE_BY_NUMBER.items()}

FACT_BELIEVED_NOTE: Final = "believed_note"
FACT_BELIEVED_SIZE: Final = "believed_size"
FACT_BELIEVED_ROOT: Final = "believed_root"
FACT_HALTED: Final = "halted"

metadata: Final = MetaData()

sources: Final = Table(
    "sources",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("institution", String(16), nullable=False),
    Column("name", String(24), nullable=False),
)

batches: Final = Table(
    "batches",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("received_ms", BigInteger, nullable=False),
    Column("records", Integer, nullable=False),
    Column("state", SmallInteger, nullable=False),
)

payloads: Final = Table(
    "payloads",
    metadata,
    Column("batch_id", Integer, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("leaves", LargeBinary, nullable=False),
)

records: Final = Table(
    "records",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("source_id", Integer, nullable=False),
    Column("ref", String(128), nullable=False),
    Column("batch_id", Integer, nullable=False),
    Column("position", Integer, nullable=False),
)

placements: Final = Table(
    "placements",
    metadata,
    Column("batch_id", Integer, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("records", Integer, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("height", BigInteger, nullable=False),
    Column("first_index", BigInteger, nullable=False),
    Column("block_time_ms", BigInteger, nullable=False),
    Column("code", String(64), nullable=False),
)

facts: Final = Table(
    "facts",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", LargeBinary, nullable=False),
)
