"""What tasks ask of the outputs that a head reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgebuild.spec.equality import whole
from edgebuild.spec.errors import UsageError
from edgebuild.spec.signature import Scores, TensorSpec

if TYPE_CHECKING:
    from torch import Tensor


def single(task: str, outputs: Sequence[TensorSpec], *, numbers: bool = False) -> TensorSpec:
    """The one output that a head of this task reads; ValueError where there are several, or it has no floats.

    numbers: whole numbers and booleans are answers of this task as well
    """
    if len(outputs) != 1:
        named = ", ".join(output.name for output in outputs)
        raise ValueError(f"task {task!r} reads one output, not {len(outputs)} ({named}): give each output its own task")
    if not numbers:
        floats(task, outputs)
    return outputs[0]


def is_chosen(output: TensorSpec) -> bool:
    """Whether an output is the number of a class for each place, and no score of every class."""
    return whole(output.dtype)


def learnt(answers: Sequence[Tensor]) -> Sequence[Tensor]:
    """The answers; UsageError for whole numbers, through which no gradient passes."""
    for answer in answers:
        if not answer.is_floating_point():
            reason = f"the model answers {str(answer.dtype).removeprefix('torch.')}, and nothing is learnt through that"
            raise UsageError(reason, hint="let it answer scores, or take the steps that train out of the recipe")
    return answers


def floats(task: str, outputs: Sequence[TensorSpec]) -> None:
    """ValueError where an output that a head of this task reads has whole numbers."""
    for output in outputs:
        if not output.dtype.startswith("float"):
            raise ValueError(f"task {task!r} learns from float32 answers, and output {output.name!r} is {output.dtype}")


def threshold(scores: Scores) -> float:
    """Above which a class is there."""
    return 0.5 if scores == "probabilities" else 0.0


def in_logits(answers: Tensor, scores: Scores) -> Tensor:
    """Scores of classes, each for itself, as logits."""
    import torch

    if scores == "logits":
        return answers
    return torch.logit(answers, eps=torch.finfo(torch.float32).eps)
