"""Losses: of plain training by task, and of knowledge distillation."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from edgebuild.spec.errors import UsageError
from edgebuild.spec.model import Task

if TYPE_CHECKING:
    from torch import Tensor

    Criterion = Callable[[Tensor, Tensor], Tensor]


def of_task(task: Task, smoothing: float = 0.0) -> Criterion:
    """The loss between answers [N, D] and labels, the mean over the batch.

    classification: cross-entropy of logits with class numbers [N], smoothed (Szegedy et al. 2016, section 7);
    regression: squared error to targets [N, D], the mean over all values; embedding: 1 − cosine to vectors [N, D].
    """
    from torch.nn import functional

    match task:
        case "classification":
            return lambda given, labels: functional.cross_entropy(given, labels, label_smoothing=smoothing)
        case "regression":
            return functional.mse_loss
        case "embedding":
            return lambda given, labels: (1 - functional.cosine_similarity(given, labels, 1)).mean()


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
