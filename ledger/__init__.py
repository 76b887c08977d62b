"""The verifiable log: bytes in, bytes out. Whoever holds these modules can check everything the network says.

Reading order, each module standing only on those before it:

1.  ``errors``, ``algorithms``, ``ed25519``: what can be wrong, which algorithms exist, the one signature
    library.
2.  ``merkle``, ``proof``, ``tile``: the tree of RFC 6962, its proofs, and how tlog-tiles cuts it.
3.  ``spelling``, ``note``, ``checkpoint``, ``cosignature``, ``policy``, ``trust``: signed tree heads, and whose
    signatures count.
4.  ``encoding``, ``names``, ``record``: canonical bytes, identifiers, the leaf that stands for a record.
5.  ``envelope``, ``body``, ``entry``, ``header``: from a submitter's batch to a block.
6.  ``governance`` and its neighbours: who may do what at which height, folded from the chain itself.
7.  ``chain``: the one fold that every node, every restart and every audit performs.
8.  ``tlogproof``, ``receipt``: the file that proves a record offline.
9.  ``votes``: formats that are fixed before they are used. ``audit``: a whole chain, derived again
    and compared.
10. ``keyspace``, the ``store_…`` modules and ``headfile``: the only ones that touch a disk.

Nothing is re-exported here: a verifier that imports ``ledger.receipt`` must not load a database.
No module but the store's reads a clock, a file, the network or randomness; those come in as arguments.
"""
