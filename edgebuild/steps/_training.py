"""What steps that train share: the machine's cores, the validation split, the user's own `fit`, and checkpoints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
    from edgebuild.nn.train.replicas import Replicas


_RESTARTS = 2  # after a divergence: at a tenth of the rate, and at a hundredth


@dataclass(frozen=True, slots=True)
class Learner:
    """A module that is to learn, one example [1, …] that it takes, and what its model declares for that.

    sparse: parameters whose zeros stay; augment, fit: functions of the model's code, by name; called: all modules that
    answer a batch, its own with those that teach it and those that share its parameters
    """

    module: nn.Module
    example: tuple[Tensor, ...]
    code: ModelCode
    augment: str | None
    fit: str | None
    sparse: Sequence[nn.Parameter]
    called: Sequence[nn.Module]


def learner(model: Checkpoint, module: nn.Module, beside: Sequence[nn.Module] = ()) -> Learner:
    """A module that has the model's parameters: the model's own, or what was made of it for the training. `beside`
    answer the same batches.
    """
    called = {id(each): each for each in (module, model.module, *beside)}
    sparse = model.sparse_parameters()
    return Learner(module, model.example(), model.code, model.augment, model.fit, sparse, [*called.values()])


def fit(
    io: StepIO,
    step: Step,
    learner: Learner,
    data: Stored,
    loss: Loss,
    how: Training,
    kind: Literal["train", "distill", "qat"],
) -> list[str]:
    """Train the module in place, by the user's own function where there is one, or by several processes, which all do
    the step up to here; what was done of its own accord.
    """
    from edgebuild.nn.train import machine, own, training

    if how.processes > 1:
        return _in_parts(io, step, learner, data, loss, how)
    count, lines = _replicas(io, learner, data, how)
    validation = None
    if how.patience is not None or how.averaging is not None or learner.fit is not None:
        validation = dataset.read(io.path("data"), "validation")
    augment = learner.code.function(learner.augment, "augment") if learner.augment else None
    with machine.threads(learner.module, learner.example, how.batch_size, io.cores, count) as threads:
        if learner.fit is None or validation is None:
            with _together(io, step, learner, how, count) as together:
                return lines + training.fit(
                    learner.module, data, loss, how,
                    sparse=learner.sparse, augment=augment, progress=io.progress, validation=validation,
                    folder=io.partial, restarts=_RESTARTS, replicas=together,
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


def _replicas(io: StepIO, learner: Learner, data: Stored, how: Training) -> tuple[int, list[str]]:
    """How many processes share every batch, and what is told of it; UsageError where they cannot and are asked for."""
    from edgebuild.nn.train import batches, machine, replicas

    if io.stage is not None:
        return io.stage.count, []
    batch, asked, devices = min(len(data), how.batch_size), how.replicas, machine.devices()
    if learner.fit is not None:
        if (asked or 1) > 1:
            reason = f"the model trains itself (fit), and cannot be told how to do so in {asked} processes"
            raise UsageError(reason, option="replicas", hint="leave replicas out, or fit")
        return 1, []
    if 0 < devices < (asked or 1):
        reason = f"there are {devices} CUDA devices for {asked} processes"
        raise UsageError(reason, option="replicas", hint='fewer, or CUDA_VISIBLE_DEVICES="" for the processor')
    count = min(asked, batch) if asked else machine.replicas(learner.module, learner.example, batch)
    if count == 1:
        return 1, []
    inputs, _ = batches.tensors(data.take(slice(0, count)))
    why = next(filter(None, (replicas.inseparable(module, inputs) for module in learner.called)), None)
    if why is None:
        return count, [f"trained by {count} processes, each with a share of every batch"]
    if asked:
        raise UsageError(f"{count} processes cannot share a batch: {why}", option="replicas", hint="leave it out")
    return 1, [f"trained on one of {devices} CUDA devices, which cannot share a batch: {why}"]


@contextmanager
def _together(io: StepIO, step: Step, learner: Learner, how: Training, count: int) -> Iterator[Replicas | None]:
    """What this process is of those that share every batch, where there are several."""
    from edgebuild.nn.train import replicas

    if count == 1:
        yield None
        return
    with (
        _stages.together(io, step, count) as stage,
        replicas.joined(stage, how.seed) as joined,
        joined.answering(learner.called),
    ):
        yield joined


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
