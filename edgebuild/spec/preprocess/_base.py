"""What every kind of pre-processing says of itself."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from edgebuild.spec.signature import Element, TensorSpec

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

# The types of inputs that values of a type go into; halves round them, as the model has it.
_HOLDS: Mapping[str, tuple[Element, ...]] = {
    "float32": ("float32", "float16", "float64"),
    "uint8": ("uint8", "uint16", "int16", "int32", "uint32", "int64", "uint64"),
}


@dataclass(frozen=True, slots=True)
class Pixels:
    """What becomes of a picture's pixels, 0 to 255: value = (pixel - mean) / std, of each channel or of all.

    `colours` are grey, rgb or bgr; a negative `std` turns dark into bright.
    """

    width: int
    height: int
    colours: str
    mean: tuple[float, ...]
    std: tuple[float, ...]


class Prepares(Protocol):
    """A declared kind: a frozen dataclass whose fields are what `[preprocess]` says, and preprocess.json after it.

    scale: what becomes of what is stored when it is read; None where it is the model's input already
    """

    __slots__ = ()

    kind: str
    what: ClassVar[str]

    @abstractmethod
    def places(self, inputs: Sequence[TensorSpec]) -> tuple[int, ...]:
        """Which of the model's inputs it makes, by position; ValueError where they are declared otherwise."""

    @property
    @abstractmethod
    def stored(self) -> tuple[tuple[int, ...], str]:
        """Shape and element type of one example of each of these inputs as a data set keeps it."""

    @abstractmethod
    def read(self, path: Path) -> Any:
        """What a file holds, before it is prepared; any exception for one that is none of this kind."""

    @abstractmethod
    def fit(self, one: Any) -> tuple[Array, ...]:
        """One of these as a data set keeps it, for each input that it makes."""

    @abstractmethod
    def json(self) -> dict[str, Any]:
        """As preprocess.json has it, which the travelling file goes by."""

    @property
    def scale(self) -> dict[str, Any] | None:
        """Nothing more becomes of it."""
        return None

    def raw(self, shape: tuple[int, ...], dtype: Any, spec: TensorSpec) -> bool:
        """Whether an array [N, …] that comes for the input `spec` is yet to be prepared."""
        return False

    def reads(self) -> Mapping[str, str]:
        """Files from the model's folder that it is made of, by the key that names each."""
        return {}

    def with_file(self, path: str) -> Self:
        """Itself, with what `reads` names at this place."""
        return self

    @property
    def pixels(self) -> Pixels | None:
        """How pixels are normalised; None where it is made of no picture."""
        return None

    def picture(self, example: Array) -> Array | None:
        """Pixels uint8 [h, w, c] that become this example of the model's input; None where it is made of no picture."""
        return None


def place_of(name: str | None, tensor: tuple[tuple[int, ...], str], inputs: Sequence[TensorSpec]) -> tuple[int, ...]:
    """The place of the one input that a preprocessing makes, of this shape and a type that all its values fit."""
    places = [place for place, spec in enumerate(inputs) if name in (None, spec.name)]
    if len(places) != 1 or inputs[places[0]].shape != tensor[0] or inputs[places[0]].dtype not in _HOLDS[tensor[1]]:
        which = f"the input {name!r}, {tensor[1]}" if name else f"one {tensor[1]} input"
        raise ValueError(f"preprocess makes {which} of shape {list(tensor[0])}; inputs says otherwise")
    return (places[0],)
