"""What goes into a model and what comes out of it, by name, and which task each answer serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge
from pydantic import ConfigDict, Field

from edgebuild.spec.decoder import Decoder
from edgebuild.spec.documents import named
from edgebuild.spec.fields import STRICT

Element = Literal["float32", "int64", "int32"]
ANSWER = "output"  # the name of a model's only output where nobody gave it another


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output of a model: `shape` of one example, and the element type.

    The batch axis is not among the axes and is the only one that is open: files are made with static shapes.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    name: str
    shape: tuple[Annotated[int, Ge(1)], ...]
    dtype: Element = "float32"
    meaning: Annotated[str, Field(description="what its values are, for people who use the model")] = ""


@dataclass(frozen=True, slots=True)
class Head:
    """What one task makes of a model's answers: the positions of the `outputs` that it reads, and its loss's weight.

    `labels` name the classes, where there are any. They are for people: no artifact that is learnt from has them.
    `decoder` says how outputs become boxes, where they do.
    """

    name: str
    task: str
    outputs: tuple[int, ...] = (0,)
    weight: float = 1.0
    labels: tuple[str, ...] = ()
    decoder: Decoder | None = field(default=None, metadata=named("decoder"))


@dataclass(frozen=True, slots=True)
class Signature:
    """A model's inputs and outputs in the order in which it takes and gives them."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @property
    def bare(self) -> Signature:
        """The same without what is written for people: nothing that is built depends on that."""
        return Signature(*(tuple(replace(one, meaning="") for one in side) for side in (self.inputs, self.outputs)))

    def of(self, head: Head) -> tuple[TensorSpec, ...]:
        """The outputs that a head reads."""
        return tuple(self.outputs[position] for position in head.outputs)


def tensors(described: Sequence[Mapping[str, object]]) -> tuple[TensorSpec, ...]:
    """Specs out of the plain data that `dataclasses.asdict` made of them."""
    return tuple(TensorSpec(s["name"], tuple(s["shape"]), s["dtype"]) for s in described)  # type: ignore[arg-type]
