"""Losses of a model's answers: of plain training and of distillation, head by head, and of inner features."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from edgebuild.nn.answers import listed
from edgebuild.spec import tasks
from edgebuild.spec.signature import Head

if TYPE_CHECKING:
    from torch import Tensor, nn

    from edgebuild.spec.task import Goal

    Answers = tuple[Tensor, ...]
    Loss = Callable[[nn.Module, tuple[Tensor, ...], tuple[Tensor, ...]], Tensor]


def supervised(heads: Sequence[Head], smoothing: float = 0.0) -> Loss:
    """The loss of plain training: what each head's task says of its answers and labels, summed by weight."""

    def loss(module: nn.Module, inputs: tuple[Tensor, ...], labels: tuple[Tensor, ...]) -> Tensor:
        return of_labels(heads, listed(module(*inputs)), labels, smoothing, inputs)

    return loss


def of_labels(
    heads: Sequence[Head], answers: Answers, labels: Answers, smoothing: float = 0.0, inputs: Answers = ()
) -> Tensor:
    """The losses of all heads, each over the examples that have a label for it (zero without any), by weight.

    `inputs` are what tasks are taught by that need no labels.
    """
    return _sum(
        head.weight * _over_known(head, _of(head, answers), known, smoothing, inputs)
        for head, known in zip(heads, labels, strict=True)
    )


def of_teachers(
    heads: Sequence[Head], goal: Goal, answers: Answers, teachers: Sequence[Answers], temperature: float
) -> Tensor:
    """How far answers are from those of the teachers together, summed over the heads by weight."""
    return _sum(
        head.weight
        * tasks.of(head).distilled(goal, _of(head, answers), [_of(head, one) for one in teachers], temperature)
        for head in heads
    )


def _sum(losses: Iterable[Tensor]) -> Tensor:
    """The first and what is added to it: one alone stays as it is, bit by bit."""
    first, *others = losses
    for other in others:
        first = first + other
    return first


def _of(head: Head, answers: Answers) -> Answers:
    return tuple(answers[position] for position in head.outputs)


def _over_known(head: Head, answers: Answers, labels: Tensor, smoothing: float, inputs: Answers) -> Tensor:
    task = tasks.of(head)
    targets = task.targets(labels, inputs)
    flat = labels.reshape(len(labels), -1)
    known = (flat != task.missing if task.missing == task.missing else ~flat.isnan()).all(1)  # NaN is not itself
    if known.all():
        return task.loss(answers, targets, smoothing)
    if not known.any():
        return 0.0 * answers[0].sum()
    return task.loss([answer[known] for answer in answers], targets[known], smoothing)


def attention(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of attention maps: Σ_c a_c² over channels, each example's map of length one.

    Inner answers [N, C, …] of any channels and the same places (Zagoruyko & Komodakis 2017, section 3.1).
    """
    from torch.nn import functional

    maps = [functional.normalize(values.pow(2).mean(1).flatten(1)) for values in (student, teacher)]
    return functional.mse_loss(maps[0], maps[1])
