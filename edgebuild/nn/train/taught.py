"""A student with what teaches it beside its answers: comparisons of inner layers, and labels that may be missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from edgebuild.nn.train import losses
from edgebuild.spec.dataset import UNLABELLED

if TYPE_CHECKING:
    from torch import Tensor, nn

    from edgebuild.nn.train.losses import Criterion, Goal
    from edgebuild.nn.train.training import Loss
    from edgebuild.spec.model import Task


class Features:
    """How far the tapped layers of a student are from those of its teacher, pair by pair.

    With `channels` (student's, teacher's, a pair a layer) they are compared as they are, through a linear regressor
    over channels where those differ, which is trained and thrown away; without, by their attention maps.
    """

    def __init__(
        self,
        taps: tuple[Mapping[str, Tensor], Mapping[str, Tensor]],
        pairs: Sequence[tuple[str, str]],
        channels: Sequence[tuple[int, int]] | None,
    ) -> None:
        from torch import nn

        self._taps, self._pairs = taps, pairs
        self.regressors = nn.ModuleList(nn.Identity() if a == b else nn.Linear(a, b) for a, b in channels or ())

    def distance(self) -> Tensor:
        """The sum over the pairs of layers, of the last run of both."""
        import torch
        from torch.nn import functional

        total = torch.zeros(())
        for number, (mine, theirs) in enumerate(self._pairs):
            given, goal = self._taps[0][mine], self._taps[1][theirs].detach()
            if not self.regressors:
                total = total + losses.attention(given, goal)
            else:
                brought = self.regressors[number](given.movedim(1, -1)).movedim(-1, 1)
                total = total + functional.mse_loss(brought, goal)
        return total


def lesson(task: Task, goal: Goal, alpha: float, temperature: float, teachers: Sequence[nn.Module]) -> Loss:
    """α·loss of the labels + (1−α)·loss of the goal that the teachers set (Hinton et al. 2015, section 2)."""
    import torch

    for teacher in teachers:
        teacher.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    hard = masked(losses.of_task(task))

    def loss(module: nn.Module, inputs: tuple[Tensor, ...], labels: Tensor) -> Tensor:
        with torch.no_grad():
            goals = [teacher(*inputs) for teacher in teachers]
        given = module(*inputs)
        soft = losses.of_teacher(task, goal, given, goals, temperature)
        return alpha * hard(given, labels) + (1 - alpha) * soft

    return loss


def masked(criterion: Criterion) -> Criterion:
    """The loss over the examples that have a label; zero for a batch without any."""

    def loss(given: Tensor, labels: Tensor) -> Tensor:
        known = labels != UNLABELLED if labels.ndim == 1 else labels.isfinite().all(1)
        if known.all():
            return criterion(given, labels)
        return criterion(given[known], labels[known]) if known.any() else 0.0 * given.sum()

    return loss
