"""Trains the model (or its teacher) on the train split, from nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from edgebuild.nn import checkpoint
from edgebuild.nn.source import Source
from edgebuild.nn.train import training
from edgebuild.spec import dataset
from edgebuild.spec.artifact import EXCUSED, Determinism, StepIO
from edgebuild.spec.errors import owner
from edgebuild.spec.model import TensorSpec, Training


@dataclass(frozen=True, slots=True)
class Train:
    """The loss of the data's task, the model's own training options; one compute thread, so that the bytes repeat."""

    builder: str
    inputs: tuple[TensorSpec, ...]
    width: int
    training: Training
    augment: str | None = None
    origin: str = field(default="model", metadata=EXCUSED)

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "torch"
    needs: ClassVar[tuple[str, ...]] = ("source", "data")
    tools: ClassVar[tuple[str, ...]] = ("torch", "safetensors")
    deterministic: ClassVar[Determinism] = "same-cpu"
    exclusive: ClassVar[bool] = False

    def run(self, io: StepIO) -> None:
        """Build, fit, save."""
        source = Source(io.path("source"), self.origin)
        training.seeded(self.training.seed)
        module = source.build(self.builder, self.inputs, self.width)
        loss = training.supervised(dataset.task(io.path("data")), self.training.label_smoothing)
        augment = source.function(self.augment, "augment") if self.augment else None
        data = dataset.read(io.path("data"), "train")
        with owner("training", whole=True):
            training.fit(module, data, loss, self.training, sparse=(), augment=augment, progress=io.progress)
        checkpoint.save(checkpoint.Checkpoint(module, source, self.builder, self.inputs, self.augment), io.output)
