"""Optimizers of a training and the learning rate that they follow."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from edgebuild.spec.model import Training

if TYPE_CHECKING:
    import torch
    from torch import nn

WARM_UP = 0.15  # of all steps


def optimizer(parameters: Iterable[nn.Parameter], training: Training) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum or AdamW; weight decay on matrices and kernels only, not on biases and norms."""
    import torch

    every = list(parameters)
    weights, others = [p for p in every if p.ndim > 1], [p for p in every if p.ndim <= 1]
    groups = [{"params": weights, "weight_decay": training.weight_decay}, {"params": others, "weight_decay": 0.0}]
    if training.optimizer == "adamw":
        return torch.optim.AdamW(groups, training.learning_rate)
    return torch.optim.SGD(groups, training.learning_rate, momentum=0.9, nesterov=True)


def rate(done: float, warm_up: float = WARM_UP) -> float:
    """Share of the peak learning rate at a share of all steps: it rises linearly, and falls along half a cosine.

    Loshchilov & Hutter 2017, with a warm-up before it.
    """
    if done < warm_up:
        return done / warm_up
    return 0.5 * (1 + math.cos(math.pi * (done - warm_up) / (1 - warm_up)))
