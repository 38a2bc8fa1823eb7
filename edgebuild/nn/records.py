"""What a step found out about the layers it changed, kept in its artifact and printed into its log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FILE = "record.json"
NOTICES = "notices"  # what the user should know of it, a line each: the build and the report show these


def stays_whole(reasons: Mapping[str, str]) -> list[str]:
    """A notice for each layer that was left alone though nobody asked for it."""
    return [f"{name!r} stays whole: {why}" for name, why in reasons.items()]


def notices(folder: Path) -> list[str]:
    """The notices in an artifact; none where no step left a record."""
    try:
        lines: list[str] = json.loads((folder / FILE).read_text()).get(NOTICES, [])
    except FileNotFoundError:
        return []
    return lines


def write(folder: Path, record: Mapping[str, Any]) -> None:
    """Write the record beside the weights; what is None is left out. What reads a checkpoint does not look at it."""
    text = json.dumps({key: value for key, value in record.items() if value is not None}, indent=1, sort_keys=True)
    (folder / FILE).write_text(text + "\n")
    print(text)
