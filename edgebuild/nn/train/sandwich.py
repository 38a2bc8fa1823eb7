"""The lesson of a network and its slices at once: the sandwich rule and in-place distillation (Yu & Huang 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from edgebuild.nn.answers import listed
from edgebuild.nn.train import losses

if TYPE_CHECKING:
    from torch import Tensor, nn

    from edgebuild.nn.train.losses import Answers, Loss
    from edgebuild.spec.signature import Head


class Sharing(Protocol):
    """A part of a network that computes with its parameters."""

    def answers(self, whole: nn.Module, inputs: Answers) -> Answers:
        """What it answers with the parameters as they are."""


def lesson(
    heads: Sequence[Head], least: Sharing, others: Sequence[Sharing], drawn: int, alpha: float, temperature: float
) -> Loss:
    """The sum of the whole's loss by its labels and, of the least slice and of `drawn` others, drawn anew each time,
    α·loss of the labels + (1−α)·distance from what the whole answers to the same batch (no gradient goes into that).

    In eval mode the whole's loss alone, by which nothing is chosen between slices.
    """
    import torch

    def slices() -> list[Sharing]:
        rows = torch.randperm(len(others))[:drawn].tolist()  # torch's own generator goes on where a kill stopped it
        return [least, *(others[row] for row in rows)]

    def loss(module: nn.Module, inputs: Answers, labels: Answers) -> Tensor:
        whole = listed(module(*inputs))
        total = losses.of_labels(heads, whole, labels, inputs=inputs)
        if not module.training:
            return total
        goal = tuple(one.detach() for one in whole)
        for one in slices():
            answers = one.answers(module, inputs)
            taught = losses.of_teachers(heads, "soft", answers, [goal], temperature)
            total = total + alpha * losses.of_labels(heads, answers, labels, inputs=inputs) + (1 - alpha) * taught
        return total

    return loss
