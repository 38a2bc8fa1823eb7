"""What a step found out about the layers it changed, kept in its artifact and printed into its log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FILE = "record.json"


def write(folder: Path, found: Mapping[str, Any]) -> None:
    """Write the record beside the weights; what is None is left out. What reads a checkpoint does not look at it."""
    text = json.dumps({key: value for key, value in found.items() if value is not None}, indent=1, sort_keys=True)
    (folder / FILE).write_text(text + "\n")
    print(text)
