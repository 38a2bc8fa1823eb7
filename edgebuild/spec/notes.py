"""Lines in which a step says what it did of its own accord; they travel in its artifact to whoever reads the report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

FILE = "notes.json"


def write(folder: Path, lines: Sequence[str]) -> None:
    """Keep the lines in the artifact that is being made; without any nothing is written."""
    if lines:
        (folder / FILE).write_text(json.dumps(list(lines), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def read(folder: Path) -> list[str]:
    """The lines of an artifact; most have none."""
    try:
        lines: list[str] = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    return lines
