"""Tasks of heads: found, asked what they say of a declaration, and which metrics their answers have."""

from __future__ import annotations

from collections.abc import Sequence

from edgebuild.spec.errors import UsageError
from edgebuild.spec.outputs import Answers
from edgebuild.spec.registry import TASKS
from edgebuild.spec.signature import Head
from edgebuild.spec.task import Task


def of(head: Head) -> Task:
    """The task of a head."""
    return TASKS.get(head.task).of(head)


def modules(heads: Sequence[Head]) -> tuple[str, ...]:
    """The modules of the heads' tasks, whose code is part of the keys of what learns from labels or judges answers."""
    return tuple(sorted({TASKS.module(head.task) for head in heads}))


def fits(metric_tasks: Sequence[str] | None, metric: str, task: str) -> bool:
    """Whether answers of a task have a metric: it names the task, or the task names it; None names no task at all."""
    return metric_tasks is None or task in metric_tasks or metric in TASKS.get(task).metrics


def check(answers: Answers, *, smoothed: bool) -> None:
    """UsageError with the key unless what a model's file says of its answers is said in the words of their tasks.

    `smoothed`: whether labels are smoothed in training, which those of classes alone can be.
    """
    for head in answers.heads:
        key = answers.key(head)
        task = TASKS.get(head.task, key=f"{key}.task" if key else "task")()
        try:
            task.check(head, [answers.specs[place] for place in head.outputs])
        except ValueError as error:
            raise UsageError(str(error), key=key or ("outputs" if answers.tables else "task")) from None
    if answers.outputs is None and not answers.labels:
        raise UsageError("is missing: how many values does the model answer?", key="outputs")
    if smoothed and not any(of(head).smooths for head in answers.heads):
        message = f"label_smoothing is for classes; task {answers.heads[0].task!r} has none"
        raise UsageError(message, key="training.label_smoothing")
