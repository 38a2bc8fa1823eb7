"""Torch helpers that several steps share."""
