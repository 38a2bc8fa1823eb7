"""A student with what teaches it: labels, what teachers answer, and what their inner layers do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from edgebuild.nn import shared_batch
from edgebuild.nn.answers import listed
from edgebuild.nn.train import losses

if TYPE_CHECKING:
    from torch import Tensor, nn

    from edgebuild.nn.train.losses import Loss
    from edgebuild.spec.signature import Head
    from edgebuild.spec.task import Goal


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
        """The sum over the pairs of layers, of the last run of both; where processes share a batch, weighted so that
        their mean is that of all examples.
        """
        import torch
        from torch.nn import functional

        total = torch.zeros(())
        for number, (mine, theirs) in enumerate(self._pairs):
            answer, goal = self._taps[0][mine], self._taps[1][theirs].detach()
            if not self.regressors:
                total = total + losses.attention(answer, goal)
            else:
                brought = self.regressors[number](answer.movedim(1, -1)).movedim(-1, 1)
                total = total + functional.mse_loss(brought, goal)
        return total * shared_batch.share()


def with_regressors(student: nn.Module, regressors: nn.Module) -> nn.Module:
    """A module that answers as the student does, and whose parameters are those of both."""
    from torch import nn

    class Regressed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.student, self.regressors = student, regressors

        def forward(self, *inputs: Tensor) -> object:
            return self.student(*inputs)

    return Regressed()


def lesson(heads: Sequence[Head], goal: Goal, alpha: float, temperature: float, teachers: Sequence[nn.Module]) -> Loss:
    """α·loss of the labels + (1−α)·loss of the goal that the teachers set (Hinton et al. 2015, section 2).

    Each is summed over the heads by weight; outputs without a head are not taught. Behind the labels of a batch may be
    answers to it that were written down, of one teacher after another (`Teachers.beside`).
    """
    import torch

    for teacher in teachers:
        teacher.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def loss(module: nn.Module, inputs: tuple[Tensor, ...], labels: tuple[Tensor, ...]) -> Tensor:
        with torch.no_grad():
            for teacher in teachers:
                teacher.to(inputs[0].device)
            goals = [listed(teacher(*inputs)) for teacher in teachers]
        answers = listed(module(*inputs))
        known, written = labels[: len(heads)], labels[len(heads) :]
        goals += [written[k : k + len(answers)] for k in range(0, len(written), len(answers))]
        of_labels = losses.of_labels(heads, answers, known, inputs=inputs)
        if not goals:  # validation, to whose examples nobody's answers were written down
            return of_labels
        return alpha * of_labels + (1 - alpha) * losses.of_teachers(heads, goal, answers, goals, temperature)

    return loss
