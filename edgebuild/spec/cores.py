"""The cores that the steps of a build share: a process on one holds it, and a dead holder holds nothing."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO


@dataclass(frozen=True, slots=True)
class Core:
    """One core that is held; the lock of its file goes with the process that took it."""

    file: IO[str]

    def release(self) -> None:
        """Let others have it."""
        self.file.close()


@dataclass(frozen=True, slots=True)
class Cores:
    """`count` cores, each a file in `folder` that its holder has locked; without a folder there is but one's own."""

    folder: Path | None = None
    count: int = 1

    def take(self) -> Core | None:
        """A core that nobody holds, or None; never waits."""
        if self.folder is None:
            return None
        for number in range(self.count):
            file = (self.folder / str(number)).open("w")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.close()
            else:
                return Core(file)
        return None

    @contextmanager
    def more(self, most: int) -> Iterator[int]:
        """Hold up to `most` further cores for a while; how many there are, which may be 0."""
        with ExitStack() as held:
            taken = 0
            while taken < most and (core := self.take()) is not None:
                held.callback(core.release)
                taken += 1
            yield taken
