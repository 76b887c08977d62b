"""Pure Raft: events in, effects out; it knows nothing of blocks."""
