"""Trains the model (or its teacher) on the train split, from nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from edgebuild.nn.train import training
from edgebuild.spec import dataset, notes
from edgebuild.spec.artifact import EXCUSED, Step, StepIO
from edgebuild.spec.errors import UsageError, owner
from edgebuild.spec.model import Training
from edgebuild.spec.signature import Signature
from edgebuild.steps import _training

if TYPE_CHECKING:
    from edgebuild.nn.network import Network


@dataclass(frozen=True, slots=True)
class Train(Step):
    """The loss of the data's task, the model's own options; on one thread unless a batch is work for several."""

    builder: str | Network
    signature: Signature
    training: Training
    augment: str | None = None
    origin: str = field(default="model", metadata=EXCUSED)
    fit: str | None = None

    consumes: ClassVar[tuple[str, ...]] = ()
    produces: ClassVar[str | None] = "torch"
    needs: ClassVar[tuple[str, ...]] = ("code", "data")
    tools: ClassVar[tuple[str, ...]] = ("torch", "safetensors")

    @property
    def trains(self) -> bool:
        """Always."""
        return True

    def uses(self) -> tuple[str, ...]:
        """Without the model's own code where it has no part in this."""
        coded = isinstance(self.builder, str) or self.augment or self.fit
        return self.needs if coded else tuple(role for role in self.needs if role != "code")

    def run(self, io: StepIO) -> None:
        """Build, fit, save."""
        from edgebuild.nn import checkpoint
        from edgebuild.nn.model_code import ModelCode
        from edgebuild.nn.train import losses

        code = ModelCode(io.path("code") if "code" in io.inputs else None, self.origin)
        training.seeded(self.training.seed)
        module = code.build(self.builder, self.signature.inputs, self.signature.outputs)
        loss = losses.supervised(dataset.heads(io.path("data")), self.training.label_smoothing)
        if dataset.without_labels(io.path("data")) is not None:
            message = "nothing can be learnt: the data has no labels"
            raise UsageError(
                message, file=f"{self.origin}/model.toml", key="data", hint="give weights, or labelled examples"
            )
        data = dataset.read(io.path("data"), "train")
        inputs, outputs = self.signature.inputs, self.signature.outputs
        built = checkpoint.Checkpoint(module, code, self.builder, inputs, self.augment, outputs=outputs, fit=self.fit)
        with owner("training", whole=True):
            lines = _training.fit(io, self, _training.learner(built, module), data, loss, self.training, "train")
        checkpoint.save(built, io.output)
        notes.write(io.output, [*_drawn(self.builder, self.training.seed), *lines])


def _drawn(builder: str | Network, seed: int) -> list[str]:
    """The line about a network whose weights could have been somebody's."""
    if isinstance(builder, str):
        return []
    return [f"{builder.shown} began with random weights (seed {seed}), as asked: what it knows is from this training"]
