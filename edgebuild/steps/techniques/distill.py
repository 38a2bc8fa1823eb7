"""Fine-tunes a model on labels and on what one or several teachers answer, in the end and inside."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge, Gt
from pydantic import Field

from edgebuild.spec import dataset, notes, tasks
from edgebuild.spec.artifact import StepIO
from edgebuild.spec.errors import UsageError
from edgebuild.spec.fields import Seed
from edgebuild.spec.model import Averaging, Clip, Optimizer, Patience, Processes, Replicas, Training
from edgebuild.spec.task import Goal
from edgebuild.spec.technique import Technique
from edgebuild.steps import _training

if TYPE_CHECKING:
    from torch import Tensor, nn

    from edgebuild.nn.checkpoint import Checkpoint
    from edgebuild.nn.train.losses import Loss
    from edgebuild.nn.train.taught import Features
    from edgebuild.spec.signature import Head

_LAYERS, _TEACHER_LAYERS = "distill.layers", "distill.layers of the teacher"


@dataclass(frozen=True, slots=True)
class Distill(Technique):
    """α·labels + (1−α)·goal + β·features; model and teachers see the same augmented batch (Hinton et al. 2015).

    The goal is the teacher's softened probabilities (`soft`, with T²), its logits (Ba & Caruana 2014) or its first
    choice (`pseudo_labels`, Lee 2013). `features` compares inner `layers`: `hints` through a regressor where channels
    differ (FitNets, Romero et al. 2015), `attention` by maps of where they are active (Zagoruyko & Komodakis 2017).
    A layer is named once, or as "mine=teacher's". Several declared teachers teach as their mean; without any, the
    model as it was before compression does (self-distillation). Examples without labels count in the goal alone. A
    teacher that is a file of any source teaches by its answers. Gradients are clipped (Pascanu et al. 2013): without
    batch norms, which exporters fold, they can grow at this rate.
    """

    goal: Goal = "soft"
    alpha: Annotated[float, Field(ge=0, le=1, description="weight of the labels")] = 0.1
    temperature: Annotated[float, Gt(0)] = 4.0
    features: Literal["hints", "attention"] | None = None
    layers: Annotated[tuple[str, ...], Field(description="layers whose features are compared")] = ()
    feature_weight: Annotated[float, Field(gt=0, description="β")] = 1.0
    unlabelled: Annotated[bool, Field(description="use the data's unlabelled examples, where it has any")] = True
    epochs: Annotated[int, Ge(1)] = 20
    batch_size: Annotated[int, Ge(1)] = 64
    learning_rate: Annotated[float, Gt(0)] = 0.05
    weight_decay: Annotated[float, Ge(0)] = 5e-4
    seed: Seed = 0
    optimizer: Optimizer = "sgd"
    clip: Clip = 2.0
    patience: Patience = None
    averaging: Averaging = None
    processes: Processes = 1
    replicas: Replicas = None

    consumes: ClassVar[tuple[str, ...]] = ("torch",)
    needs: ClassVar[tuple[str, ...]] = ("model", "teacher", "data")
    tools: ClassVar[tuple[str, ...]] = ("torch",)
    values_only: ClassVar[bool] = True
    gentler: ClassVar[str] = "more `epochs`"

    def __post_init__(self) -> None:
        """ValueError unless layers are named exactly where features are compared, in one process."""
        if bool(self.features) != bool(self.layers):
            raise ValueError("features and layers go together: name the layers whose features are compared")
        training = self.training
        if self.features and training.processes > 1:
            raise ValueError("features are compared in one process: leave processes out")

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

    def opens(self) -> tuple[str, ...]:
        """Inner layers are those of modules."""
        return ("teacher",) if self.features else ()

    def run(self, io: StepIO) -> None:
        """Fit the model and save it."""
        from edgebuild.nn import checkpoint
        from edgebuild.nn.train import remembered, teachers

        student = checkpoint.load(io.path("model"))
        taught_by = [io.inputs["teacher"], *io.roles("teacher").values()]
        taught = teachers.load(taught_by)
        heads, data = dataset.heads(io.path("data")), dataset.read(io.path("data"), "train")
        if self.unlabelled:
            data = dataset.with_unlabelled(io.path("data"), data, [tasks.of(head).missing for head in heads])
        data = taught.beside(data, ("train", "unlabelled") if self.unlabelled else ("train",))
        with ExitStack() as stack:
            modules = stack.enter_context(remembered.remembering(self._memory(io), taught_by, taught.modules))
            module, loss = self._lesson(student, modules, heads, stack)
            lines = _training.fit(
                io, self, _training.learner(student, module, modules), data, loss, self.training, "distill"
            )
        checkpoint.save(student, io.output)
        notes.write(io.output, lines)

    def _memory(self, io: StepIO) -> Path | None:
        """Where answers are remembered; inner layers are only there when the teacher is run."""
        return io.kept if self.features is None and self.processes == (self.replicas or 1) == 1 else None

    def _lesson(
        self, student: Checkpoint, taught_by: Sequence[nn.Module], heads: tuple[Head, ...], stack: ExitStack
    ) -> tuple[nn.Module, Loss]:
        """What is fitted, and to what: the student, with regressors where features need them."""
        from edgebuild.nn.train.taught import lesson, with_regressors

        loss = lesson(heads, self.goal, self.alpha, self.temperature, taught_by)
        if self.features is None:
            return student.module, loss
        features = self._features(student, taught_by[0], stack)

        def with_features(_: nn.Module, inputs: tuple[Tensor, ...], labels: tuple[Tensor, ...]) -> Tensor:
            return loss(student.module, inputs, labels) + self.feature_weight * features.distance()

        return with_regressors(student.module, features.regressors), with_features

    def _features(self, student: Checkpoint, teacher: nn.Module, stack: ExitStack) -> Features:
        """The named layers beside the first teacher's; UsageError for what cannot be compared."""
        from edgebuild.nn.train import training
        from edgebuild.nn.train.taps import shapes, tapped
        from edgebuild.nn.train.taught import Features

        training.seeded(self.seed)
        pairs = [(mine, theirs or mine) for mine, _, theirs in (name.partition("=") for name in self.layers)]
        mine, theirs = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        ours = shapes(student.module, student.example(), mine, _LAYERS)
        goals = shapes(teacher, student.example(), theirs, _TEACHER_LAYERS)
        for name, goal in pairs:
            if ours[name][2:] != goals[goal][2:]:
                message = f"layer {name!r} answers {ours[name]}, the teacher's {goal!r} {goals[goal]}: other places"
                raise UsageError(message, key=_LAYERS, hint="pair layers of the same height and width")
        taps = (
            stack.enter_context(tapped(student.module, mine, _LAYERS)),
            stack.enter_context(tapped(teacher, theirs, _TEACHER_LAYERS)),
        )
        channels = [(ours[name][1], goals[goal][1]) for name, goal in pairs]
        return Features(taps, pairs, channels if self.features == "hints" else None)
