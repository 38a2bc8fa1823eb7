"""Fits a module to examples: seeded, deterministic, and on from where a kill stopped it; knows nothing of the data."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebuild.nn.train import averaging, batches, machine, statistics, stopping
from edgebuild.nn.train.kept import Kept
from edgebuild.nn.train.optimizers import optimizer, rate
from edgebuild.nn.train.replicas import Replicas
from edgebuild.spec.artifact import Progress
from edgebuild.spec.errors import UsageError
from edgebuild.spec.model import Training
from edgebuild.spec.rows import Split, Stored

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from edgebuild.nn.train.losses import Loss

    Augment = Callable[[Tensor, torch.Generator], Tensor]


class DivergedError(Exception):
    """The loss is no number any more."""


def seeded(seed: int) -> torch.Generator:
    """A generator for `seed`; also seeds initialisation and asks every operator to be deterministic."""
    import torch

    torch.use_deterministic_algorithms(True)
    torch.manual_seed(seed)
    return torch.Generator().manual_seed(seed)


def fit(
    module: nn.Module,
    data: Split | Stored,
    loss: Loss,
    training: Training,
    *,
    sparse: Iterable[nn.Parameter],
    augment: Augment | None = None,
    progress: Progress,
    validation: Split | Stored | None = None,
    folder: Path | None = None,
    restarts: int = 0,
    replicas: Replicas | None = None,
) -> list[str]:
    """Minimise `loss(module, inputs, labels)` over shuffled batches; the module is left in eval mode.

    The learning rate rises linearly to its peak over the first 15 % of the steps and falls to zero along half a cosine
    (Loshchilov & Hutter 2017). `augment` is applied to the first input. Zeros of the `sparse` parameters stay zero
    (Han et al. 2015, section 3). With `patience` the loss of `validation`, which must then be there, ends it, and the
    best epoch's weights are what is left. Where the loss is no number any more, it starts again from the first weights
    at a tenth of the rate, as many times as it may, and says so in the lines that are returned; else UsageError.

    `folder` is where it keeps what it needs to go on after a kill, to the same bytes. Where several processes are
    `replicas`, all call this at once, with the same: the first keeps, and each is left with the same module.
    """
    replicas = replicas or Replicas()
    kept, masks = Kept(folder, writes=replicas.first), held(sparse)
    replicas.begin_alike(module)
    first = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
    state = kept.read()
    if not replicas.agree(state["step"] if state else 0):
        state = None
    for attempt in range(state["attempt"] if state else 0, restarts + 1):
        gentler = replace(training, learning_rate=training.learning_rate / 10**attempt)
        run = _Run(module, data, loss, gentler, masks, augment, validation, kept, attempt, replicas)
        try:
            run.go(progress, state)
        except DivergedError as error:
            module.load_state_dict(first)
            state, reason = None, str(error)
            continue
        reason = f"the learning rate {training.learning_rate:g} let the loss grow beyond all numbers"
        return ([f"{reason}: {gentler.learning_rate:g} was taken"] if attempt else []) + run.lines
    raise UsageError(f"training diverged: {reason}", option="learning_rate", hint="lower it")


def held(sparse: Iterable[nn.Parameter]) -> list[tuple[nn.Parameter, Tensor]]:
    """Parameters, and which of their values are zero and must stay so."""
    return [(parameter, parameter.detach() == 0) for parameter in sparse]


def hold(masks: Iterable[tuple[nn.Parameter, Tensor]]) -> None:
    """Set to zero what momentum and decay, as much as gradients, may have moved; never to −0, which codes worse."""
    for parameter, gone in masks:
        parameter.data.masked_fill_(gone.to(parameter.device), 0.0)


@dataclass(slots=True)
class _Run:
    """One training from its first step, or from a kept one, to its end."""

    module: nn.Module
    data: Split | Stored
    loss: Loss
    training: Training
    masks: list[tuple[nn.Parameter, Tensor]]
    augment: Augment | None
    validation: Split | Stored | None
    kept: Kept
    attempt: int
    replicas: Replicas
    lines: list[str] = field(default_factory=list)

    def go(self, progress: Progress, state: dict[str, Any] | None) -> None:
        """DivergedError where the loss is no number any more; UsageError for a module of which nothing is learnt."""
        import torch

        if not any(each.requires_grad for each in self.module.parameters()):
            hint = "requires_grad_(True), or a recipe whose steps do not train"
            raise UsageError("nothing is learnt: every parameter of the model is frozen, or it has none", hint=hint)
        generator, device = seeded(self.training.seed), machine.device()
        self.module.train().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        order = batches.Order(len(self.data), self.training, generator)
        descent, best, last = optimizer(self.module.parameters(), self.training), stopping.Best(), self._last
        schedule = torch.optim.lr_scheduler.LambdaLR(descent, lambda step: rate(step / last))
        mean = averaging.Averaged(self.training.averaging, last, order.per_epoch)
        step = self._resume(state, order, descent, schedule, best, mean) if state else 0
        while step < last:
            value = self._step(order.at(step), generator, device, descent)
            schedule.step()
            step += 1
            mean.see(step, self.module)
            if step == 1:
                self.replicas.compare(self.module)
            if step % 10 == 1 or step == last:
                self._tell(progress, step, value, float(schedule.get_last_lr()[0]))
            if step % order.per_epoch == 0 and self._enough(best, device):
                break
            if self.kept.due():
                self.kept.write(self._state(step, order, descent, schedule, best, mean))
        if best.state:
            self.module.load_state_dict(best.state)
        self._take(mean, device)
        self.module.eval().to("cpu", memory_format=torch.contiguous_format)  # type: ignore[call-overload]

    @property
    def _last(self) -> int:
        return batches.steps(self.data, self.training)

    def _step(
        self, rows: Tensor, generator: torch.Generator, device: torch.device, descent: torch.optim.Optimizer
    ) -> Tensor:
        """The loss of a batch, which the weights then follow."""
        from torch import nn

        inputs, labels = batches.tensors(self.data.take(rows.numpy()))
        inputs = (self.augment(inputs[0], generator), *inputs[1:]) if self.augment else inputs
        descent.zero_grad()
        here = [tuple(tensor.to(device) for tensor in side) for side in (inputs, labels)]
        value = self.loss(self.module, here[0], here[1])
        value.backward()  # type: ignore[no-untyped-call]
        self.replicas.average(self.module.parameters())
        if self.training.clip is not None:
            nn.utils.clip_grad_norm_(self.module.parameters(), self.training.clip)
        descent.step()
        hold(self.masks)
        return value

    def _tell(self, progress: Progress, step: int, value: Tensor, learning_rate: float) -> None:
        loss = self.replicas.mean(value.item())
        if not math.isfinite(loss):
            raise DivergedError(f"the loss is {loss} at step {step}")
        progress(step / self._last, f"loss {loss:.3f}", step=step, loss=loss, learning_rate=learning_rate)

    def _enough(self, best: stopping.Best, device: torch.device) -> bool:
        """Whether the validation loss has not fallen for as many epochs as are waited; looks at it once an epoch."""
        if self.training.patience is None or self.validation is None:
            return False
        best.see(self._validated(device), self.module)
        return best.waited >= self.training.patience

    def _take(self, mean: averaging.Averaged, device: torch.device) -> None:
        """Have the mean of the weights in the place of the last, unless the validation loss says that it is worse."""
        if not mean.mean:
            return
        single = {name: tensor.detach().clone() for name, tensor in self.module.state_dict().items()}
        without = self._validated(device)
        self.module.load_state_dict(mean.state(self.module))
        statistics.estimate(self.module, self.data, device)
        with_mean = self._validated(device)
        if without < with_mean:
            self.module.load_state_dict(single)
        end = "; it is left out" if without < with_mean else ""
        comparison = f"validation loss {with_mean:.4g}, and {without:.4g} without{end}"
        self.lines.append(f"the mean of the weights ({mean.how}, of {mean.count}): {comparison}")

    def _validated(self, device: torch.device) -> float:
        if self.validation is None:
            return math.inf
        return self.replicas.mean(stopping.validation_loss(self.module, self.validation, self.loss, device))

    def _state(
        self,
        step: int,
        order: batches.Order,
        descent: Any,
        schedule: Any,
        best: stopping.Best,
        mean: averaging.Averaged,
    ) -> dict[str, Any]:
        """All that decides what follows a step."""
        return order.state() | {
            "attempt": self.attempt, "step": step, "module": self.module.state_dict(),
            "optimizer": descent.state_dict(), "schedule": schedule.state_dict(),
            "best": best.as_plain(), "mean": mean.as_plain(), "forwards": self.replicas.forwards,
        }  # fmt: skip

    def _resume(
        self,
        state: dict[str, Any],
        order: batches.Order,
        descent: Any,
        schedule: Any,
        best: stopping.Best,
        mean: averaging.Averaged,
    ) -> int:
        """Be where a state was kept; its step."""
        self.module.load_state_dict(state["module"])
        descent.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        best.take(state["best"])
        mean.take(state["mean"])
        order.take(state)
        self.replicas.forwards = state["forwards"]
        return int(state["step"])


def gradients(module: nn.Module, data: Split | Stored, loss: Loss, size: int = 32) -> None:
    """Leave the mean over batches of |∂L/∂w| in every parameter's `.grad`, None where L does not depend on it.

    Absolute batch by batch, for over all examples the gradients of a trained model cancel out (Molchanov et al. 2019,
    section 3.2). The module is in eval mode.
    """
    module.eval()
    totals: dict[nn.Parameter, Tensor] = {}
    for inputs, labels in batches.in_order(data, size):
        module.zero_grad()
        loss(module, inputs, labels).backward()  # type: ignore[no-untyped-call]
        for parameter in module.parameters():
            if parameter.grad is not None:
                part = parameter.grad.abs() * (len(inputs[0]) / len(data))
                totals[parameter] = totals[parameter] + part if parameter in totals else part
    for parameter in module.parameters():
        parameter.grad = totals.get(parameter)
