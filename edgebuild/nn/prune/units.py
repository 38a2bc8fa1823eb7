"""Units that leave a model at once: a channel of all layers that depend on it, or a head of attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgebuild.spec.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from edgebuild.nn.prune.dependencies import Group
    from edgebuild.nn.prune.importance import Importance


@dataclass(frozen=True, slots=True)
class Units:
    """Units that compete with one another.

    name: the layer that stands for all that depend on it, or the attention
    noun: what one of them is: "channels" or "heads"
    group: what of each parameter goes with each unit
    members: which channels each unit has, as the layer of that name numbers them
    multiple: what is left must be a multiple of this many units, and at least this many
    """

    name: str
    noun: str
    group: Group
    members: Sequence[Sequence[int]]
    multiple: int

    def scores(self, importance: Importance) -> Tensor | None:
        """How important each unit is; None when the criterion says nothing here.

        UsageError for an importance that is no number: its units would go in no order.
        """
        values = importance(self.group)
        if values is not None and not values.isfinite().all():
            message = f"the importance of {int((~values.isfinite()).sum())} {self.noun} of {self.name!r} is not finite"
            raise UsageError(message, option="criterion", hint="take another criterion, or name the layer in keep")
        return values

    @property
    def size(self) -> int:
        """The number of channels (or heads) there are."""
        return sum(len(channels) for channels in self.members)

    @property
    def fixed(self) -> bool:
        """Whether there are too few for any to go."""
        return len(self.members) <= self.multiple


def least(
    candidates: Sequence[Units], scores: Mapping[str, Tensor], stays: Mapping[str, int]
) -> list[tuple[Units, list[int]]]:
    """The units of least score, so that as many are left as `stays` says; ties go in the order of channels.

    More are left where a layer that has only some of the units would have none.
    """
    counts = [(units, len(units.members) - stays.get(units.name, len(units.members))) for units in candidates]
    order = {units.name: scores[units.name].argsort(stable=True).tolist() for units, gone in counts if gone > 0}
    return [(units, units.group.spared(order[units.name], gone)) for units, gone in counts if gone > 0]


def scored(candidates: Sequence[Units], importance: Importance) -> dict[str, Tensor]:
    """How important each unit is, by name; without those that the criterion says nothing about."""
    scores = {units.name: units.scores(importance) for units in candidates}
    return {name: score for name, score in scores.items() if score is not None}
