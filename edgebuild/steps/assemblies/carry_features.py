"""A data set in which inputs are the features that go on from an exit: what the rest of a network is fed."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from edgebuild.spec import dataset
from edgebuild.spec.artifact import Step, StepIO
from edgebuild.steps.evidence._outputs import read

if TYPE_CHECKING:
    from edgebuild.spec.rows import Array, Split

_LEARNT = 1024  # training examples, which ranges are taken from
_BATCH = 64
_HELD = ("test", "validation")


@dataclass(frozen=True, slots=True)
class CarryFeatures(Step):
    """Inputs: the `data`, and what the exit's file answers to the held-out examples of `test`, and of `validation`
    where that is connected: these are the features that the rest is really given. Of the training examples some are
    kept where the first half, `first`, is connected, with the features of that module.
    """

    seed: int = 0

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "data"
    needs: ClassVar[tuple[str, ...]] = ("data", "test")
    tools: ClassVar[tuple[str, ...]] = ("torch", "numpy")

    def run(self, io: StepIO) -> None:
        """Write the data set; labels, groups and slices of the held-out examples stay."""
        data, held = io.path("data"), [split for split in _HELD if split in io.inputs]
        described = json.loads((data / dataset.DESCRIPTION).read_text())
        described.pop("inputs", None)
        for path in data.iterdir():
            if path.is_file() and path.name.startswith(tuple(f"{split}." for split in held)) and not _is_input(path):
                shutil.copyfile(path, io.output / path.name)
        for split in held:
            dataset.write_inputs(io.output, split, (read(io.path(split))[-1],))
        counts = {split: described["examples"][split] for split in held}
        if "first" in io.inputs:
            learnt = dataset.calibration(data, _LEARNT, self.seed)
            dataset.write_inputs(io.output, "train", (_features(io.path("first"), learnt),))
            dataset.write_labels(io.output, "train", learnt.labels, dataset.heads(data))
            counts["train"] = len(learnt)
        described["examples"] = counts
        (io.output / dataset.DESCRIPTION).write_text(json.dumps(described) + "\n")


def _is_input(path: Path) -> bool:
    """Whether a file holds an input of a split: `test.0.npy`."""
    return path.name.split(".")[1].isdigit()


def _features(model: Path, split: Split) -> Array:
    import numpy as np
    import torch

    from edgebuild.nn import checkpoint
    from edgebuild.nn.train.batches import in_order

    module = checkpoint.load(model).module
    with torch.no_grad():
        values: Array = np.concatenate([module(*inputs)[-1].numpy() for inputs, _ in in_order(split, _BATCH)])
    return values
