"""Structured pruning: what depends on what in any network, and removal."""
