"""Curves of a running step, such as the loss of a training, in TensorBoard's format: beside the artifacts, in none.

`tensorboard --logdir .edgebuild/curves` shows those of the last run of every step.
"""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


class Curves:
    """Writes scalars into a folder, which is made anew for the first of them unless that goes on from an earlier run.

    Without tensorboardX it does nothing.
    """

    def __init__(self, folder: Path) -> None:
        """Nothing is written yet."""
        self._folder = folder
        self._writer: Any = None
        self._last, self._offset = 0, 0

    def add(self, scalars: Mapping[str, float], step: int) -> None:
        """One point of each curve at optimiser step `step`; where steps start again, the curve goes on."""
        if step < self._last:
            self._offset += self._last
        self._last = step
        with suppress(OSError, ImportError):  # curves are for looking at: no build fails for want of them
            if self._writer is None:
                self._writer = self._open(step)
            for name, value in scalars.items():
                self._writer.add_scalar(name, value, self._offset + step)

    def close(self) -> None:
        """Write what is still in memory."""
        with suppress(OSError):
            if self._writer is not None:
                self._writer.close()

    def _open(self, step: int) -> Any:
        from tensorboardX import SummaryWriter

        with _nameless_semaphores():  # of the queue to its own thread
            if step > 1:  # what a killed run drew beyond it is drawn again
                return SummaryWriter(str(self._folder), write_to_disk=True, purge_step=step, filename_suffix=f".{step}")
            shutil.rmtree(self._folder, ignore_errors=True)
            return SummaryWriter(str(self._folder), write_to_disk=True)


@contextmanager
def _nameless_semaphores() -> Iterator[None]:
    """Have semaphores lose their names as they are made, as where processes fork: those of a step that is killed would
    be left, and Python complains of them at the end of the build.
    """
    before = multiprocessing.get_start_method()
    multiprocessing.set_start_method("fork", force=True)
    try:
        yield
    finally:
        multiprocessing.set_start_method(before, force=True)
