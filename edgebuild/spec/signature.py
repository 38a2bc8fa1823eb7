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

Scores = Literal["logits", "probabilities"]
Element = Literal[
    "float32", "float16", "float64", "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8", "bool"
]
ANSWER = "output"  # the name of a model's only output where nobody gave it another


@dataclass(frozen=True, slots=True)
class State:
    """An input that is what an output was one example earlier in a stream; at first, all its values are `start`."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    source: Annotated[str, Field(alias="from", description="the output that comes back")] = field(
        metadata=named("from")
    )
    start: float = 0.0


@dataclass(frozen=True, slots=True)
class Loop:
    """Positions of an input and of the output that comes back as it, and each of its values at a stream's start."""

    input: int
    output: int
    start: float


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
    state: Annotated[State | None, Field(description="the output whose values come back as this input")] = field(
        default=None, metadata=named("state")
    )


@dataclass(frozen=True, slots=True)
class Head:
    """What one task makes of a model's answers: the positions of the `outputs` that it reads, and its loss's weight.

    `labels` name the classes, where there are any. They are for people: no artifact that is learnt from has them.
    `decoder` says how outputs become boxes, where they do, `scores` whether scores of classes are probabilities; they
    are logits where nothing is said.
    """

    name: str
    task: str
    outputs: tuple[int, ...] = (0,)
    weight: float = 1.0
    labels: tuple[str, ...] = ()
    decoder: Decoder | None = field(default=None, metadata=named("decoder"))
    scores: Scores | None = field(default=None, metadata=named("scores"))


@dataclass(frozen=True, slots=True)
class Signature:
    """A model's inputs and outputs in the order in which it takes and gives them."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @property
    def bare(self) -> Signature:
        """The same without what is written for people: nothing that is built depends on that."""
        return Signature(*(tuple(replace(one, meaning="") for one in side) for side in (self.inputs, self.outputs)))

    @property
    def loops(self) -> tuple[Loop, ...]:
        """The inputs that outputs come back as."""
        places = {output.name: place for place, output in enumerate(self.outputs)}
        states = [(place, one.state) for place, one in enumerate(self.inputs) if one.state is not None]
        return tuple(Loop(place, places[state.source], state.start) for place, state in states)

    def of(self, head: Head) -> tuple[TensorSpec, ...]:
        """The outputs that a head reads."""
        return tuple(self.outputs[position] for position in head.outputs)


def tensors(described: Sequence[Mapping[str, object]]) -> tuple[TensorSpec, ...]:
    """Specs out of the plain data that `dataclasses.asdict` made of them."""
    return tuple(TensorSpec(s["name"], tuple(s["shape"]), s["dtype"]) for s in described)  # type: ignore[arg-type]
