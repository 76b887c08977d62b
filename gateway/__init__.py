"""The broker's front office."""
