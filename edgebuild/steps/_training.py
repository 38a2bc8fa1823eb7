"""What steps that train share: the machine's cores, the validation split, the user's own `fit`, and checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from edgebuild.spec import dataset
from edgebuild.spec.artifact import Step, StepIO
from edgebuild.spec.errors import UsageError
from edgebuild.spec.model import Training
from edgebuild.spec.rows import Stored
from edgebuild.steps import _stages

if TYPE_CHECKING:
    from torch import Tensor, nn

    from edgebuild.nn.checkpoint import Checkpoint
    from edgebuild.nn.model_code import ModelCode
    from edgebuild.nn.train.losses import Loss


_RESTARTS = 2  # after a divergence: at a tenth of the rate, and at a hundredth


@dataclass(frozen=True, slots=True)
class Learner:
    """A module that is to learn, one example [1, …] that it takes, and what its model declares for that.

    sparse: parameters whose zeros stay; augment, fit: functions of the model's code, by name
    """

    module: nn.Module
    example: tuple[Tensor, ...]
    code: ModelCode
    augment: str | None
    fit: str | None
    sparse: Sequence[nn.Parameter]


def learner(model: Checkpoint, module: nn.Module) -> Learner:
    """A module that has the model's parameters: the model's own, or what was made of it for the training."""
    return Learner(module, model.example(), model.code, model.augment, model.fit, model.sparse_parameters())


def fit(
    io: StepIO,
    step: Step,
    learner: Learner,
    data: Stored,
    loss: Loss,
    how: Training,
    kind: Literal["train", "distill", "qat"],
) -> list[str]:
    """Train the module in place, by the user's own function where there is one, or in parts by several processes, which
    all do the step up to here; what was done of its own accord.
    """
    from edgebuild.nn.train import machine, own, training

    if how.processes > 1:
        return _in_parts(io, step, learner, data, loss, how)
    validation = None
    if how.patience is not None or how.averaging is not None or learner.fit is not None:
        validation = dataset.read(io.path("data"), "validation")
    augment = learner.code.function(learner.augment, "augment") if learner.augment else None
    with machine.threads(learner.module, learner.example, how.batch_size, io.cores) as threads:
        if learner.fit is None or validation is None:
            return training.fit(
                learner.module, data, loss, how,
                sparse=learner.sparse, augment=augment, progress=io.progress, validation=validation, folder=io.partial,
                restarts=_RESTARTS,
            )  # fmt: skip
        training.seeded(how.seed)
        folder, masks = io.partial or io.scratch / "checkpoints", training.held(learner.sparse)
        folder.mkdir(parents=True, exist_ok=True)
        theirs = own.FitIO(
            kind, loss, how, augment, machine.device(), threads, folder, io.progress, lambda: training.hold(masks)
        )
        function = learner.code.function(learner.fit, "fit")
        own.run(function, learner.code.file, learner.module, own.Data(data, validation), theirs, masks)
        return []


def _in_parts(io: StepIO, step: Step, learner: Learner, data: Stored, loss: Loss, how: Training) -> list[str]:
    """The same by several processes, each with a part of the module."""
    from edgebuild.nn.train import machine, pipeline, training

    if learner.fit is not None:
        reason = f"the model trains itself (fit), and cannot be told how to do so in {how.processes} processes"
        raise UsageError(reason, option="processes", hint="leave processes out, or fit")
    augment = learner.code.function(learner.augment, "augment") if learner.augment else None
    with (
        machine.threads(learner.module, learner.example, how.batch_size, io.cores),
        _stages.together(io, step, how.processes) as stage,
    ):
        return pipeline.fit(
            learner.module, data, loss, how, stage,
            example=learner.example, masks=training.held(learner.sparse), augment=augment, progress=io.progress,
            folder=io.partial, restarts=_RESTARTS,
        )  # fmt: skip
