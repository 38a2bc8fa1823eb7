"""Fine-tunes a model as its integer file will compute, and learns the ranges that the file's activations get."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt
from pydantic import Field

from edgebuild.nn import checkpoint
from edgebuild.nn.graph import trace
from edgebuild.nn.quantize import fake_quant, points, ranges
from edgebuild.nn.quantize.folding import fold, freeze
from edgebuild.nn.train import teachers
from edgebuild.nn.train.remembered import remembering
from edgebuild.nn.train.taught import lesson
from edgebuild.spec import dataset, notes
from edgebuild.spec.artifact import StepIO
from edgebuild.spec.fields import Seed
from edgebuild.spec.model import Averaging, Clip, Optimizer, Patience, Processes, Replicas, Training
from edgebuild.spec.rows import Split
from edgebuild.spec.task import Goal
from edgebuild.spec.technique import Technique
from edgebuild.steps import _training

if TYPE_CHECKING:
    from torch import fx

_PROBE = 4  # examples by whose values the tensors of an exported file are recognized
_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Qat(Technique):
    """Quantization-aware training (Jacob et al., CVPR 2018): values are rounded in the forward pass, gradients pass.

    Batch norms are folded first. Ranges of activations follow a moving average of the batches' minima and maxima, or
    their scales are learnt (LSQ, Esser et al. 2020). What is left is a float model and its ranges; `int8` behind it
    uses them instead of calibrating. The loss is that of distillation.
    """

    ranges: Literal["moving_average", "learnt"] = "moving_average"
    momentum: Annotated[float, Field(gt=0, le=1, description="of the moving average, per batch")] = 0.05
    granularity: Annotated[Literal["channel", "tensor"], Field(description="of weights, as in the step behind")] = (
        "channel"
    )
    calibration: Annotated[int, Ge(1), Field(description="training examples that set the first ranges")] = 256
    goal: Goal = "soft"
    alpha: Annotated[float, Field(ge=0, le=1, description="weight of the labels")] = 0.1
    temperature: Annotated[float, Gt(0)] = 4.0
    epochs: Annotated[int, Ge(1)] = 5
    batch_size: Annotated[int, Ge(1)] = 64
    learning_rate: Annotated[float, Gt(0)] = 0.001
    weight_decay: Annotated[float, Ge(0)] = 1e-4
    seed: Seed = 0
    optimizer: Optimizer = "sgd"
    clip: Clip = None
    patience: Patience = None
    averaging: Averaging = None
    processes: Processes = 1
    replicas: Replicas = None

    consumes: ClassVar[tuple[str, ...]] = ("torch",)
    needs: ClassVar[tuple[str, ...]] = ("model", "teacher", "data")
    tools: ClassVar[tuple[str, ...]] = ("torch",)
    values_only: ClassVar[bool] = True
    final: ClassVar[bool] = True
    gentler: ClassVar[str] = "more `epochs`"

    def __post_init__(self) -> None:
        """ValueError for options of a training that do not go together."""
        _ = self.training

    @property
    def trains(self) -> bool:
        """Always."""
        return True

    @property
    def training(self) -> Training:
        """How its weights are made."""
        how = Training(self.epochs, self.batch_size, self.learning_rate, self.weight_decay, seed=self.seed)
        how = replace(how, optimizer=self.optimizer, clip=self.clip, patience=self.patience)
        return replace(how, averaging=self.averaging, processes=self.processes, replicas=self.replicas)

    def run(self, io: StepIO) -> None:
        """Fold, train with rounding, save the float model with its ranges."""
        model = checkpoint.load(io.path("model"))
        fold(model.module, model.inputs)
        graph = trace(model.module, model.inputs)
        freeze(graph)
        first = dataset.calibration(io.path("data"), self.calibration, self.seed)
        learning = self._learning(graph, first)
        fake_quant.insert(graph, learning, self.granularity == "channel")
        taught_by = [io.inputs["teacher"], *io.roles("teacher").values()]
        taught = teachers.load(taught_by)
        data = taught.beside(dataset.read(io.path("data"), "train"), ("train",))
        memory = io.kept if self.processes == (self.replicas or 1) == 1 else None
        with remembering(memory, taught_by, taught.modules) as modules:
            loss = lesson(dataset.heads(io.path("data")), self.goal, self.alpha, self.temperature, modules)
            lines = _training.fit(io, self, _training.learner(model, graph, modules), data, loss, self.training, "qat")
        checkpoint.save(model, io.output)
        notes.write(io.output, lines)
        learnt = {name: module.ends() for name, module in learning.items()}
        ranges.save(learnt, tuple(x[:_PROBE] for x in first.inputs), io.output)

    def _learning(self, graph: fx.GraphModule, examples: Split) -> dict[str, Any]:
        """What learns each value's range, from what the float model makes of the examples."""
        import torch

        parts = [tuple(x[k : k + _AT_ONCE] for x in examples.inputs) for k in range(0, len(examples), _AT_ONCE)]
        seen = points.observe(graph, [tuple(map(torch.from_numpy, part)) for part in parts])
        if self.ranges == "learnt":
            return {name: fake_quant.learnt_scale(*ends) for name, ends in seen.items()}
        return {name: fake_quant.moving_average(*ends, self.momentum) for name, ends in seen.items()}
