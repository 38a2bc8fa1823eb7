"""Fills the states of a stream with those that the float model itself had there, for all that looks at one example.

So ranges are calibrated on states that occur, and each example can be asked alone; the judge of answers lets a file go
through the streams with states of its own.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from edgebuild.spec import dataset
from edgebuild.spec.artifact import Step, StepIO
from edgebuild.spec.signature import Loop

if TYPE_CHECKING:
    from edgebuild.spec.rows import Array

SPLITS: tuple[dataset.SplitName, ...] = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Unroll(Step):
    """Inputs: `data`, and what the float model answers over the streams of each split, by its name."""

    loops: tuple[Loop, ...]

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "data"
    needs: ClassVar[tuple[str, ...]] = ("data", *SPLITS)
    tools: ClassVar[tuple[str, ...]] = ("numpy",)

    def run(self, io: StepIO) -> None:
        """Write the data set with these states."""
        import numpy as np

        shutil.copytree(io.path("data"), io.output, dirs_exist_ok=True)
        for split in SPLITS:
            with np.load(io.path(split) / "outputs.npz") as stored:
                outputs = [stored[str(place)] for place in range(len(stored.files))]
            streams = dataset.streams(io.path("data"), split)
            for loop in self.loops:
                (io.output / f"{split}.{loop.input}.npy").unlink()
                states = shifted(outputs[loop.output], streams, loop.start)
                np.save(io.output / f"{split}.{loop.input}.npy", states)


def shifted(outputs: Array, streams: Array | None, start: float) -> Array:
    """What comes back at each example [N, …] of outputs: that of the one before, or what its stream starts with."""
    import numpy as np

    states = np.roll(outputs, 1, axis=0)
    first = dataset.starts(streams) if streams is not None else np.ones(len(outputs), bool)
    states[first] = start
    return states
