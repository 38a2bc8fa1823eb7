"""Losses of knowledge distillation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgebuild.spec.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor


def distillation(student: Tensor, teacher: Tensor, labels: Tensor, alpha: float, temperature: float) -> Tensor:
    """α·CE(labels, student) + (1−α)·T²·KL(softmax(teacher/T) ‖ softmax(student/T)), the mean over the batch.

    `student` and `teacher` are logits [N, C], `labels` class numbers [N]. T² keeps the gradients of both terms
    comparable (Hinton, Vinyals & Dean 2015, section 2.1). UsageError when the two have different outputs.
    """
    from torch.nn import functional

    if student.shape != teacher.shape:
        given = f"the teacher's output is {list(teacher.shape)}, the model's {list(student.shape)}"
        raise UsageError(given, key="distill", hint="teacher and model need the same classes")
    hard = functional.cross_entropy(student, labels)
    soft = functional.kl_div(
        functional.log_softmax(student / temperature, 1),
        functional.log_softmax(teacher / temperature, 1),
        reduction="batchmean",
        log_target=True,
    )
    return alpha * hard + (1 - alpha) * temperature**2 * soft
