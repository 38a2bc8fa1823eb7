"""What the steps that mix weights share: the loss that chooses, with batch norms that fit the weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgebuild.nn.train import losses, soup, statistics, stopping
from edgebuild.spec import dataset
from edgebuild.spec.artifact import StepIO
from edgebuild.spec.errors import UsageError

if TYPE_CHECKING:
    from torch import nn


def cook(io: StepIO, module: nn.Module, states: Sequence[soup.State], way: soup.Way, names: Sequence[str]) -> str:
    """Leave the soup in the module, in eval mode; the line that tells of it. UsageError without labels to choose by."""
    if dataset.without_labels(io.path("data")) is not None:
        raise UsageError("a soup is chosen by validation labels, and the data has none")
    soup.check(names, states)
    validation = dataset.read(io.path("data"), "validation")
    cooked = soup.cook(module, states, way, _evaluate(io))
    module.eval()
    return cooked.line(way, names, len(validation))


def _evaluate(io: StepIO) -> soup.Evaluate:
    import torch

    data, validation = (dataset.read(io.path("data"), name) for name in ("train", "validation"))
    loss, here = losses.supervised(dataset.heads(io.path("data"))), torch.device("cpu")

    def evaluate(module: nn.Module, mixed: bool) -> float:
        if mixed:
            statistics.estimate(module, data)
        value = stopping.validation_loss(module, validation, loss, here)
        module.eval()
        return value

    return evaluate
