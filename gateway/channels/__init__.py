"""Channels: what a caller sends becomes records to take in, and nothing else. One module per kind of caller.

Today there is one, `commitments` (the hash-only door). A channel knows its payload's spelling; it knows neither callers,
nor the database, nor HTTP.
"""
