"""The command line and the engineers' tools: the one room that may import every other."""
