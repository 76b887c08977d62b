-- The hash-only door: records, their batches (the outbox) and what became of them.
-- States are small numbers here (gateway/adapters/tables.py): batches 0 pending, 1 placed, 2 settled;
-- placements 1 committed, 2 final, 3 failed.

CREATE TABLE schema_version (
  version INTEGER NOT NULL PRIMARY KEY,
  applied_ms BIGINT NOT NULL
);

CREATE TABLE sources (
  id INTEGER NOT NULL PRIMARY KEY,
  institution VARCHAR(16) NOT NULL,
  name VARCHAR(24) NOT NULL,
  UNIQUE (institution, name)
);

-- One row per batch. The payload stands apart, so that a change of state never rewrites it.
CREATE TABLE batches (
  id INTEGER NOT NULL PRIMARY KEY,
  received_ms BIGINT NOT NULL,
  records INTEGER NOT NULL,
  state SMALLINT NOT NULL
);

CREATE INDEX batches_pending ON batches (id) WHERE state = 0;

-- 129 bytes per record, and their SHA-256, which every read checks.
CREATE TABLE payloads (
  batch_id INTEGER NOT NULL PRIMARY KEY REFERENCES batches (id),
  digest BLOB NOT NULL,
  leaves BLOB NOT NULL
);

-- One narrow row per reference. Two references of one leaf may point at the same position.
CREATE TABLE records (
  id INTEGER NOT NULL PRIMARY KEY,
  source_id INTEGER NOT NULL,
  ref VARCHAR(128) NOT NULL,
  batch_id INTEGER NOT NULL,
  position INTEGER NOT NULL
);

CREATE UNIQUE INDEX records_ref ON records (source_id, ref);

-- What became of a run of a batch's records.
CREATE TABLE placements (
  batch_id INTEGER NOT NULL REFERENCES batches (id),
  position INTEGER NOT NULL,
  records INTEGER NOT NULL,
  state SMALLINT NOT NULL,
  height BIGINT NOT NULL,
  first_index BIGINT NOT NULL,
  block_time_ms BIGINT NOT NULL,
  code VARCHAR(64) NOT NULL,
  PRIMARY KEY (batch_id, position)
);

CREATE INDEX placements_unproven ON placements (first_index) WHERE state = 1;

-- Single values: the believed checkpoint, the reason of a halt.
CREATE TABLE facts (
  name VARCHAR(32) NOT NULL PRIMARY KEY,
  value BLOB NOT NULL
);
