"""Fits a module to arrays: seeded, deterministic, warm-up and cosine schedule; knows nothing of the data."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from edgebuild.spec.artifact import Progress
from edgebuild.spec.dataset import Split, Stored
from edgebuild.spec.errors import UsageError
from edgebuild.spec.model import Training

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from edgebuild.nn.train.losses import Loss

    Augment = Callable[[Tensor, torch.Generator], Tensor]
    Batch = tuple[tuple[Tensor, ...], tuple[Tensor, ...]]


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
) -> nn.Module:
    """Minimise `loss(module, inputs, labels)` over shuffled batches; the module, in eval mode.

    SGD with Nesterov momentum; the learning rate rises linearly to its peak over the first 15 % of the steps and
    falls to zero along half a cosine (Loshchilov & Hutter 2017). `augment` is applied to the first input. Zeros of
    the `sparse` parameters stay zero (Han et al. 2015, section 3).
    """
    import torch

    generator = seeded(training.seed)
    module.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    masks = [(parameter, parameter.detach() == 0) for parameter in sparse]
    optimiser = _optimiser(module, training)
    last = steps(data, training)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step / last))
    for step, (inputs, labels) in enumerate(_batches(data, training, generator, augment)):
        optimiser.zero_grad()
        value = loss(module, inputs, labels)
        value.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        _hold(masks)
        schedule.step()
        if step % 10 == 0 or step == last - 1:
            _check_finite(value.item(), step)
            now = {"loss": value.item(), "learning_rate": float(schedule.get_last_lr()[0])}
            progress((step + 1) / last, f"loss {now['loss']:.3f}", step=step + 1, **now)
    module.eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return module


def gradients(module: nn.Module, data: Split | Stored, loss: Loss, size: int = 32) -> None:
    """Leave the mean over batches of |∂L/∂w| in every parameter's `.grad`, None where L does not depend on it.

    Absolute batch by batch, for over all examples the gradients of a trained model cancel out (Molchanov et al. 2019,
    section 3.2). The module is in eval mode.
    """
    module.eval()
    totals: dict[nn.Parameter, Tensor] = {}
    for inputs, labels in in_order(data, size):
        module.zero_grad()
        loss(module, inputs, labels).backward()  # type: ignore[no-untyped-call]
        for parameter in module.parameters():
            if parameter.grad is not None:
                part = parameter.grad.abs() * (len(inputs[0]) / len(data))
                totals[parameter] = totals[parameter] + part if parameter in totals else part
    for parameter in module.parameters():
        parameter.grad = totals.get(parameter)


def in_order(data: Split | Stored, size: int = 64) -> Iterator[Batch]:
    """All examples once as they come, in batches of inputs and labels; the last may be shorter."""
    for start in range(0, len(data), size):
        yield _tensors(data.take(slice(start, start + size)))


def _hold(masks: list[tuple[nn.Parameter, Tensor]]) -> None:
    """Set to zero what momentum and decay, as much as gradients, may have moved; never to −0, which codes worse."""
    for parameter, gone in masks:
        parameter.data.masked_fill_(gone, 0.0)


def _check_finite(loss: float, step: int) -> None:
    if not math.isfinite(loss):
        told = f"training diverged: the loss is {loss} at step {step + 1}"
        raise UsageError(told, option="learning_rate", hint="lower it")


def steps(data: Split | Stored, training: Training) -> int:
    """How many optimiser steps `fit` takes."""
    return training.epochs * _batches_per_epoch(data, training)


def _batches_per_epoch(data: Split | Stored, training: Training) -> int:
    return max(1, len(data) // training.batch_size)


def _optimiser(module: nn.Module, training: Training) -> torch.optim.Optimizer:
    """Weight decay on matrices and kernels only, not on biases and norms."""
    import torch

    weights = [p for p in module.parameters() if p.ndim > 1]
    others = [p for p in module.parameters() if p.ndim <= 1]
    groups = [{"params": weights, "weight_decay": training.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.SGD(groups, training.learning_rate, momentum=0.9, nesterov=True)


def _rate(done: float, warmup: float = 0.15) -> float:
    """Share of the peak learning rate at a share of all steps."""
    if done < warmup:
        return done / warmup
    return 0.5 * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup)))


def _batches(
    data: Split | Stored, training: Training, generator: torch.Generator, augment: Augment | None
) -> Iterator[Batch]:
    """Every epoch's full batches in a new order; a shorter last batch is left out."""
    import torch

    used = min(len(data), _batches_per_epoch(data, training) * training.batch_size)
    for _ in range(training.epochs):
        order = torch.randperm(len(data), generator=generator)
        for rows in order[:used].split(min(training.batch_size, used)):  # type: ignore[no-untyped-call]
            inputs, labels = _tensors(data.take(rows.numpy()))
            yield (augment(inputs[0], generator), *inputs[1:]) if augment else inputs, labels


def _tensors(examples: Split) -> Batch:
    """Inputs and labels, writable: torch warns of any other."""
    import numpy as np
    import torch

    inputs, labels = (
        tuple(torch.from_numpy(np.require(values, requirements=("W", "C"))) for values in side)
        for side in (examples.inputs, examples.labels)
    )
    return inputs, labels
