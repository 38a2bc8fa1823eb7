"""Journals of searches are synced at every line: their folder is in memory."""

from tests.memory import tmp_path

__all__ = ["tmp_path"]
