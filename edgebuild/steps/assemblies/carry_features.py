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
    """Inputs: the `data`, the first half as `model`, and what its file answers to held-out examples, `test` and
    `validation`: these are the features that the rest is really given. Of the training examples some are kept, with
    the features of the module.
    """

    seed: int = 0

    consumes: ClassVar[tuple[str, ...]] = ("torch",)
    produces: ClassVar[str | None] = "data"
    needs: ClassVar[tuple[str, ...]] = ("model", "data", *_HELD)
    tools: ClassVar[tuple[str, ...]] = ("torch", "numpy")

    def run(self, io: StepIO) -> None:
        """Write the data set; labels, groups and slices stay."""
        data = io.path("data")
        for path in data.iterdir():
            if path.is_file() and not path.name.startswith(("train.", "unlabelled.")) and not _is_input(path):
                shutil.copyfile(path, io.output / path.name)
        for split in _HELD:
            dataset.write_inputs(io.output, split, (read(io.path(split))[-1],))
        learnt = dataset.calibration(data, _LEARNT, self.seed)
        dataset.write_inputs(io.output, "train", (_features(io.path("model"), learnt),))
        dataset.write_labels(io.output, "train", learnt.labels, dataset.heads(data))
        described = json.loads((data / dataset.DESCRIPTION).read_text())
        described.pop("inputs", None)
        described["examples"] |= {"train": len(learnt)}
        described["examples"].pop("unlabelled", None)
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
