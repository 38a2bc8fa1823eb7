"""The mark of an artifact that no other machine may take: its step used what its key does not know."""

from __future__ import annotations

from pathlib import Path

FILE = "unshared.json"


def mark(folder: Path) -> None:
    """Mark the artifact that is being made."""
    (folder / FILE).write_text("{}\n", encoding="utf-8")


def is_marked(folder: Path) -> bool:
    """Whether the artifact is for this machine alone."""
    return (folder / FILE).exists()
