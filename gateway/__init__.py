"""The broker's front office: takes records in, answers when they are durable, brings them onto the chain, and calls final
only what it has checked itself.

Reading order: `ports` (what the use cases need from the world), `usecases` in the order of a record's life (collect, anchor,
finality, waiting, retrieve), `domain` (their rules), `adapters` (database, nodes, files), `channels` and `web` (the doors),
`app` (the composer). README.md tells the story; docs/api.md what callers see.

The room imports `ledger` and `protos`, never `node` or `consensus`: gateway and node are programs of different companies and
meet only on the wire.
"""
