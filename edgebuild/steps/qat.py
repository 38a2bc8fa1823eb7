"""Fine-tunes a model as its integer file will compute, and learns the ranges that the file's activations get."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt
from pydantic import Field

from edgebuild.nn import checkpoint, fake_quant, losses, points, ranges, training
from edgebuild.nn.folding import fold, freeze
from edgebuild.nn.graph import trace
from edgebuild.spec import dataset
from edgebuild.spec.artifact import Determinism, StepIO
from edgebuild.spec.fields import Seed
from edgebuild.spec.model import Training

if TYPE_CHECKING:
    from torch import Tensor, nn

    from edgebuild.nn.training import Loss

_PROBE = 4  # examples by whose values the tensors of an exported file are recognized


@dataclass(frozen=True, slots=True)
class Qat:
    """Quantization-aware training (Jacob et al., CVPR 2018): values are rounded in the forward pass, gradients pass.

    Batch norms are folded first. Ranges of activations follow a moving average of the batches' minima and maxima, or
    their scales are learnt (LSQ, Esser et al. 2020). What is left is a float model and its ranges; `int8` behind it
    uses them instead of calibrating. The loss is that of distillation.
    """

    ranges: Literal["moving_average", "learnt"] = "moving_average"
    momentum: Annotated[float, Field(gt=0, le=1, description="of the moving average, per batch")] = 0.01
    granularity: Annotated[Literal["channel", "tensor"], Field(description="of weights, as in the step behind")] = (
        "channel"
    )
    calibration: Annotated[int, Ge(1), Field(description="training examples that set the first ranges")] = 256
    alpha: Annotated[float, Field(ge=0, le=1)] = 0.1
    temperature: Annotated[float, Gt(0)] = 4.0
    epochs: Annotated[int, Ge(1)] = 5
    batch_size: Annotated[int, Ge(1)] = 64
    learning_rate: Annotated[float, Gt(0)] = 0.01
    weight_decay: Annotated[float, Ge(0)] = 1e-4
    seed: Seed = 0

    consumes: ClassVar[tuple[str, ...]] = ("torch",)
    produces: ClassVar[str | None] = None
    needs: ClassVar[tuple[str, ...]] = ("model", "teacher", "data")
    tools: ClassVar[tuple[str, ...]] = ("torch",)
    deterministic: ClassVar[Determinism] = "same-cpu"
    exclusive: ClassVar[bool] = False
    values_only: ClassVar[bool] = True

    def run(self, io: StepIO) -> None:
        """Fold, train with rounding, save the float model with its ranges."""
        import torch

        model = checkpoint.load(io.path("model"))
        fold(model.module, model.inputs)
        graph = trace(model.module, model.inputs)
        freeze(graph)
        first = dataset.calibration(io.path("data"), self.calibration, self.seed)
        batches = [tuple(torch.from_numpy(x[k : k + 64]) for x in first.inputs) for k in range(0, len(first), 64)]
        learning: dict[str, Any] = {name: self._range(*ends) for name, ends in points.observe(graph, batches).items()}
        fake_quant.insert(graph, learning, self.granularity == "channel")
        data = dataset.read(io.path("data"), "train")
        how = Training(self.epochs, self.batch_size, self.learning_rate, self.weight_decay, seed=self.seed)
        loss = self._loss(checkpoint.load(io.path("teacher")).module)
        sparse, augment = model.sparse_parameters(), model.augmentation()
        training.fit(graph, data, loss, how, sparse=sparse, augment=augment, progress=io.progress)
        checkpoint.save(model, io.output)
        learnt = {name: module.ends() for name, module in learning.items()}
        ranges.save(learnt, tuple(x[:_PROBE] for x in first.inputs), io.output)

    def _range(self, low: float, high: float) -> nn.Module:
        if self.ranges == "learnt":
            return fake_quant.learnt_scale(low, high)
        return fake_quant.moving_average(low, high, self.momentum)

    def _loss(self, teacher: nn.Module) -> Loss:
        import torch

        teacher.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

        def loss(module: nn.Module, inputs: tuple[Tensor, ...], labels: Tensor) -> Tensor:
            with torch.no_grad():
                goal = teacher(*inputs)
            return losses.distillation(module(*inputs), goal, labels, self.alpha, self.temperature)

        return loss
