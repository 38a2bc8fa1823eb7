"""A model whose weights are the mean of those of other models of the project: several trainings of one network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from edgebuild.sources import _members
from edgebuild.spec import tasks
from edgebuild.spec.dataset import Held
from edgebuild.spec.model import ModelSpec
from edgebuild.spec.source import Making, Source
from edgebuild.steps.evidence.torch_outputs import TorchOutputs
from edgebuild.steps.mix_weights import MixWeights


@dataclass(frozen=True, slots=True)
class Soup(Source):
    """Wortsman et al. 2022; batch norms are estimated anew, and by validation it is no worse than the best member."""

    members: Annotated[
        tuple[str, ...], Field(min_length=2, description="models of the project: one network, trained in other ways")
    ]
    way: Annotated[
        Literal["greedy", "uniform"], Field(description="those that do not make the mean worse, or all of them")
    ] = "greedy"

    kind: ClassVar[str] = "torch"
    trainable: ClassVar[bool] = True
    requires: ClassVar[tuple[str, ...]] = ("torch", "safetensors")
    extra: ClassVar[str | None] = "torch"

    def float(self, model: ModelSpec) -> Making:
        """The mean of the members' weights; UsageError for members that answer something else."""
        _members.refuse_unlike(model)
        names = tuple(member.name for member in model.members)
        step = MixWeights(self.way, names, model.origin)
        return Making(step, code=tasks.modules(model.declared.heads), models=_members.roles(model))

    def reference(self, split: Held) -> Making:
        """PyTorch's own answers."""
        return Making(TorchOutputs(split))
