"""The process of one institution: everything that touches the world around the ledger and consensus.

Reading order. `ports` (who may ask whom for what), then one record's way through the house:

- in: `submit_api` → `desk` → `ordering` → `intake` → `runtime`, the loop, whose `_carry_out` is the order of
  all promises
- agree: `replica` (consensus meets the ledger), `raft_storage`, `writer` (the one disk thread), `wire`,
  `transport`, `peer_door`, `inbox`, `outbox`, `peer_book`
- apply: `applier`, `core_view` (the facts that everybody reads), `observed` (the same path for an observer)
- attest: `cosigner` (what is signed, and when), `gathering` (what becomes final), `attest_net`,
  `attest_stream`
- out: `reader` (checked answers), `read_api`, `read_http`, `pages`, `ops_http`, `metrics`, `health`,
  `admin_api`
- around: `service` (start and stop), `start` (what is compared before anything is promised), `config`,
  `keys`, `evidence`

README.md says what the room promises and what it does not.
"""
