"""The user's own training in the place of ours: what it is handed, and what must hold of the module that it leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgebuild.nn.train.training import hold
from edgebuild.spec.artifact import Progress
from edgebuild.spec.errors import UsageError
from edgebuild.spec.model import Training
from edgebuild.spec.rows import Split, Stored

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from edgebuild.nn.train.losses import Loss
    from edgebuild.nn.train.training import Augment

Masks = list[tuple["nn.Parameter", "Tensor"]]


@dataclass(frozen=True, slots=True)
class Data:
    """What may be learnt from, and what may be chosen on; the examples of the judge are nobody's to see.

    Each has a length, and `take(rows)` reads some of its examples: `inputs` and `labels`, tuples of arrays [n, …].
    """

    train: Split | Stored
    validation: Split | Stored


@dataclass(frozen=True, slots=True)
class FitIO:
    """The rest of what `fit(module, data, io)` is handed.

    step: which training this is
    loss: `loss(module, inputs, labels)` of a batch of tensors on `device`, a scalar to be minimised; a teacher's term
        is in it
    training: the options that are declared: epochs, batch_size, learning_rate, weight_decay, optimizer, patience, seed
    augment: the model's own augmentation `augment(inputs[0], generator)`; None where it declares none
    device: where the module is
    threads: how many compute with it; they are set already
    checkpoints: a folder that is found again when a killed build is run anew, and that goes when the training has ended
    progress: `progress(done, note, step=…, loss=…)`, the share that is done and points of curves
    hold: to be called after every step of an optimizer: what pruning made zero becomes zero again
    """

    step: Literal["train", "distill", "qat"]
    loss: Loss
    training: Training
    augment: Augment | None
    device: torch.device
    threads: int
    checkpoints: Path
    progress: Progress
    hold: Callable[[], None]


def run(own: Callable[..., Any], file: str, module: nn.Module, data: Data, io: FitIO, masks: Masks) -> None:
    """Let the user's function train the module in place; UsageError where what it leaves is not the module it got."""
    shapes = _shapes(module)
    returned = own(module.train().to(io.device), data, io)
    module.eval().to("cpu")
    if wrong := _mistake(module, returned, shapes, masks):
        raise UsageError(wrong, file=file, key="fit()")
    hold(masks)  # a −0 codes worse


def _shapes(module: nn.Module) -> dict[str, tuple[str, ...]]:
    return {name: (str(list(value.shape)), str(value.dtype)) for name, value in module.state_dict().items()}


def _mistake(module: nn.Module, returned: object, before: dict[str, tuple[str, ...]], masks: Masks) -> str | None:
    """What is wrong with what was left, in words; None where nothing is."""
    import torch

    if returned is not None and returned is not module:
        return f"returned {type(returned).__name__}: it trains the module that it is given, and returns nothing"
    after = _shapes(module)
    if changed := sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name)):
        name = changed[0]
        was, now = (" ".join(shapes.get(name, ("nothing",))) for shapes in (before, after))
        return f"left {name!r} as {now}, which was {was}: only values may change"
    for name, value in module.state_dict().items():
        if not bool(torch.isfinite(value).all()):
            return f"left numbers in {name!r} that are not finite"
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    for parameter, zero in masks:
        if bool((parameter.detach()[zero] != 0).any()):
            name = names.get(id(parameter), "a parameter")
            return f"left weights in {name!r} that pruning had made zero: call io.hold() after each optimizer step"
    return None
