"""Trains a module whose parts are held by several processes: each has its part's parameters, gradients and optimizer.

`torch.distributed.pipelining` moves what crosses, forwards and back; what is ours is where the module is cut. A batch
goes through whole, as one microbatch, so that batch norms and losses are those of a training in one process.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from edgebuild.nn.train import batches, group, stages
from edgebuild.nn.train.kept_parts import KeptParts
from edgebuild.nn.train.optimizers import optimizer, rate
from edgebuild.nn.train.training import DivergedError, hold, seeded
from edgebuild.spec.artifact import Progress
from edgebuild.spec.errors import UsageError
from edgebuild.spec.model import Training
from edgebuild.spec.rows import Split, Stored
from edgebuild.spec.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    import torch
    from torch import Tensor, nn

    from edgebuild.nn.train.losses import Loss
    from edgebuild.nn.train.training import Augment

_TOLD = 10  # steps between two looks at the loss, as in one process


def fit(
    module: nn.Module,
    data: Split | Stored,
    loss: Loss,
    training: Training,
    stage: Stage,
    *,
    example: tuple[Tensor, ...],
    masks: list[tuple[nn.Parameter, Tensor]],
    augment: Augment | None,
    progress: Progress,
    folder: Path | None,
    restarts: int,
) -> list[str]:
    """As `training.fit`, in every process of the step at once; the first one's module is whole again afterwards.

    UsageError where the module cannot be cut. `example`: one example [1, …]; `folder`: where each process keeps what
    it needs to go on after a kill.
    """
    from torch import distributed

    try:
        parts = stages.cut(module, example, stage.count)
    except stages.CannotCutError as error:
        raise UsageError(str(error), option="processes", hint="train it in one process") from None
    batch = min(len(data), training.batch_size)
    crossing = stages.crossings(module, parts, tuple(each.expand(batch, *each.shape[1:]) for each in example))
    learning = {name for name, each in module.named_parameters(remove_duplicate=False) if each.requires_grad}
    part = parts[stage.index]
    stages.drop(module, part)
    group.meet(stage)
    try:
        run = _Run(module, part, crossing, data, loss, training, stage, masks, augment, KeptParts(folder, stage))
        lines = _from_first_weights(run, progress, restarts)
        whole(module, parts, stage, learning)
        module.eval()
    finally:
        distributed.destroy_process_group()
    places = " and ".join(repr(each.leaves) for each in parts[:-1])
    return [*lines, f"trained by {stage.count} processes, cut where {places} begins"]


def whole(module: nn.Module, parts: Sequence[stages.Part], stage: Stage, learning: Collection[str]) -> None:
    """Give the first process all that the others have learnt, one tensor after the other; they keep theirs.

    `learning`: the names of parameters that have gradients.
    """
    import torch
    from torch import distributed, nn

    exchanged: dict[int, Tensor] = {}
    for name, tensor in stages.tensors(module).items():
        owner = next(number for number, part in enumerate(parts) if name in part.names)
        if owner == 0 or stage.index not in (0, owner):
            continue
        if id(tensor) not in exchanged:
            exchanged[id(tensor)] = tensor
            if stage.index == owner:
                distributed.send(tensor.detach().cpu().contiguous(), dst=0)
            else:
                learnt = torch.empty(tensor.shape, dtype=tensor.dtype)
                distributed.recv(learnt, src=owner)
                parameter = isinstance(tensor, nn.Parameter)
                exchanged[id(tensor)] = nn.Parameter(learnt, name in learning) if parameter else learnt
        if stage.first:
            stages.put(module, name, exchanged[id(tensor)])


def _from_first_weights(run: _Run, progress: Progress, restarts: int) -> list[str]:
    """Train, on from what was kept, and where the loss is no number any more from the first weights, more gently."""
    first = {name: tensor.detach().clone() for name, tensor in run.own().items()}
    reason, state = "", run.kept.read()
    for attempt in range(state["attempt"] if state else 0, restarts + 1):
        peak = run.training.learning_rate / 10**attempt
        try:
            run.go(replace(run.training, learning_rate=peak), progress, attempt, state)
        except DivergedError as error:
            reason, state = str(error), None
            run.kept.clear()
            for name, tensor in run.own().items():
                tensor.data.copy_(first[name])
            continue
        grew = f"the learning rate {run.training.learning_rate:g} let the loss grow beyond all numbers"
        return [f"{grew}: {peak:g} was taken"] if attempt else []
    raise UsageError(f"training diverged: {reason}", option="learning_rate", hint="lower it")


@dataclass(slots=True)
class _Run:
    """One process's part of a training."""

    module: nn.Module
    part: stages.Part
    crossing: Sequence[tuple[Tensor, ...]]
    data: Split | Stored
    loss: Loss
    training: Training
    stage: Stage
    masks: list[tuple[nn.Parameter, Tensor]]
    augment: Augment | None
    kept: KeptParts

    def own(self) -> dict[str, Any]:
        """Parameters and buffers of this part, by name."""
        return {name: tensor for name, tensor in stages.tensors(self.module).items() if name in self.part.names}

    def go(self, training: Training, progress: Progress, attempt: int, state: dict[str, Any] | None) -> None:
        """From the first step, or from a kept one, to the last; DivergedError, in every process, where the loss is no
        number any more.
        """
        import torch

        generator, device = seeded(training.seed), group.device(self.stage)
        self._place(device, torch.channels_last)
        self.module.train()
        mine = [each for each in self.module.parameters() if not each.is_meta]
        order, last = batches.Order(len(self.data), training, generator), batches.steps(self.data, training)
        descent = optimizer(mine, training)
        schedule = torch.optim.lr_scheduler.LambdaLR(descent, lambda step: rate(step / last))
        line = _Line(self, device)
        begun = self._resume(state, order, descent, schedule) if state else 0
        for step in range(begun + 1, last + 1):
            inputs, labels = batches.tensors(self.data.take(order.at(step - 1).numpy()))
            inputs = (self.augment(inputs[0], generator), *inputs[1:]) if self.augment else inputs
            descent.zero_grad()
            value = line.through(inputs, labels)
            if training.clip is not None:
                self._clip(mine, training.clip)
            descent.step()
            schedule.step()
            hold((each, gone) for each, gone in self.masks if not each.is_meta)
            if step % _TOLD == 1 or step == last:
                due = self._tell(progress, step / last, step, value, float(schedule.get_last_lr()[0]))
                if due and step < last:
                    self.kept.write(self._state(attempt, step, order, descent, schedule), step)
        self._place(torch.device("cpu"), torch.contiguous_format)

    def _place(self, device: torch.device, layout: torch.memory_format) -> None:
        for tensor in self.own().values():
            spread = tensor.ndim == 4 and tensor.is_floating_point()
            tensor.data = tensor.data.to(device, memory_format=layout) if spread else tensor.data.to(device)

    def _clip(self, parameters: Sequence[nn.Parameter], most: float) -> None:
        """The gradients of all parts are one vector, whose norm all processes must know."""
        import torch
        from torch import distributed
        from torch.nn import utils

        norm = utils.get_total_norm([each.grad for each in parameters if each.grad is not None])
        square = norm.detach().square().cpu()
        distributed.all_reduce(square)
        utils.clip_grads_with_norm_(parameters, most, torch.sqrt(square).to(norm.device))

    def _tell(self, progress: Progress, done: float, step: int, value: Tensor | None, learning_rate: float) -> bool:
        """Where the training is; the last process alone knows the loss, and tells it to the others. Whether all are
        ready to keep where they are.
        """
        import torch
        from torch import distributed

        sums = torch.zeros(2) if value is None else torch.stack([value.detach().cpu().float(), torch.zeros(())])
        sums[1] = float(self.kept.due())
        distributed.all_reduce(sums)
        loss = sums[0].item()
        if not math.isfinite(loss):
            raise DivergedError(f"the loss is {loss} at step {step}")
        if self.stage.first:
            progress(done, f"loss {loss:.3f}", step=step, loss=loss, learning_rate=learning_rate)
        return int(sums[1]) == self.stage.count

    def _state(self, attempt: int, step: int, order: batches.Order, descent: Any, schedule: Any) -> dict[str, Any]:
        """All of this process that decides what follows a step."""
        return order.state() | {
            "attempt": attempt, "step": step, "own": {name: tensor.detach() for name, tensor in self.own().items()},
            "optimizer": descent.state_dict(), "schedule": schedule.state_dict(),
        }  # fmt: skip

    def _resume(self, state: dict[str, Any], order: batches.Order, descent: Any, schedule: Any) -> int:
        """Be where a state was kept; its step."""
        for name, tensor in self.own().items():
            tensor.data.copy_(state["own"][name])
        descent.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        order.take(state)
        return int(state["step"])


class _Line:
    """The pipeline as one process sees it."""

    def __init__(self, run: _Run, device: torch.device) -> None:
        self._run, self._device = run, device
        self._batch: tuple[tuple[Tensor, ...], tuple[Tensor, ...]] = (), ()
        self._schedule: Any = None

    def through(self, inputs: tuple[Tensor, ...], labels: tuple[Tensor, ...]) -> Tensor | None:
        """One batch there and its gradients back; its loss in the process that has the answers."""
        stage = self._run.stage
        needed = stage.first or stage.last
        self._batch = (
            tuple(tensor.to(self._device) if needed else tensor for tensor in inputs),
            tuple(tensor.to(self._device) for tensor in labels),
        )
        if self._schedule is None:
            self._schedule = self._planned(inputs)
        losses: list[Tensor] = []
        args = self._batch[0] if stage.first else ()
        target = self._batch[0][0] if stage.last else None
        self._schedule.step(*args, target=target, losses=losses if stage.last else None, return_outputs=False)
        return losses[0] if losses else None

    def _planned(self, inputs: tuple[Tensor, ...]) -> Any:
        """The schedule of this process: what goes in and out is told once, for all batches are of one size."""
        from torch.distributed.pipelining import PipelineStage, ScheduleGPipe

        stage, crossing = self._run.stage, self._run.crossing
        taken = inputs if stage.first else tuple(each.requires_grad_() for each in crossing[stage.index - 1])
        part = PipelineStage(
            _held(self._run.module, self._run.part, inputs),
            stage.index,
            stage.count,
            self._device,
            input_args=taken,
            output_args=tuple(each.requires_grad_() for each in crossing[stage.index]),
        )
        return ScheduleGPipe(part, 1, loss_fn=self._loss if stage.last else _no_loss)

    def _loss(self, answers: Any, _: Tensor) -> Tensor:
        inputs, labels = self._batch
        outputs = answers if isinstance(answers, tuple) else (answers,)
        return self._run.loss(lambda *_: outputs, inputs, labels)  # type: ignore[arg-type]


def _held(module: nn.Module, part: stages.Part, inputs: tuple[Tensor, ...]) -> nn.Module:
    """The part as a module of its own: from what crosses, or the inputs, to what crosses, or the answers."""
    import torch
    from torch import nn

    class Held(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module, self.shapes = module, stages.shapes(inputs)

        def forward(self, *entering: Tensor) -> Tensor | tuple[Tensor, ...]:
            if part.enters is None:
                answers = stages.run(self.module, part, entering)
            else:
                answers = stages.run(self.module, part, self.shapes, _laid_out(entering[0]))
            answers = tuple(each.contiguous() for each in answers)
            return answers if len(answers) > 1 else answers[0]

    def _laid_out(tensor: Tensor) -> Tensor:
        return tensor.to(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor

    return Held()


def _no_loss(*_: object) -> None:
    """Of a part that does not answer: that it learns is all that the schedule must know."""
