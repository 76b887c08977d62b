"""The process of one institution."""
