"""Tasks of heads, and the metrics that their answers have."""

from __future__ import annotations

from collections.abc import Sequence

from edgebuild.spec.registry import TASKS
from edgebuild.spec.signature import Head
from edgebuild.spec.task import Task


def of(head: Head) -> Task:
    """The task of a head."""
    return TASKS.get(head.task)()


def modules(heads: Sequence[Head]) -> tuple[str, ...]:
    """The modules of the heads' tasks, whose code is part of the keys of what learns from labels or judges answers."""
    return tuple(sorted({TASKS.module(head.task) for head in heads}))


def fits(metric_tasks: Sequence[str] | None, metric: str, task: str) -> bool:
    """Whether answers of a task have a metric: it names the task, or the task names it; None names no task at all."""
    return metric_tasks is None or task in metric_tasks or metric in TASKS.get(task).metrics
