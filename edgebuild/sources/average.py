"""A model that is the mean of other models of the project: one network, and from there on like any other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Gt
from pydantic import Field

from edgebuild.nn.joined import Join
from edgebuild.sources import _members
from edgebuild.spec.dataset import Held
from edgebuild.spec.errors import UsageError
from edgebuild.spec.model import ModelSpec
from edgebuild.spec.source import Making, Source
from edgebuild.steps.evidence.torch_outputs import TorchOutputs

_CLASSES = "classification"
_Weight = Annotated[float, Gt(0)]  # out here, as `float` is a method in there


@dataclass(frozen=True, slots=True)
class Average(Source):
    """Every member takes and answers what the model declares, with the labels in the same order."""

    members: Annotated[
        tuple[str, ...], Field(min_length=2, description="models of the project, each trained or read as it declares")
    ]
    weights: Annotated[tuple[_Weight, ...], Field(description="a number for each member; none: all the same")] = ()
    fitted: Annotated[bool, Field(description="take the weights that answer the validation examples best")] = False
    of: Annotated[
        Literal["outputs", "probabilities"], Field(description="probabilities: of the classes that logits stand for")
    ] = "outputs"

    kind: ClassVar[str] = "torch"
    trainable: ClassVar[bool] = True
    requires: ClassVar[tuple[str, ...]] = ("torch", "safetensors")
    extra: ClassVar[str | None] = "torch"

    def float(self, model: ModelSpec) -> Making:
        """The mean of the members' float models; UsageError for members that cannot be averaged."""
        _members.refuse_unlike(model)
        self._refuse(model)
        count = len(self.members)
        shares = self.weights or (1.0,) * count
        weights = tuple(round(weight / sum(shares), 9) for weight in shares)
        return _members.making(model, Join("average", count, weights, self.of), fitted=self.fitted)

    def _refuse(self, model: ModelSpec) -> None:
        if self.weights and self.fitted:
            reason = "weights are given, and fitted asks for others: keep one of the two"
            raise UsageError(reason, file=model.file, key="source.fitted")
        if len(self.weights) not in (0, len(self.members)):
            reason = f"{len(self.weights)} weights are given for {len(self.members)} members"
            raise UsageError(reason, file=model.file, key="source.weights")
        other = next((head.task for head in model.declared.heads if head.task != _CLASSES), None)
        if self.of == "probabilities" and (other or len(model.declared.signature.outputs) > 1):
            reason = f"only a {_CLASSES} has probabilities, and the model's task is {other or 'of several outputs'}"
            raise UsageError(reason, file=model.file, key="source.of", hint='of = "outputs"')

    def reference(self, split: Held) -> Making:
        """PyTorch's own answers."""
        return Making(TorchOutputs(split))
