"""The gateway's rules without a world: values and plain functions, no clock, socket, file, thread or randomness.

Reading order: `record` (what a commitment item must look like), `personal` (references that are refused), `access` (who
may do what), `quota` (how much), `anchoring` (states, and what a node's answer means for each record), `queueing` (which
records go into the next envelope), `routing` (which node is asked next), `finality` (what may be believed).
"""
