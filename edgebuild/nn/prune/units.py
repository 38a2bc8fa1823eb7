"""Units that leave a model at once: a channel of all layers that depend on it, or a head of attention; and removal."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgebuild.nn.prune import removal
from edgebuild.nn.prune.heads import Attention
from edgebuild.nn.prune.removal import Part
from edgebuild.spec.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from edgebuild.nn.prune.importance import Importance

    Example = tuple[Tensor, ...]


@dataclass(frozen=True, slots=True)
class Units:
    """Units that compete with one another.

    name: the layer that stands for all that depend on it, or the attention
    noun: what one of them is: "channels" or "heads"
    group: torch-pruning's dependency group, for criteria; its channels are numbered as in `members`
    members: which channels each unit has
    multiple: what is left must be a multiple of this many units, and at least this many
    parts: what each layer loses with each channel
    attention: that whose heads they are; None for channels
    """

    name: str
    noun: str
    group: Any
    members: Sequence[Sequence[int]]
    multiple: int
    parts: tuple[Part, ...]
    attention: Attention | None = None

    def scores(self, importance: Importance) -> Tensor | None:
        """How important each unit is, the mean over its channels; None when the criterion says nothing here.

        UsageError for an importance that is no number: its units would go in no order.
        """
        import torch

        found = importance(self.group)
        if found is None:
            return None
        if not found.isfinite().all():
            told = f"the importance of {int((~found.isfinite()).sum())} {self.noun} of {self.name!r} is not finite"
            raise UsageError(told, option="criterion", hint="take another criterion, or name the layer in keep")
        return torch.stack([found[list(channels)].mean() for channels in self.members])

    def lost(self, units: Collection[int]) -> list[Part]:
        """What all layers lose with these units."""
        channels = {channel for unit in units for channel in self.members[unit]}
        return [part.of(channels) for part in self.parts]

    @property
    def size(self) -> int:
        """The number of channels (or heads) there are."""
        return sum(len(channels) for channels in self.members)

    @property
    def fixed(self) -> bool:
        """Whether there are too few for any to go."""
        return len(self.members) <= self.multiple


def remove(module: nn.Module, example: Example, chosen: Sequence[tuple[Units, Collection[int]]]) -> None:
    """Take units, by number, out of the module, or out of a copy of it; all at once, for those that are left move.

    UsageError when no attribute of the module counts the heads that an attention loses.
    """
    removal.take_out(module, [part for units, gone in chosen if not units.attention for part in units.lost(gone)])
    for units, gone in chosen:
        if units.attention is not None and gone:
            removal.take_out(module, units.lost(gone))
            units.attention.recount(module, example, len(units.members) - len(gone))


def cut(
    module: nn.Module, example: Example, found: Sequence[Units], scores: Mapping[str, Tensor], stays: Mapping[str, int]
) -> None:
    """Remove the units of least score, so that as many are left as `stays` says; ties go in the order of channels."""
    chosen = []
    for units in found:
        gone = len(units.members) - stays.get(units.name, len(units.members))
        if gone > 0:
            chosen.append((units, scores[units.name].argsort(stable=True)[:gone].tolist()))
    remove(module, example, chosen)


def scored(found: Sequence[Units], importance: Importance) -> dict[str, Tensor]:
    """How important each unit is, by name; without those that the criterion says nothing about."""
    scores = {units.name: units.scores(importance) for units in found}
    return {name: score for name, score in scores.items() if score is not None}
