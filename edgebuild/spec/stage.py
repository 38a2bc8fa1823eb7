"""Which part of a step this process is, where several processes run one together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Stage:
    """Number `index` of `count`, from 0 on; `meeting` is a file by which they find each other."""

    index: int
    count: int
    meeting: Path

    @property
    def first(self) -> bool:
        """Whether it is the step's own process, which writes the output."""
        return self.index == 0

    @property
    def last(self) -> bool:
        """Whether it has the answers."""
        return self.index == self.count - 1
