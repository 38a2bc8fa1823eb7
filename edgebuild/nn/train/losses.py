"""Losses: of plain training by task, and of knowledge distillation."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from edgebuild.spec.errors import UsageError
from edgebuild.spec.model import Task

if TYPE_CHECKING:
    from torch import Tensor

    Criterion = Callable[[Tensor, Tensor], Tensor]

Goal = Literal["soft", "logits", "pseudo_labels"]


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

    `student` and `teacher` are logits [N, C], `labels` class numbers [N] (Hinton, Vinyals & Dean 2015, section 2.1).
    UsageError when the two have different outputs.
    """
    from torch.nn import functional

    goal = of_teacher("classification", "soft", student, [teacher], temperature)
    return alpha * functional.cross_entropy(student, labels) + (1 - alpha) * goal


def of_teacher(task: Task, goal: Goal, student: Tensor, teachers: list[Tensor], temperature: float) -> Tensor:
    """How far the student's answers [N, D] are from those of its teachers together, the mean over the batch.

    soft: T²·KL(teacher ‖ student) of probabilities at temperature T; T² keeps gradients as large as those of labels
    (Hinton et al. 2015). logits: mean squared difference (Ba & Caruana 2014). pseudo_labels: cross-entropy with the
    teacher's first choice (Lee 2013). Several teachers are one whose probabilities (soft, pseudo_labels) or answers
    (logits) are their mean. What is no class has no probabilities: there `soft` is the task's own loss.
    """
    import torch
    from torch.nn import functional

    for teacher in teachers:
        if student.shape != teacher.shape:
            given = f"the teacher's output is {list(teacher.shape)}, the model's {list(student.shape)}"
            raise UsageError(given, hint="teacher and model need the same outputs")
    mean = torch.stack(teachers).mean(0)
    if goal == "logits":
        return functional.mse_loss(student, mean)
    if task != "classification":
        return of_task(task)(student, mean)
    if goal == "pseudo_labels":
        return functional.cross_entropy(student, torch.stack(teachers).softmax(2).mean(0).argmax(1))
    together = functional.log_softmax(torch.stack(teachers) / temperature, 2).logsumexp(0)
    log_goal = together - torch.log(torch.tensor(float(len(teachers))))
    log_given = functional.log_softmax(student / temperature, 1)
    return temperature**2 * functional.kl_div(log_given, log_goal, reduction="batchmean", log_target=True)


def attention(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of attention maps: Σ_c a_c² over channels, each example's map of length one.

    Inner answers [N, C, …] of any channels and the same places (Zagoruyko & Komodakis 2017, section 3.1).
    """
    from torch.nn import functional

    maps = [functional.normalize(values.pow(2).mean(1).flatten(1)) for values in (student, teacher)]
    return functional.mse_loss(maps[0], maps[1])
