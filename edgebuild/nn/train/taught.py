"""A student with what teaches it: labels, what teachers answer, and what their inner layers do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

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
            goals = [listed(teacher(*inputs)) for teacher in teachers]
        given = listed(module(*inputs))
        known, written = labels[: len(heads)], labels[len(heads) :]
        goals += [written[k : k + len(given)] for k in range(0, len(written), len(given))]
        soft = losses.of_teachers(heads, goal, given, goals, temperature)
        return alpha * losses.of_labels(heads, given, known, inputs=inputs) + (1 - alpha) * soft

    return loss
