"""A model that is a chain of other models of the project: each takes what the one before it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from edgebuild.nn.joined import Join
from edgebuild.sources import _members
from edgebuild.spec.dataset import Held
from edgebuild.spec.errors import UsageError
from edgebuild.spec.model import ModelSpec
from edgebuild.spec.signature import TensorSpec
from edgebuild.spec.source import Making, Source
from edgebuild.steps.evidence.torch_outputs import TorchOutputs


@dataclass(frozen=True, slots=True)
class Sequence(Source):
    """Answers go on by position, all of them; shapes and types must fit."""

    members: Annotated[
        tuple[str, ...], Field(min_length=2, description="models of the project, in the order in which they run")
    ]

    kind: ClassVar[str] = "torch"
    trainable: ClassVar[bool] = True
    requires: ClassVar[tuple[str, ...]] = ("torch", "safetensors")
    extra: ClassVar[str | None] = "torch"

    def float(self, model: ModelSpec) -> Making:
        """The members' float models in a chain; UsageError where one does not take what the one before answers."""
        declared = model.declared.signature
        before = f"the model takes {_shapes(declared.inputs)}"
        for member in model.members:
            own = member.declared.signature
            _check(model, before, f"{member.name!r} takes {_shapes(own.inputs)}")
            before = f"{member.name!r} answers {_shapes(own.outputs)}"
        _check(model, before, f"the model answers {_shapes(declared.outputs)}")
        return _members.making(model, Join("sequence", len(self.members)))

    def reference(self, split: Held) -> Making:
        """PyTorch's own answers."""
        return Making(TorchOutputs(split))


def _shapes(specs: tuple[TensorSpec, ...]) -> str:
    return ", ".join(f"{list(spec.shape)} {spec.dtype}" for spec in specs)


def _check(model: ModelSpec, before: str, after: str) -> None:
    """UsageError unless what is answered and what is taken behind it, both in words, end in the same shapes."""
    if before[before.index("[") :] != after[after.index("[") :]:
        raise UsageError(f"{before}, and {after}", file=model.file, key=_members.KEY)
