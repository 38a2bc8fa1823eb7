"""What tasks share in distillation: answers that can be compared, and the goal where answers are values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from edgebuild.spec.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from edgebuild.spec.task import Goal


def stacked(answer: Tensor, teachers: Sequence[Tensor]) -> Tensor:
    """What the teachers answer, [teachers, N, …]; UsageError where a shape is not the model's own."""
    import torch

    for teacher in teachers:
        if answer.shape != teacher.shape:
            message = f"the teacher's output is {list(teacher.shape)}, the model's {list(answer.shape)}"
            raise UsageError(message, hint="teacher and model need the same outputs")
    return torch.stack([*teachers])


def of_values(
    goal: Goal, answer: Tensor, teachers: Sequence[Tensor], loss: Callable[[Sequence[Tensor], Tensor], Tensor]
) -> Tensor:
    """How far values are from the mean of the teachers' own: squared for `logits`, else by the task's own loss.

    What is no class has no probabilities: there `soft` and `pseudo_labels` are the task's loss.
    """
    from torch.nn import functional

    mean = stacked(answer, teachers).mean(0)
    return functional.mse_loss(answer, mean) if goal == "logits" else loss([answer], mean)


def only(teachers: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """The one output that a head reads, of each teacher."""
    return [answer for (answer,) in teachers]
