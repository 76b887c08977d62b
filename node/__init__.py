"""The process of one institution: everything that touches the world around the ledger and consensus.

Reading order. `ports` (who may ask whom for what), then one record's way through the house:

- in: `submit_api` → `desk` → `ordering` → `intake` → `runtime`, the loop, whose `_carry_out` is the order of
  all promises
- agree: `replica` (consensus meets the ledger), `raft_storage`, `writer` (the one disk thread), `wire`,
  `transport`, `peer_door`, `inbox`, `outbox`, `peer_book`
- apply: `applier`, `core_view` (the facts that everybody reads), `observed` (the same path for an observer)
- attest: `cosigner` (what is signed, and when), `electorate` and `chainbook` (who judges a height),
  `gathering` with `notes`, `tally`, `dissent`, `findings` (what becomes final, who has contradicted
  himself), `attest_net` with `own_keys` and `convictions`, `attest_stream`
- follow: `following` (what an observer believes), `observer`
- out: `reader` (checked answers), `read_api`, `read_http`, `read_json`, `pages`, `chain_svg`, `ops_http`,
  `standing`, `metrics`, `health`, `admin_api`
- around: `service` and `companions` (start and stop), `start` (what is compared before anything is
  promised), `config`, `keys`, `evidence`

README.md says what the room promises and what it does not.
"""
