"""Fine-tunes a model on the labels and on the softened outputs of a teacher."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Gt
from pydantic import Field

from edgebuild.nn import checkpoint, losses, training
from edgebuild.spec import dataset
from edgebuild.spec.artifact import Determinism, StepIO
from edgebuild.spec.fields import Seed
from edgebuild.spec.model import Training

if TYPE_CHECKING:
    from torch import Tensor, nn

    from edgebuild.nn.training import Loss


@dataclass(frozen=True, slots=True)
class Distill:
    """α·CE + (1−α)·T²·KL(teacher ‖ student), Hinton et al. 2015; both see the same augmented batch.

    Without a declared teacher, the model as it was before compression teaches (self-distillation).
    """

    alpha: Annotated[float, Field(ge=0, le=1)] = 0.1
    temperature: Annotated[float, Gt(0)] = 4.0
    epochs: Annotated[int, Ge(1)] = 20
    batch_size: Annotated[int, Ge(1)] = 64
    learning_rate: Annotated[float, Gt(0)] = 0.05
    weight_decay: Annotated[float, Ge(0)] = 5e-4
    seed: Seed = 0

    consumes: ClassVar[tuple[str, ...]] = ("torch",)
    produces: ClassVar[str | None] = None
    needs: ClassVar[tuple[str, ...]] = ("model", "teacher", "data")
    tools: ClassVar[tuple[str, ...]] = ("torch",)
    deterministic: ClassVar[Determinism] = "same-cpu"
    exclusive: ClassVar[bool] = False
    values_only: ClassVar[bool] = True

    def run(self, io: StepIO) -> None:
        """Fit the model and save it."""
        student = checkpoint.load(io.path("model"))
        data = dataset.read(io.path("data"), "train")
        how = Training(self.epochs, self.batch_size, self.learning_rate, self.weight_decay, seed=self.seed)
        loss = self._loss(checkpoint.load(io.path("teacher")).module)
        sparse, augment = student.sparse_parameters(), student.augmentation()
        training.fit(student.module, data, loss, how, sparse=sparse, augment=augment, progress=io.progress)
        checkpoint.save(student, io.output)

    def _loss(self, teacher: nn.Module) -> Loss:
        import torch

        teacher.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

        def loss(module: nn.Module, inputs: tuple[Tensor, ...], labels: Tensor) -> Tensor:
            with torch.no_grad():
                goal = teacher(*inputs)
            return losses.distillation(module(*inputs), goal, labels, self.alpha, self.temperature)

        return loss
