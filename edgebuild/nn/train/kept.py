"""What a training keeps on disk to go on from after a kill: all that decides its further bytes."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

_FILE = "training.pt"
_LEAST, _SHARE = 0.25, 50  # seconds between two, and how many times as long as writing one takes


class Kept:
    """One file in a folder that outlives the process; None keeps nothing.

    It is written aside and renamed, so that a kill leaves the one before. What cannot be read is no checkpoint.
    """

    def __init__(self, folder: Path | None) -> None:
        """Nothing is read or written yet."""
        self._file = folder / _FILE if folder is not None else None
        self._next = time.monotonic() + _LEAST

    def due(self) -> bool:
        """Whether it is time for one: writing them takes a fiftieth of the training at the most."""
        return self._file is not None and time.monotonic() >= self._next

    def write(self, state: dict[str, Any]) -> None:
        """Keep this state in the place of the last."""
        import torch

        if self._file is None:
            return
        began = time.monotonic()
        self._file.parent.mkdir(parents=True, exist_ok=True)
        aside = self._file.with_suffix(".part")
        torch.save(state, aside)
        os.replace(aside, self._file)
        ended = time.monotonic()
        self._next = ended + max(_LEAST, _SHARE * (ended - began))

    def read(self) -> dict[str, Any] | None:
        """The last state; None where there is none, or one that was torn. No code in it is run."""
        import torch

        if self._file is None or not self._file.is_file():
            return None
        try:
            state: dict[str, Any] = torch.load(self._file, weights_only=True)
        except Exception:  # torch names no base for what it raises of a damaged file
            return None
        return state
