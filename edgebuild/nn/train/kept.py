"""What a training keeps on disk to go on from after a kill: all that decides its further bytes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_NAME, _END = "training", ".pt"
_LEAST, _SHARE = 0.25, 50  # seconds between two, and how many times as long as writing one takes


class Kept:
    """One file in a folder that outlives the process, or one for each step that is named; None keeps nothing.

    It is written aside and renamed, so that a kill leaves the one before. What cannot be read is no checkpoint.
    """

    def __init__(self, folder: Path | None, name: str = _NAME, *, writes: bool = True) -> None:
        """Nothing is read or written yet; who does not write only reads what another process does."""
        self._folder, self._name, self._writes = folder, name, writes
        self._next = time.monotonic() + _LEAST

    def due(self) -> bool:
        """Whether it is time for one: writing them takes a fiftieth of the training at the most."""
        return self._folder is not None and self._writes and time.monotonic() >= self._next

    def write(self, state: dict[str, Any], step: int | None = None) -> None:
        """Keep this state in the place of the last, or of the last of this step."""
        import torch

        if self._folder is None:
            return
        began = time.monotonic()
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._file(self._folder, step)
        aside = file.with_suffix(".part")
        torch.save(state, aside)
        os.replace(aside, file)
        ended = time.monotonic()
        self._next = ended + max(_LEAST, _SHARE * (ended - began))

    def read(self, step: int | None = None) -> dict[str, Any] | None:
        """The last state, or that of this step; None where there is none or it was torn. No code in it is run."""
        import torch

        if self._folder is None or not (file := self._file(self._folder, step)).is_file():
            return None
        try:
            state: dict[str, Any] = torch.load(file, weights_only=True)
        except Exception:  # torch names no base for what it raises of a damaged file
            return None
        return state

    def steps(self) -> list[int]:
        """The steps that were named, in their order."""
        if self._folder is None:
            return []
        names = (path.name for path in self._folder.glob(f"{self._name}-*{_END}"))
        return sorted(int(name.removeprefix(f"{self._name}-").removesuffix(_END)) for name in names)

    def forget(self, steps: Iterable[int]) -> None:
        """Remove what is kept of these."""
        for step in steps:
            if self._folder is not None:
                self._file(self._folder, step).unlink(missing_ok=True)

    def _file(self, folder: Path, step: int | None) -> Path:
        return folder / (f"{self._name}{_END}" if step is None else f"{self._name}-{step}{_END}")
